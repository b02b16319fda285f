"""What the stock client of twisted.mail does wrong, and ours does not.

Each test runs both. Where the stock one is right one day, its half fails here and is noticed: then
it can go, and perhaps the code of ours that makes up for it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport

from mail.running import Peer, listening, reactor, sandbox
from mail.stock import StockClient
from netlabsvc.mail.address import AddressError
from netlabsvc.mail.client import Client
from netlabsvc.mail.courier import Courier, deliver
from netlabsvc.mail.credentials import Credentials
from netlabsvc.mail.delivery import Ending, Outgoing, Result
from netlabsvc.mail.plan import Deadlines, Plan

MAIL = Outgoing("ada@lab", ("bob@lab",), b"Subject: hi\r\n\r\nhello\r\n")
OK = b"250 ok\r\n"
UNTIL_DATA = (b"220 lab\r\n", "EHLO", b"250 lab\r\n", "MAIL", OK, "RCPT", OK, "DATA\r\n")
UNTIL_DOT = (*UNTIL_DATA, b"354 go\r\n", "\r\n.\r\n")


def at(port: int) -> TCP4ClientEndpoint:
    return TCP4ClientEndpoint(reactor, "127.0.0.1", port)


async def ours(port: int, mail: Outgoing = MAIL, **plan: Any) -> Result:
    return await deliver(reactor, at(port), mail, **plan)


async def stock(port: int, client: StockClient | None = None) -> StockClient:
    """A stock client that has connected."""
    client = client or StockClient(MAIL)
    await connectProtocol(at(port), client)
    return client


def fed(client: Any, *said: bytes) -> StringTransport:
    """What a client writes that hears this."""
    transport = StringTransport()
    client.makeConnection(transport)
    for line in said:
        client.dataReceived(line)
    return transport


@asynccontextmanager
async def closing_after_the_dot() -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that takes each mail and closes without an answer; what it took."""
    took: list[bytes] = []

    class Closing(Peer):
        def connectionMade(self) -> None:
            Deferred.fromCoroutine(self.take()).addErrback(lambda failure: None)

        async def take(self) -> None:
            for step in UNTIL_DOT:
                if isinstance(step, bytes):
                    self.say(step)
                else:
                    heard = await self.hears(step.encode())
            took.append(heard)
            self.transport.loseConnection()

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
        Factory.forProtocol(Closing)
    )
    try:
        yield port.getHost().port, took
    finally:
        await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_250_to_data() -> None:
    """The stock client takes it for a mail delivered; ours for no SMTP."""
    script = (*UNTIL_DATA, OK, "", None)
    async with listening(*script) as port:
        assert await (await stock(port)).result == 250
    async with listening(*script) as port:
        assert (await ours(port)).ending is Ending.PROTOCOL


def test_hello_refused_in_both_forms() -> None:
    """The stock client says HELO for ever; ours once."""
    said = (b"220 lab\r\n", *[b"502 what\r\n"] * 5)
    assert fed(StockClient(MAIL), *said).value().count(b"HELO") == 5
    client = Client(Clock(), Plan(hello="me"), Random(1))
    assert fed(client, *said).value() == b"EHLO me\r\nHELO me\r\nQUIT\r\n"


def _ending(result: Result | None) -> Ending | None:
    return None if result is None else result.ending


@pytest_twisted.ensureDeferred
async def test_rset_refused() -> None:
    """The stock client says RSET for ever; ours ends, and a next mail has its result."""
    replies = (b"220 a\r\n", OK, OK, OK, b"354 go\r\n", OK, *[b"502 what\r\n"] * 5)
    assert fed(StockClient(MAIL), *replies).value().count(b"RSET") == 6
    client = Client(Clock(), Plan(hello="me"), Random(1))
    first = client.send(MAIL)
    transport = fed(client, b"220 a\r\n", OK, OK, b"550 no\r\n")
    assert _ending(await first) is Ending.ALL_REFUSED
    second = client.send(MAIL)
    client.dataReceived(b"502 what\r\n")
    assert _ending(await second) is Ending.UNAVAILABLE
    assert transport.value().endswith(b"RSET\r\nQUIT\r\n")


@pytest_twisted.ensureDeferred
async def test_a_peer_that_drops_in_the_dialogue() -> None:
    """The stock client tells nobody; ours gives a result at every end of the connection."""
    script = (*UNTIL_DATA[:4], None)
    async with listening(*script) as port:
        client = await stock(port)
        while not client.lost:
            await deferLater(reactor, 0)
        assert not client.result.called
    async with listening(*script) as port:
        result = await ours(port)
    assert (result.ending, result.cause) == (
        Ending.TRY_LATER,
        "the server closed the connection (at: MAIL)",
    )


@pytest_twisted.ensureDeferred
async def test_closing_after_the_dot() -> None:
    """The stock sender sends six copies; ours one, and says that it does not know."""
    from twisted.mail.smtp import ESMTPSenderFactory

    async with closing_after_the_dot() as (port, took):
        done: Deferred[Any] = Deferred()
        message = BytesIO(b"Subject: hi\n\nhello\n")
        more = {"heloFallback": True, "requireAuthentication": False}
        more["requireTransportSecurity"] = False
        factory = ESMTPSenderFactory("", "", "ada@lab", "bob@lab", message, done, **more)
        factory.noisy = False
        reactor.connectTCP("127.0.0.1", port, factory)
        with suppress(Exception):
            await done
        assert len(took) == 6
    async with closing_after_the_dot() as (port, took):
        assert (await ours(port)).ending is Ending.UNKNOWN
        assert len(took) == 1


AUTH = b"250-lab\r\n250 AUTH CRAM-MD5 PLAIN\r\n"


def logging_in(*names: str) -> StockClient:
    from twisted.mail import smtp

    client = StockClient(MAIL, b"hunter22")
    made = {"CRAM-MD5": smtp.CramMD5ClientAuthenticator, "PLAIN": smtp.PLAINAuthenticator}
    for name in names:
        client.registerAuthenticator(made[name](b"ada"))
    return client


@pytest_twisted.ensureDeferred
async def test_after_535_the_next_mechanism() -> None:
    """The stock client ends; ours goes on with PLAIN, which it says once."""
    no = (b"334 PGNoYWxsZW5nZT4=\r\n", b"535 no\r\n")
    client = logging_in("CRAM-MD5", "PLAIN")
    assert b"AUTH PLAIN" not in fed(client, b"220 a\r\n", AUTH, *no).value()
    twice = fed(logging_in("PLAIN"), b"220 a\r\n", AUTH, b"535 no\r\n").value()
    assert twice.count(b"AUTH PLAIN") == 2
    script: tuple[Any, ...] = (
        b"220 a\r\n",
        "EHLO",
        AUTH,
        "AUTH CRAM-MD5\r\n",
        no[0],
        "\r\n",
        no[1],
    )
    script += ("AUTH PLAIN", "\r\n", b"535 no\r\n", "QUIT\r\n", None)
    async with listening(*script) as port:
        result = await ours(port, credentials=Credentials("ada", "hunter22"))
    assert result.ending is Ending.NO_AUTH
    assert result.cause.count("refused: 535") == 2


def test_credentials_in_clear() -> None:
    """The stock client shows the password to the network; ours does not, and says why."""
    said = (b"220 a\r\n", b"250-lab\r\n250 AUTH PLAIN\r\n")
    assert b"AUTH PLAIN " in fed(logging_in("PLAIN"), *said).value()
    plan = Plan(hello="me", credentials=Credentials("ada", "hunter22"))
    assert fed(Client(Clock(), plan, Random(1)), *said).value() == b"EHLO me\r\nQUIT\r\n"


@pytest.mark.parametrize("sender", ["a(b)c@lab", "a@lab, b@lab", "ada@lab\r\nRSET"])
def test_addresses_are_sent_as_they_are_or_not_at_all(sender: str) -> None:
    """The stock client makes another mailbox of them; ours refuses them by name."""
    client = StockClient(MAIL)
    client.mail = type("Mail", (), {"mail_from": sender})()
    said = fed(client, b"220 a\r\n", OK).value()
    assert b"MAIL FROM:<" in said
    assert f"<{sender}>\r\n".encode() not in said
    with pytest.raises(AddressError):
        Outgoing(sender, ("bob@lab",), b"")


def test_a_name_for_ehlo_that_ends_the_line() -> None:
    """The stock client says a second command; ours refuses the name."""
    client = StockClient(MAIL, hello=b"me\r\nRSET")
    assert b"\r\nRSET\r\n" in fed(client, b"220 a\r\n").value()
    with pytest.raises(ValueError, match="no host name"):
        Plan(hello="me\r\nRSET")


@pytest_twisted.ensureDeferred
async def test_extensions(tmp_path: Path) -> None:
    """The stock client declares nothing, and sends what the server has no room for."""
    offers = b"250-lab\r\n250 SIZE 10\r\n"
    assert b"MAIL FROM:<ada@lab>\r\n" in fed(StockClient(MAIL), b"220 a\r\n", offers).value()
    client = Client(Clock(), Plan(hello="me"), Random(1))
    result = client.send(MAIL)
    assert b"MAIL" not in fed(client, b"220 a\r\n", offers).value()
    assert "takes 10" in str(await result)
    said: list[str] = []
    async with sandbox(tmp_path) as running:
        watch = lambda line: said.append(f"{line.side} {line.text}")  # noqa: E731
        courier = Courier(reactor, at(running.port), Plan(pipelining=True), watch=watch)
        assert (await courier.send(MAIL)).ending is Ending.DELIVERED
        await courier.close()
    together = [line.split(":")[0] for line in said if line[0] == "C"][1:4]
    assert together == ["C MAIL FROM", "C RCPT TO", "C DATA"]
    place = said.index("C DATA")
    assert [line[0] for line in said[place - 2 : place + 1]] == ["C", "C", "C"]


def test_replies_without_end() -> None:
    """The stock client reads on for ever, each line giving more time; ours has limits for both."""
    clock, client = Clock(), StockClient(MAIL)
    vars(client).update(timeout=5, callLater=clock.callLater)
    transport = fed(client)
    for _ in range(200):
        client.dataReceived(b"220-more\r\n")
        clock.advance(4)
    assert not transport.disconnecting
    clock = Clock()
    slow = Client(clock, Plan(hello="me", deadlines=Deadlines(greeting_s=5)), Random(1))
    transport = fed(slow, b"220-more\r\n")
    clock.advance(4)
    slow.dataReceived(b"220-more\r\n")
    clock.advance(1)
    assert transport.disconnected or transport.disconnecting
    many = Client(Clock(), Plan(hello="me"), Random(1))
    transport = fed(many, *[b"220-more\r\n"] * 101)
    assert transport.disconnected or transport.disconnecting


def test_a_host_with_a_name_beyond_ascii() -> None:
    """There the stock module cannot even be imported; ours can."""
    kitchen = "import socket; socket.getfqdn = lambda name='': 'küche'; import "
    for module, status in (("twisted.mail.smtp", 1), ("netlabsvc.mail.courier", 0)):
        ended = subprocess.run([sys.executable, "-c", kitchen + module], capture_output=True)
        assert ended.returncode == status


@pytest_twisted.ensureDeferred
async def test_small_writes_do_not_wait(tmp_path: Path) -> None:
    """Without TCP_NODELAY, which the stock client leaves unset, each mail waits for an ACK."""
    async with sandbox(tmp_path) as running:
        client: Any = await stock(running.port)
        assert not client.transport.getTcpNoDelay()
        client.transport.abortConnection()
        mine = Client(reactor, Plan(hello="me"), Random(1))
        await connectProtocol(at(running.port), mine)
        assert mine.transport.getTcpNoDelay()
        mine.transport.abortConnection()
        await mine.gone
