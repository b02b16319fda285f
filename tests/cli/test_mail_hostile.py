"""`netlab mail` and servers that do everything wrong: the status, and the line that says why."""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from cli.test_mail import PLAIN, netlab_mail
from mail.running import listening, reactor

GREETING = b"220 a\r\n"
OK = b"250 ok\r\n"
UNTIL_DATA = (GREETING, "EHLO", OK, "MAIL", OK, "RCPT", OK, "DATA\r\n")
UNTIL_DOT = (*UNTIL_DATA, b"354 go\r\n", "\r\n.\r\n")
STARTTLS = (GREETING, "EHLO", b"250-a\r\n250 STARTTLS\r\n", "STARTTLS\r\n")
AUTH = (GREETING, "EHLO", b"250-a\r\n250 AUTH CRAM-MD5\r\n", "AUTH CRAM-MD5\r\n")
HTTP = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n"
TLS = ("--tls", "starttls")
LOGIN = ("--user", "ada@lab", "--password-command", "echo correct-horse")


@pytest.mark.parametrize(
    ("script", "options", "status", "cause"),
    [
        ((b"220-x\r\n" * 101,), (), 76, "a reply of more than 100 lines"),
        ((b"220 " + b"x" * 5000,), (), 76, "a line of more than 4096 octets"),
        ((*UNTIL_DOT, None), (), 4, "whether the mail was delivered is unknown"),
        ((GREETING, "EHLO", OK, "MAIL", None), (), 75, "closed the connection (at: MAIL)"),
        ((*UNTIL_DATA, b"354 go\r\n", "Subject", None), (), 75, "closed the connection"),
        ((GREETING, "EHLO", OK, "MAIL", OK, "RCPT", b"421 bye\r\n"), (), 75, "421 bye"),
        ((*AUTH, b"334 not base64!\r\n"), LOGIN, 76, "no Base64"),
        ((*AUTH, b"334 not base64!\r\n", "*", None), LOGIN, 76, "no Base64"),
        ((b"220 x\n",), (), 76, "its lines end with LF alone"),
        ((HTTP,), (), 76, "'HTTP/1.1 400 Bad Request' is no reply"),
        ((GREETING, "EHLO", OK, "QUIT", None), TLS, 69, "does not offer STARTTLS"),
        ((*STARTTLS, b"220 go\r\n250 AUTH PLAIN\r\n"), TLS, 76, "spoke on in clear"),
        ((*UNTIL_DATA, OK), (), 76, "250 as answer (at: DATA)"),
        ((*UNTIL_DATA, b"354 go\r\n"), (), 4, "is unknown"),
        (("EHLO",), (), 75, "no answer in time from the server (at: greeting, 3 s)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_hostile_server(
    script: tuple[Any, ...], options: tuple[str, ...], status: int, cause: str
) -> None:
    """Each row ends within its deadline, with the right status and one line that says why."""
    text = (b"x" * 70 + b"\n") * (100_000 if "Subject" in script else 1)
    begun_s = reactor.seconds()
    async with listening(*script) as port:
        ended = await netlab_mail(port, *PLAIN, *options, "--timeout", "3", stdin=text)
    assert reactor.seconds() - begun_s < 15
    assert (ended.status, cause in ended.err, ended.out) == (status, True, ""), ended
    assert ended.err.startswith(f"Error: 127.0.0.1 port {port}: ")
    assert ended.err.count("\n") == 1
    assert "correct-horse" not in ended.err


@pytest_twisted.ensureDeferred
async def test_a_server_that_does_not_answer_quit() -> None:
    """The mail is delivered, and that is said; QUIT is waited for, but not for long."""
    begun_s = reactor.seconds()
    async with listening(*UNTIL_DOT, OK, "QUIT") as port:
        ended = await netlab_mail(port, *PLAIN, stdin=b"hi\n")
    assert ended == (0, "delivered to bob@lab: 250 ok\n", "")
    assert reactor.seconds() - begun_s < 12


class Dripping(Protocol):
    """Greets byte by byte, and never comes to the end."""

    transport: Any

    def connectionMade(self) -> None:
        greeting = chain(b"220-", repeat(ord("x")))
        self._call = LoopingCall(lambda: self.transport.write(bytes([next(greeting)])))
        self._call.start(0.05)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._call.stop()


@pytest_twisted.ensureDeferred
async def test_a_server_that_drips() -> None:
    """However alive it is, byte after byte, the time for the whole dialogue is not longer."""
    endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await endpoint.listen(Factory.forProtocol(Dripping))
    try:
        ended = await netlab_mail(port.getHost().port, *PLAIN, "--timeout", "1", stdin=b"hi\n")
    finally:
        await port.stopListening()
    assert (ended.status, "in time" in ended.err) == (75, True), ended
