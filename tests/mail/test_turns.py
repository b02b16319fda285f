"""Several mails given to one connection: what is said when, and what becomes of those not sent."""

from __future__ import annotations

from random import Random

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from mail.running import listening, reactor
from netlabsvc.mail.client import Client
from netlabsvc.mail.courier import Courier
from netlabsvc.mail.delivery import Ending, Outgoing, Result
from netlabsvc.mail.plan import Plan

EHLO = b"250-lab\r\n250 PIPELINING\r\n"
YES = b"250 a\r\n250 b\r\n354 c\r\n"


def mail(name: str) -> Outgoing:
    return Outgoing("ada@lab", (f"{name}@lab",), f"to {name}\r\n".encode())


def envelope(name: str) -> bytes:
    return f"MAIL FROM:<ada@lab>\r\nRCPT TO:<{name}@lab>\r\nDATA\r\n".encode()


def started(
    *names: str, clock: Clock | None = None
) -> tuple[Client, StringTransport, list[Result | None]]:
    """A client that has said the envelope of the first of these mails; and their results."""
    client = Client(clock or Clock(), Plan(hello="me", pipelining=True), Random(1))
    transport, results = StringTransport(), list[Result | None]()
    for name in names:
        client.send(mail(name)).addCallback(results.append)
    client.makeConnection(transport)
    client.dataReceived(b"220 x\r\n")
    client.dataReceived(EHLO)
    assert transport.value() == b"EHLO me\r\n" + envelope(names[0])
    transport.clear()
    return client, transport, results


def test_the_next_envelope_goes_behind_the_message() -> None:
    """RFC 2920 3.1: message, dot, MAIL, RCPT, DATA in one write; DATA is the last of it."""
    client, transport, results = started("bob", "eve")
    client.dataReceived(YES)
    assert transport.value() == b"to bob\r\n.\r\n" + envelope("eve")
    transport.clear()
    client.dataReceived(b"250 kept bob\r\n" + YES)
    assert transport.value() == b"to eve\r\n.\r\n"
    client.dataReceived(b"554 no eve\r\n")
    assert [result and result.cause for result in results] == [
        "250 kept bob",
        "final dot refused: 554 no eve",
    ]


def test_a_refused_message_does_not_touch_the_next() -> None:
    """Each reply is that of its mail; a refused envelope is left with RSET before another."""
    client, transport, results = started("bob", "eve", "mia")
    client.dataReceived(YES)
    transport.clear()
    client.dataReceived(b"452 full\r\n250 a\r\n550 no eve\r\n503 nobody\r\n")
    assert transport.value() == b"RSET\r\n"
    client.dataReceived(b"250 ok\r\n")
    assert transport.value() == b"RSET\r\n" + envelope("mia")
    assert [result and result.ending for result in results] == [75, 67]


@pytest.mark.parametrize("last", [b"250 kept\r\n", b"250 kept\r\n421 bye\r\n", b"250 kept\r\n2"])
def test_an_end_between_two_mails(last: bytes) -> None:
    """The first is delivered; of the next nothing was taken, and another connection may do."""
    client, _, results = started("bob", "eve", "mia")
    client.dataReceived(YES)
    client.dataReceived(last)
    client.connectionLost(Failure(ConnectionDone()))
    assert [result and result.ending for result in results] == [Ending.DELIVERED, None, None]


def test_an_end_after_a_first_reply() -> None:
    """Something was heard about the next mail: it has a result of its own."""
    client, _, results = started("bob", "eve")
    client.dataReceived(YES)
    client.dataReceived(b"250 kept\r\n250 a\r\n421 bye\r\n")
    assert [result and result.ending for result in results] == [0, 75]


def test_a_message_that_is_not_answered() -> None:
    """Late after the dot: unknown for this one, and the next was never begun."""
    clock = Clock()
    client, _, results = started("bob", "eve", clock=clock)
    client.dataReceived(YES)
    clock.advance(601)
    assert [result and result.ending for result in results] == [Ending.UNKNOWN, None]


def test_a_next_mail_that_is_not_answered() -> None:
    """Late at MAIL: it has had its time, and does not get it again over another connection."""
    clock = Clock()
    client, _, results = started("bob", "eve", clock=clock)
    client.dataReceived(YES)
    client.dataReceived(b"250 kept\r\n")
    clock.advance(301)
    assert [result and result.ending for result in results] == [0, Ending.TRY_LATER]


@pytest_twisted.ensureDeferred
async def test_what_was_not_begun_goes_over_the_next_connection() -> None:
    """A courier with three mails and a server that closes after one: nothing is lost or doubled."""
    heard: list[bytes] = []
    script = (b"220 x\r\n", "EHLO", EHLO, "DATA\r\n", YES, "\r\n.\r\n", b"250 kept\r\n", None)
    async with listening(*script, heard=heard) as port:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        courier = Courier(reactor, endpoint, Plan(hello="me", pipelining=True))
        sent = [Deferred.fromCoroutine(courier.send(mail(name))) for name in ("bob", "eve", "mia")]
        results = await gatherResults(sent)
        await courier.close()
    assert [result.ending for result in results] == [Ending.DELIVERED] * 3
    for name in (b"bob", b"eve", b"mia"):
        assert b"".join(heard).count(b"to " + name) == 1


@pytest_twisted.ensureDeferred
async def test_a_cut_ends_them_all() -> None:
    """Whoever cuts a courier has all results at once, and no new connection is made."""
    script = (b"220 x\r\n", "EHLO", EHLO, "DATA\r\n", YES, "\r\n.\r\n", b"250 kept\r\n")
    async with listening(*script) as port:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        courier = Courier(reactor, endpoint, Plan(hello="me", pipelining=True))
        sent = [Deferred.fromCoroutine(courier.send(mail(name))) for name in ("bob", "eve", "mia")]
        assert (await sent[0]).ending is Ending.DELIVERED
        courier.cut("enough")
        others = [await one.addTimeout(5, reactor) for one in sent[1:]]
        assert not courier.connected
    assert [(other.ending, other.cause) for other in others] == [(Ending.TRY_LATER, "enough")] * 2
