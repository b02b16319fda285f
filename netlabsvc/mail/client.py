"""Sending a mail: one dialogue with one server, which ends, in time, with one `Result`.

Built on `twisted.mail.smtp.ESMTPClient`, which has the order of the commands: `_expected`,
`_okresponse` and `_failresponse` say what the next reply may be and who gets it (a test pins these
private parts). What a reply must look like, deadlines, the message on the wire and how everything
ends are here (RFC 5321); what follows from an ending is in `delivery`. Nothing is sent twice:
to try again is the business of whoever asked.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from netlabsvc.mail.address import is_domain
from netlabsvc.mail.delivery import Ending, Outgoing, Progress, Result, Stage
from netlabsvc.mail.stock import ESMTPClient
from netlabsvc.mail.text import shown_line
from netlabsvc.mail.transcript import Line, Transcript
from netlabsvc.mail.transparency import Stuffed

MAX_REPLY_LINES = 100
#: RFC 5321 4.5.3.1.5 says 512; some servers tell stories.
MAX_REPLY_LINE_BYTES = 4096

_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_SUCCESS = list(range(200, 300))
_BARE_LF = re.compile(rb"(?<!\r)\n")
_STAGES = {
    b"EHLO": Stage.EHLO,
    b"HELO": Stage.EHLO,
    b"MAIL": Stage.MAIL,
    b"RCPT": Stage.RCPT,
    b"DATA": Stage.DATA,
    b"QUIT": Stage.QUIT,
}


@dataclass(frozen=True)
class Deadlines:
    """How long each stage may take, in seconds (RFC 5321 4.5.3.2), and all of it."""

    connect_s: float = 30.0
    greeting_s: float = 300.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    dot_s: float = 600.0
    quit_s: float = 2.0
    total_s: float = 1800.0

    def of(self, stage: Stage) -> float:
        return {
            Stage.CONNECT: self.connect_s,
            Stage.GREETING: self.greeting_s,
            Stage.DATA: self.data_s,
            Stage.BODY: self.block_s,
            Stage.DOT: self.dot_s,
            Stage.QUIT: self.quit_s,
        }.get(stage, self.command_s)


def _unwatched(line: Line) -> None:
    """Nobody looks at the dialogue."""


async def deliver(
    reactor: IReactorTime,
    endpoint: IStreamClientEndpoint,
    outgoing: Outgoing,
    *,
    hello: str | None = None,
    deadlines: Deadlines = Deadlines(),
    watch: Callable[[Line], None] | None = None,
) -> Result:
    """Connect, send the mail, and say what became of it; it never fails otherwise.

    :param hello: the name for EHLO; by default this host's, or its address where that is no name.
    :param watch: is given each line of the dialogue, secrets taken out.
    :raises ValueError: for a `hello` that is no domain in ASCII.
    """
    if hello is not None and not is_domain(hello):
        raise ValueError(f"{hello!r} is no host name; EHLO needs letters, digits, hyphens, dots")
    client = Client(reactor, outgoing, hello, deadlines, watch or _unwatched)
    connecting = connectProtocol(endpoint, client)
    connecting.addTimeout(min(deadlines.connect_s, deadlines.total_s), reactor, _too_slow)
    total = reactor.callLater(deadlines.total_s, client.out_of_time, "the dialogue")
    try:
        await connecting
        return await client.result
    except (DNSLookupError, ValueError) as error:  # ValueError: what cannot be a host name
        return client.progress.cannot(Ending.NO_HOST, f"host not found: {error}")
    except ConnectError as error:
        cause = f"cannot connect: {error}".removesuffix(".")
        return client.progress.cannot(Ending.UNAVAILABLE, cause)
    finally:
        if total.active():
            total.cancel()


def _too_slow(result: object, limit_s: float) -> None:
    raise TimeoutError(string=f"no answer within {limit_s:g} s")


class Client(ESMTPClient):
    """One connection, one mail."""

    transport: Any
    MAX_LENGTH = MAX_REPLY_LINE_BYTES
    debug = False  # the stock class would keep a log, with the secrets in it

    def __init__(
        self,
        reactor: IReactorTime,
        outgoing: Outgoing,
        hello: str | None,
        deadlines: Deadlines,
        watch: Callable[[Line], None],
    ) -> None:
        super().__init__(None, None, hello or _own_name())
        self.progress = Progress(outgoing)
        self.result: Deferred[Result] = Deferred()
        self._reactor = reactor
        self._outgoing = outgoing
        self._deadlines = deadlines
        self._deadline: IDelayedCall | None = None
        self._watch = watch
        self._transcript = Transcript()
        self._begun_s = 0.0
        self._offers: dict[str, str] = {}
        self._last_byte = b""
        self._outcome: Result | None = None

    # The connection.

    def connectionMade(self) -> None:
        self._begun_s = self._reactor.seconds()
        if ITCPTransport.providedBy(self.transport):
            # Without it each message waits 40 ms for a delayed ACK.
            self.transport.setTcpNoDelay(True)
        self.identity = self.identity or _literal(self.transport.getHost())
        super().connectionMade()
        self._reach(Stage.GREETING)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._stop_clock()
        if self._outcome is None:
            cause = f"the server closed the connection (at: {self.progress.stage})"
            self._outcome = self.progress.cannot(Ending.TRY_LATER, cause)
        self.result.callback(self._outcome)

    def out_of_time(self, what: str) -> None:
        """A deadline has passed."""
        if self.connected and self._outcome is None:
            cause = f"no answer in time from the server (at: {self.progress.stage}, {what})"
            self._end(self.progress.cannot(Ending.TRY_LATER, cause), polite=False)
        elif self.connected:
            self.transport.abortConnection()

    def _reach(self, stage: Stage) -> None:
        """Be at a stage, or at it again: its deadline starts now."""
        self._stop_clock()
        self.progress.stage = stage
        limit_s = self._deadlines.of(stage)
        self._deadline = self._reactor.callLater(limit_s, self.out_of_time, f"{limit_s:g} s")

    def _stop_clock(self) -> None:
        if self._deadline and self._deadline.active():
            self._deadline.cancel()

    # How it ends.

    def _end(self, outcome: Result, *, polite: bool) -> None:
        """Settle the result, once; then say QUIT, or nothing."""
        if self._outcome is not None:
            return
        self._outcome = outcome
        if polite:
            self.sendLine(b"QUIT")
        else:
            self._stop_clock()
            self.clearLineBuffer()
            self.transport.abortConnection()

    def _refused(self, code: int, text: bytes) -> None:
        """A reply that is not the one hoped for; after 421 the server closes (RFC 5321 3.8)."""
        if 200 <= code < 400:
            self._broken(f"{code} as answer (at: {self.progress.stage})")
        else:
            polite = code != 421 and self.progress.stage is not Stage.BODY
            self._end(self.progress.replied(code, _one_line(text)), polite=polite)

    def _broken(self, what: str) -> None:
        cause = f"this is no SMTP from the server: {what}"
        self._end(self.progress.cannot(Ending.PROTOCOL, cause), polite=False)

    def _cannot(self, what: str) -> None:
        """The server does not offer what this mail needs."""
        self._end(self.progress.cannot(Ending.UNAVAILABLE, what), polite=True)

    def sendError(self, exc: Any) -> None:
        """Where the stock class ends: with a reply, or without."""
        if exc.code > 0:
            self._refused(exc.code, exc.resp)
        else:
            self._broken(str(exc))

    # Lines.

    def sendLine(self, line: bytes) -> None:
        stage = _STAGES.get(line[:4])
        if stage:
            self._reach(stage)
        self._watch(self._transcript.client(self._since_s(), line))
        super().sendLine(line)

    def dataReceived(self, data: bytes) -> None:
        if _BARE_LF.search(self._last_byte + data, len(self._last_byte)):
            self._broken("its lines end with LF alone, not with CR LF")
            return
        self._last_byte = data[-1:]
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._broken(f"a line of more than {MAX_REPLY_LINE_BYTES} octets")

    def lineReceived(self, line: bytes) -> None:
        self._watch(self._transcript.server(self._since_s(), line))
        reply = _REPLY.fullmatch(line)
        if not reply:
            self._broken(f"{shown_line(line[:60])!r} is no reply")
            return
        code = int(reply[1])
        if self.resp and code != self.code:
            self._broken(f"one reply with two codes, {self.code} and {code}")
            return
        self.code = code
        self.resp.append(reply[3] or b"")
        if len(self.resp) > MAX_REPLY_LINES:
            self._broken(f"a reply of more than {MAX_REPLY_LINES} lines")
        elif reply[2] != b"-":
            self._replied(code, b"\n".join(self.resp))

    def _replied(self, code: int, text: bytes) -> None:
        self.code, self.resp = -1, []
        if self._outcome is not None:
            self.transport.loseConnection()  # the answer to QUIT
        elif self.progress.stage is Stage.BODY or code == 421:
            self._refused(code, text)
        elif code in self._expected:
            self._okresponse(code, text)
        else:
            self._failresponse(code, text)

    def _since_s(self) -> float:
        return self._reactor.seconds() - self._begun_s

    # The states, by the names that the stock class calls them by.

    def smtpState_helo(self, code: int, resp: bytes) -> None:
        """EHLO got no 2xx: a 5xx may be the answer of a server that knows HELO only."""
        if not 500 <= code < 600:
            self._refused(code, resp)
            return
        self._okresponse, self._failresponse = self.smtpState_from, self._refused
        self.sendLine(b"HELO " + self.identity)

    def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:
        for line in resp.split(b"\n")[1:]:
            keyword, _, value = line.decode("latin-1").partition(" ")
            self._offers[keyword.upper()] = value
        self.smtpState_from(code, resp)

    def smtpState_from(self, code: int, resp: bytes) -> None:
        size, limit = len(self._outgoing.message), self._offers.get("SIZE", "")
        parameters = [f"SIZE={size}"] if "SIZE" in self._offers else []
        if limit.isascii() and limit.isdigit() and 0 < int(limit) < size:
            self._cannot(f"the message has {size} bytes, the server takes {limit}")
            return
        for needed, keyword, parameter in (
            (self._outgoing.needs_8bit, "8BITMIME", "BODY=8BITMIME"),
            (self._outgoing.needs_smtputf8, "SMTPUTF8", "SMTPUTF8"),
        ):
            if needed and keyword not in self._offers:
                self._cannot(f"the server does not offer {keyword}, which this mail needs")
                return
            parameters += [parameter] * needed
        self._expected, self._failresponse = _SUCCESS, self._refused
        self._okresponse = self.smtpState_to
        words = [f"MAIL FROM:<{self._outgoing.mail_from}>", *parameters]
        self.sendLine(" ".join(words).encode())

    def smtpState_to(self, code: int, resp: bytes) -> None:
        self._expected = [*_SUCCESS, *range(400, 600)]
        self._okresponse = self.smtpState_toOrData
        self._name_next_recipient()

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        self.progress.answered_rcpt(code, _one_line(resp))
        if self.progress.next_recipient is not None:
            self._name_next_recipient()
        elif self.progress.any_accepted:
            self._expected, self._okresponse = [354], self.smtpState_data
            self.sendLine(b"DATA")
        else:
            self._end(self.progress.none_accepted(), polite=True)

    def _name_next_recipient(self) -> None:
        self.sendLine(f"RCPT TO:<{self.progress.next_recipient}>".encode())

    def smtpState_data(self, code: int, resp: bytes) -> None:
        self._reach(Stage.BODY)
        size = len(self._outgoing.message)
        note = self._transcript.note(self._since_s(), "C", f"({size} bytes of message)")
        self._watch(note)
        self._expected, self._okresponse = _SUCCESS, self.smtpState_msgSent
        sending = FileSender().beginFileTransfer(
            Stuffed(self._outgoing.message), self.transport, self.transformChunk
        )
        # When it fails the connection has gone, and connectionLost says so.
        sending.addCallbacks(self.finishedFileTransfer, lambda failure: None)

    def transformChunk(self, chunk: bytes) -> bytes:
        """A block goes out: the deadline is for each block."""
        self._reach(Stage.BODY)
        return chunk

    def finishedFileTransfer(self, lastsent: bytes) -> None:
        """All was sent; `Stuffed` had the final dot in it."""
        self._reach(Stage.DOT)
        self._watch(self._transcript.client(self._since_s(), b"."))

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        self._end(self.progress.replied(code, _one_line(resp)), polite=True)


def _one_line(text: bytes) -> str:
    """A reply's text for people: its lines joined, safe to show."""
    return shown_line(b" ".join(text.split(b"\n")))


def _own_name() -> str:
    """This host's name when it is one that EHLO can carry, else nothing."""
    name = socket.gethostname()
    return name if is_domain(name) else ""


def _literal(host: IAddress) -> bytes:
    """An address literal (RFC 5321 4.1.3): [127.0.0.1], [IPv6:::1]."""
    match host:
        case IPv4Address():
            return f"[{host.host}]".encode()
        case IPv6Address():
            return f"[IPv6:{host.host.partition('%')[0]}]".encode()
    return b"localhost"
