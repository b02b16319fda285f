"""The client's half of a dialogue of commands and replies: lines, deadlines, who waits for what.

Built on `twisted.mail.smtp.ESMTPClient`, whose `_expected`, `_okresponse` and `_failresponse` say
what the next reply may be and who gets it (a test pins these private parts). With pipelining more
than one reply is awaited: those wait in a row, and the first is put there. What a reply must look
like, how long each may take and what is shown of it are here (RFC 5321); which commands are said,
and what a reply means, in `client`.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IReactorTime,
    ITCPTransport,
    IWriteDescriptor,
)

from netlabsvc.mail.address import is_domain
from netlabsvc.mail.delivery import Ending, Stage
from netlabsvc.mail.plan import Deadlines
from netlabsvc.mail.stock import ESMTPClient
from netlabsvc.mail.text import shown_line
from netlabsvc.mail.transcript import Line, Transcript

MAX_REPLY_LINES = 100
#: RFC 5321 4.5.3.1.5 says 512; some servers tell stories.
MAX_REPLY_LINE_BYTES = 4096
SUCCESS = list(range(200, 300))

_REPLY = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_BARE_LF = re.compile(rb"(?<!\r)\n")

Watch = Callable[[Line], None]
#: Is asked before each command; the command is said when it fires.
Pause = Callable[[], Deferred[None]]
Heard = Callable[[int, bytes], None]


class Awaited(NamedTuple):
    """A reply to come: at which stage, which codes are hoped for, and who gets it."""

    stage: Stage
    expected: list[int]
    ok: Heard
    refused: Heard


class Speaker(ESMTPClient):
    """Says commands and hands over replies; `broken` and `late` are told what went wrong."""

    transport: Any
    MAX_LENGTH = MAX_REPLY_LINE_BYTES
    debug = False  # the stock class would keep a log, with the secrets in it

    def __init__(
        self,
        reactor: IReactorTime,
        hello: str | None,
        deadlines: Deadlines,
        watch: Watch | None,
        pause: Pause | None,
        transcript: Transcript,
    ) -> None:
        super().__init__(None, None, hello or _own_name())
        self.stage = Stage.CONNECT
        self._reactor = reactor
        self._deadlines = deadlines
        self._watch = watch
        self._pause = pause
        self._transcript = transcript
        self._begun_s = 0.0
        self._due_s = 0.0
        self._alarm: IDelayedCall | None = None
        self._awaited: deque[Awaited] = deque()
        self._front: Awaited | None = None
        self._last_byte = b""

    def broken(self, ending: Ending, cause: str) -> None:
        """The dialogue cannot go on."""
        raise NotImplementedError

    # The connection, and the time.

    def connectionMade(self) -> None:
        self._begun_s = self._reactor.seconds()
        if ITCPTransport.providedBy(self.transport):
            # Without it each message waits 40 ms for a delayed ACK.
            self.transport.setTcpNoDelay(True)
        self.identity = self.identity or _literal(self.transport.getHost())
        super().connectionMade()
        hello, refused = self._okresponse, self._failresponse
        self._awaited.append(Awaited(Stage.GREETING, self._expected, hello, refused))
        self._await_next()

    def reach(self, stage: Stage) -> None:
        """Be at a stage, or at it again: its deadline starts now."""
        self.stage = stage
        self._due_s = self._reactor.seconds() + self._deadlines.of(stage)
        if self._alarm is None or not self._alarm.active():
            self._alarm = self._reactor.callLater(self._deadlines.of(stage), self._look_at_clock)
        elif self._due_s < self._alarm.getTime():
            self._alarm.reset(self._deadlines.of(stage))

    def rest(self) -> None:
        """Wait for nothing."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def _look_at_clock(self) -> None:
        """The timer is set anew only here: a deadline is moved more often than it passes."""
        left_s = self._due_s - self._reactor.seconds()
        if left_s > 0:
            self._alarm = self._reactor.callLater(left_s, self._look_at_clock)
        else:
            self.late(f"{self._deadlines.of(self.stage):g} s")

    def late(self, what: str) -> None:
        """A deadline has passed."""
        raise NotImplementedError

    # What is said.

    def ask(self, line: bytes, awaited: Awaited) -> None:
        """Say a command, and wait for the reply to it."""
        self.ask_all([(line, awaited)])

    def ask_all(self, asked: list[tuple[bytes, Awaited]]) -> None:
        """Say commands at once; the replies come in their order (RFC 2920)."""
        if self._pause is None:
            self._say(asked)
            return
        self.rest()
        self._pause().addCallbacks(lambda _: self._say(asked), lambda _: self.late("no Enter"))

    def _say(self, asked: list[tuple[bytes, Awaited]]) -> None:
        if not self.connected:
            return
        for line, awaited in asked:
            self.expect(awaited)
            self.show_said(line)
        self.write(b"\r\n".join([*(line for line, _ in asked), b""]))

    def write(self, data: bytes) -> None:
        """Send at once what the kernel takes, not after the reactor's next look at the socket."""
        self.transport.write(data)
        if IWriteDescriptor.providedBy(self.transport):
            self.transport.doWrite()

    def expect(self, awaited: Awaited) -> None:
        """Wait for a reply, after those that are awaited already."""
        self._awaited.append(awaited)
        if len(self._awaited) == 1:
            self._await_next()

    def _await_next(self) -> None:
        awaited = self._awaited[0]
        if awaited is self._front:
            return
        self._front = awaited
        self._expected = awaited.expected
        self._okresponse, self._failresponse = awaited.ok, awaited.refused
        self.reach(awaited.stage)

    def sendLine(self, line: bytes) -> None:
        """A line of the stock class's, which has said itself who gets the reply."""
        okay, refused = self._okresponse, self._failresponse
        self.ask(line, Awaited(Stage.EHLO, self._expected, okay, refused))

    def show_said(self, line: bytes) -> None:
        if self._watch:
            self._watch(self._transcript.client(self.since_s(), line))

    def show_note(self, text: str) -> None:
        """Show what happened instead of bytes."""
        if self._watch:
            self._watch(self._transcript.note(self.since_s(), "C", text))

    def since_s(self) -> float:
        return self._reactor.seconds() - self._begun_s

    # What is heard.

    def dataReceived(self, data: bytes) -> None:
        if _BARE_LF.search(self._last_byte + data, len(self._last_byte)):
            self.no_smtp("its lines end with LF alone, not with CR LF")
            return
        self._last_byte = data[-1:]
        super().dataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.no_smtp(f"a line of more than {MAX_REPLY_LINE_BYTES} octets")

    def lineReceived(self, line: bytes) -> None:
        if self._watch:
            self._watch(self._transcript.server(self.since_s(), line))
        reply = _REPLY.fullmatch(line)
        if not reply:
            self.no_smtp(f"{self.shown(line[:60])!r} is no reply")
            return
        code = int(reply[1])
        if self.resp and code != self.code:
            self.no_smtp(f"one reply with two codes, {self.code} and {code}")
            return
        self.code = code
        self.resp.append(reply[3] or b"")
        if len(self.resp) > MAX_REPLY_LINES:
            self.no_smtp(f"a reply of more than {MAX_REPLY_LINES} lines")
        elif reply[2] != b"-":
            text, self.code, self.resp = b"\n".join(self.resp), -1, []
            self.replied(code, text)

    def replied(self, code: int, text: bytes) -> None:
        """A whole reply: it goes to whoever waits for it, with `stage` being theirs."""
        if not self._awaited:
            self.unasked(code, text)
            return
        self._awaited.popleft()
        (self._okresponse if code in self._expected else self._failresponse)(code, text)
        if self._awaited:
            self._await_next()

    def unasked(self, code: int, text: bytes) -> None:
        """A reply that nobody waits for."""
        raise NotImplementedError

    def unread(self) -> bool:
        """Whether the server has said more than was asked; forgets it."""
        return bool(self.clearLineBuffer())

    def shown(self, text: bytes) -> str:
        """A reply's text for people: its lines joined, safe to show, without secrets."""
        return self._transcript.without_secrets(shown_line(b" ".join(text.split(b"\n"))))

    def no_smtp(self, what: str) -> None:
        self.broken(Ending.PROTOCOL, f"this is no SMTP from the server: {what}")


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
