"""Servers that attack: TLS taken away, words slipped in before it, questions that are none."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mail.running import listening, reactor, sandbox
from netlabsvc.mail.client import Client
from netlabsvc.mail.courier import Courier, deliver
from netlabsvc.mail.credentials import Credentials
from netlabsvc.mail.delivery import Ending, Outgoing, Result, Stage
from netlabsvc.mail.plan import Deadlines, Plan, Stop, TlsMode
from netlabsvc.mail.tls import Trust
from netlabsvc.mail.transcript import Line

MAIL = Outgoing("ada@lab", ("bob@lab",), b"Subject: hi\r\n\r\nhello\r\n")
SECRET = "correct-horse"
STARTTLS = (b"220 a\r\n", "EHLO", b"250-lab\r\n250 STARTTLS\r\n", "STARTTLS\r\n")
HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"


def tls_plan(mode: TlsMode = TlsMode.STARTTLS) -> dict[str, Any]:
    return {"mode": mode, "tls": Trust("localhost"), "credentials": Credentials("ada", SECRET)}


async def sent(port: int, **plan: Any) -> Result:
    endpoint, clock = TCP4ClientEndpoint(reactor, "127.0.0.1", port), plan.pop("clock", reactor)
    return await deliver(clock, endpoint, MAIL, **plan)


@pytest.mark.parametrize(
    ("script", "ending", "cause"),
    [
        ((b"220 a\r\n", "EHLO", b"250 lab\r\n", "QUIT", None), 69, "does not offer STARTTLS"),
        ((*STARTTLS, b"454 not now\r\n", "QUIT", None), 75, "STARTTLS refused: 454 not now"),
        ((*STARTTLS, b"502 what\r\n", "QUIT", None), 69, "STARTTLS refused: 502 what"),
        ((*STARTTLS, b"220 go\r\n250-lab\r\n250 AUTH PLAIN\r\n"), 76, "spoke on in clear"),
        ((*STARTTLS, b"220 go\r\n2"), 76, "spoke on in clear"),
        ((*STARTTLS, b"220 go\r\n", "\x16\x03", HTTP, None), 69, "is no TLS"),
        ((*STARTTLS, b"220 go\r\n", "\x16\x03", None), 69, "TLS failed: the server closed"),
        ((*STARTTLS, None), 75, "closed the connection"),
    ],
)
@pytest.mark.parametrize("mode", [TlsMode.STARTTLS, TlsMode.OPPORTUNISTIC])
@pytest_twisted.ensureDeferred
async def test_no_tls_no_mail(script: tuple[Any, ...], ending: int, cause: str, mode: str) -> None:
    """What was to be secret is not said in clear, whatever the server does about TLS."""
    if mode is TlsMode.OPPORTUNISTIC and "STARTTLS\r\n" not in script:
        return  # where it is not offered, this mode goes on in clear: that is its meaning
    heard: list[bytes] = []
    async with listening(*script, heard=heard) as port:
        result = await sent(port, **tls_plan(TlsMode(mode)))
    assert (result.ending, cause in result.cause) == (ending, True), result.cause
    assert b"MAIL" not in b"".join(heard)
    assert b"AUTH" not in b"".join(heard)


@pytest_twisted.ensureDeferred
async def test_what_speaks_no_tls_on_a_port_for_tls() -> None:
    """Implicit TLS to a server that greets in clear: the message says what to do."""
    async with listening("\x16\x03", b"220 lab ESMTP\r\n", None) as port:
        result = await sent(port, **tls_plan(TlsMode.IMPLICIT))
    assert (result.ending, result.stage) == (Ending.UNAVAILABLE, Stage.TLS)
    assert result.cause.endswith("TLS begins with STARTTLS")


AUTH = (b"220 a\r\n", "EHLO", b"250-lab\r\n250 AUTH CRAM-MD5 PLAIN LOGIN\r\n", "AUTH CRAM-MD5\r\n")


@pytest.mark.parametrize(
    ("script", "ending", "cause"),
    [
        ((*AUTH, b"334 not base64!\r\n", "*\r\n", b"501 x\r\n", "QUIT", None), 76, "no Base64"),
        ((*AUTH, b"334 \r\n", "\r\n", b"334 \r\n", "*\r\n", b"501 x\r\n", None), 77, "sent two"),
        ((*AUTH, b"235 welcome\r\n", "QUIT", None), 77, "yes without a challenge"),
        ((*AUTH, b"454 later\r\n", "QUIT", None), 75, "AUTH refused: 454 later"),
        ((*AUTH, b"421 bye\r\n"), 75, "421 bye"),
        ((*AUTH, b"250 ok\r\n"), 76, "250 as answer"),
        ((*AUTH, None), 75, "closed the connection (at: AUTH)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_login_that_goes_wrong(script: tuple[Any, ...], ending: int, cause: str) -> None:
    """Each ends at once, with its status and one line that names the cause."""
    async with listening(*script) as port:
        result = await sent(port, credentials=Credentials("ada", SECRET))
    assert (result.ending, cause in result.cause) == (ending, True), result.cause
    assert SECRET not in repr(result)


@pytest_twisted.ensureDeferred
async def test_a_server_that_repeats_the_password() -> None:
    """It stands neither in the dialogue, nor in the result, in any form it was said in."""
    offer = b"250-lab\r\n250 AUTH PLAIN LOGIN\r\n"
    script: tuple[Any, ...] = (b"220 a\r\n", "EHLO", offer, "AUTH PLAIN")
    script += (f"535 AGFkYQBjb3JyZWN0LWhvcnNl {SECRET} is wrong\r\n".encode(), "AUTH LOGIN\r\n")
    script += (b"334 VXNlcm5hbWU6\r\n", "\r\n", b"334 UGFzc3dvcmQ6\r\n", "Y29ycmVjdC1ob3JzZQ==\r\n")
    script += (b"535-Y29ycmVjdC1ob3JzZQ==\r\n535 no\r\n", "QUIT", None)
    lines: list[Line] = []
    async with listening(*script) as port:
        result = await sent(port, credentials=Credentials("ada", SECRET), watch=lines.append)
    assert result.ending is Ending.NO_AUTH
    everything = repr(result) + "".join(map(str, lines))
    for form in (SECRET, "Y29ycmVjdC1ob3JzZQ", "AGFkYQBjb3JyZWN0"):
        assert form not in everything
    assert everything.count("<secret>") > 4


@pytest_twisted.ensureDeferred
async def test_one_byte_per_second() -> None:
    """A server that drips is cut when the stage's time is over, however alive it is."""
    clock = Clock()
    client = Client(clock, Plan(hello="me", deadlines=Deadlines(greeting_s=5)), Random(1))
    result, transport = client.send(MAIL), StringTransport()
    client.makeConnection(transport)
    for byte in b"220-":
        clock.advance(1)
        client.dataReceived(bytes([byte]))
    assert not result.called
    clock.advance(1)
    ended = await result
    assert transport.disconnecting
    assert ended is not None
    assert (ended.ending, ended.stage) == (Ending.TRY_LATER, Stage.GREETING)
    assert ended.cause == "no answer in time from the server (at: greeting, 5 s)"


@pytest.mark.parametrize(
    ("stop", "last"),
    [
        (Stop(Stage.GREETING), "QUIT"),
        (Stop(Stage.EHLO), "QUIT"),
        (Stop(Stage.MAIL), "QUIT"),
        (Stop(Stage.RCPT), "QUIT"),
        (Stop(Stage.RCPT, drop=True), "RCPT TO:<bob@lab>"),
        (Stop(Stage.DATA, drop=True), "DATA"),
        (Stop(Stage.BODY, drop=True), "(22 bytes of message)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_end_on_purpose(tmp_path: Path, stop: Stop, last: str) -> None:
    """The dialogue ends where it was to end, nothing is delivered, and that is no failure."""
    said: list[str] = []
    async with sandbox(tmp_path) as running:
        watch = lambda line: said.append(line.text) if line.side == "C" else None  # noqa: E731
        result = await sent(running.port, stop=stop, watch=watch)
        assert running.messages() == []
    assert (result.ending, result.stopped) == (Ending.DELIVERED, True)
    assert [one.fate for one in result.recipients] == ["not sent"]
    assert said[-1] == last


@pytest_twisted.ensureDeferred
async def test_an_end_after_the_dot(tmp_path: Path) -> None:
    """Whoever hangs up there does not know; the server has the mail."""
    async with sandbox(tmp_path) as running:
        result = await sent(running.port, stop=Stop(Stage.DOT, drop=True))
        await running.factory.connections.all_gone()
    assert result.ending is Ending.UNKNOWN
    assert len(running.messages()) == 1


@pytest.mark.parametrize("pipelining", [False, True])
@pytest_twisted.ensureDeferred
async def test_many_mails_over_one_connection(tmp_path: Path, pipelining: bool) -> None:
    """Each has its own result; one that is refused does not spoil the next."""
    async with sandbox(tmp_path, max_size=2000) as running:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", running.port)
        courier = Courier(reactor, endpoint, Plan(pipelining=pipelining))
        endings = []
        for size in (10, 3000, 20, 30):
            mail = Outgoing("ada@lab", ("bob@lab", "eve@lab"), b"x" * 70 + b"\r\n" * (size // 2))
            endings.append((await courier.send(mail)).ending)
        await courier.close()
        assert [int(ending) for ending in endings] == [0, 69, 0, 0]
        assert len(running.messages()) == 3
        assert running.factory.tally.connections == 1


@pytest.mark.parametrize(
    ("replies", "ending", "cause"),
    [
        ((b"553 you\r\n503 a\r\n503 b\r\n503 c\r\n",), 69, "MAIL refused: 553 you"),
        ((b"250 a\r\n550 b\r\n550 c\r\n554 d\r\n",), 67, "no recipient was accepted: 550 c"),
        ((b"250 a\r\n550 b\r\n550 c\r\n354 d\r\n", ".\r\n", b"554 e\r\n"), 67, "550 c"),
        ((b"553 you\r\n503 a\r\n503 b\r\n354 c\r\n",), 69, "553 you"),
        ((b"250 a\r\n421 bye\r\n",), 75, "421 bye"),
        ((b"250 a\r\n550 b\r\n250 c\r\n354 d\r\n", "\r\n.\r\n", b"250 e\r\n"), 3, "eve@lab"),
        ((b"250 a\r\n250 b\r\n250 c\r\n451 d\r\n",), 75, "DATA refused: 451 d"),
        ((b"250 a\r\n", None), 75, "closed"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_refusals_of_commands_said_at_once(
    replies: tuple[Any, ...], ending: int, cause: str
) -> None:
    """With pipelining each reply is that of its command, and no mail goes to nobody."""
    script = (b"220 a\r\n", "EHLO", b"250-lab\r\n250 PIPELINING\r\n", "DATA\r\n", *replies)
    mail = Outgoing("ada@lab", ("eve@lab", "bob@lab"), b"hello\r\n")
    async with listening(*script, "QUIT", None) as port:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        result = await deliver(reactor, endpoint, mail, pipelining=True)
    assert (result.ending, cause in result.cause) == (ending, True), result.cause
