"""The client's half of a dialogue of commands and replies: lines, deadlines, who waits for what.

Built on `twisted.mail.smtp.ESMTPClient`, which says in `_expected`, `_okresponse` and
`_failresponse` what the reply to its command may be and who gets it (a test pins these private
parts). Here that is a row, for with pipelining more than one reply is awaited. What a reply must
look like, how long each may take and what is shown of it are here (RFC 5321); which commands are
said, and what a reply means, in `client`.
"""

from __future__ import annotations

import re
import socket
from collections import deque
from collections.abc import Callable, Container
from math import inf
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
SUCCESS = range(200, 300)

#: How a line of a reply begins: a code, and behind it ``-`` when more lines follow.
_CODES = {b"%d" % code: code for code in range(200, 600)}
_MARKS = (b" ", b"-", b"")
_BARE_LF = re.compile(rb"(?<!\r)\n")

Watch = Callable[[Line], None]
#: Is asked before each command; the command is said when it fires.
Pause = Callable[[], Deferred[None]]
Heard = Callable[[int, bytes], None]


class Awaited(NamedTuple):
    """A reply to come: at which stage, which codes are hoped for, and who gets it."""

    stage: Stage
    expected: Container[int]
    ok: Heard
    refused: Heard


#: Commands to be said at once, and what is awaited for each.
Asked = list[tuple[bytes, Awaited]]


def as_lines(asked: Asked) -> bytes:
    return b"".join([line + b"\r\n" for line, _ in asked])


class Speaker(ESMTPClient):
    """Says commands and hands over replies; `broken` and `late` are told what went wrong."""

    transport: Any
    MAX_LENGTH = MAX_REPLY_LINE_BYTES
    debug = False  # the stock class would keep a log, with the secrets in it
    __setattr__ = object.__setattr__  # the stock class looks at the name of all that is set

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
        #: When the mail on its way must be over, whatever the stage.
        self.total_due_s = inf
        self._begun_s = 0.0
        self._due_s = inf
        self._alarm: IDelayedCall | None = None
        self._alarm_s = inf
        self._awaited: deque[Awaited] = deque()
        #: The reply whose deadline is running.
        self._front: Awaited | None = None
        #: Whether what came in is being read just now.
        self.hearing = False
        self._flush: Callable[[], object] = lambda: None
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
        if IWriteDescriptor.providedBy(self.transport):
            self._flush = self.transport.doWrite
        self.identity = self.identity or _literal(self.transport.getHost())
        super().connectionMade()
        hello, refused = self._okresponse, self._failresponse
        self.expect(Awaited(Stage.GREETING, self._expected, hello, refused))

    def reach(self, stage: Stage) -> None:
        """Be at a stage, or at it again: its deadline starts now."""
        self.stage = stage
        now_s = self._reactor.seconds()
        self._due_s = due_s = min(now_s + self._deadlines.of(stage), self.total_due_s)
        if due_s < self._alarm_s:
            self._set_alarm(due_s, now_s)

    def rest(self) -> None:
        """Wait for nothing from the server."""
        self._due_s = self.total_due_s
        if self._due_s < self._alarm_s:
            self._set_alarm(self._due_s, self._reactor.seconds())

    def fall_silent(self) -> None:
        """Nothing will happen any more, late or not."""
        self._due_s = self.total_due_s = inf
        self._set_alarm(inf, 0.0)

    def _set_alarm(self, at_s: float, now_s: float) -> None:
        """There is one timer, and it is set to an earlier time only: deadlines move often."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_s = at_s
        if at_s < inf:
            self._alarm = self._reactor.callLater(max(0.0, at_s - now_s), self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._alarm = None
        self._alarm_s = inf
        now_s = self._reactor.seconds()
        if now_s < self._due_s:
            self._set_alarm(self._due_s, now_s)
            return
        total = self._due_s == self.total_due_s
        limit_s = self._deadlines.total_s if total else self._deadlines.of(self.stage)
        self.late(f"{limit_s:g} s")

    def late(self, what: str) -> None:
        """A deadline has passed."""
        raise NotImplementedError

    # What is said.

    def ask(self, line: bytes, awaited: Awaited) -> None:
        """Say a command, and wait for the reply to it."""
        self.ask_all([(line, awaited)])

    def ask_all(self, asked: Asked) -> None:
        """Say commands at once; the replies come in their order (RFC 2920)."""
        if self._pause is None:
            self._say(asked)
            return
        self.rest()
        self._pause().addCallbacks(lambda _: self._say(asked), lambda _: self.late("no Enter"))

    def _say(self, asked: Asked) -> None:
        if self.connected:
            self.await_all(asked)
            self.write(as_lines(asked))

    def await_all(self, asked: Asked) -> None:
        """Wait for the replies to commands that are being said."""
        for line, awaited in asked:
            self.expect(awaited)
            self.show_said(line)

    def write(self, data: bytes) -> None:
        """Send at once what the kernel takes, not after the reactor's next look at the socket."""
        self.transport.write(data)
        self._flush()

    def expect(self, awaited: Awaited) -> None:
        """Wait for a reply, after those that are awaited already."""
        self._awaited.append(awaited)
        if len(self._awaited) == 1:
            self.stage = awaited.stage
            if not self.hearing:
                self._await_next()

    def _await_next(self) -> None:
        """The deadline of the next reply starts, unless it is running."""
        if self._awaited and self._awaited[0] is not self._front:
            self._front = self._awaited[0]
            self.reach(self._front.stage)

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
        # Counting is cheap, and in a dialogue that is right the two are the same.
        lines = data.count(b"\n")
        if lines != data.count(b"\r\n") and _BARE_LF.search(
            self._last_byte + data, len(self._last_byte)
        ):
            self.no_smtp("its lines end with LF alone, not with CR LF")
            return
        whole, self._last_byte = self._last_byte in b"\n", data[-1:]
        self.hearing = True
        try:
            if whole and data.endswith(b"\r\n") and lines <= len(self._awaited):
                self._hear_lines(data)
            else:
                super().dataReceived(data)
        finally:
            self.hearing = False
            self._await_next()

    def _hear_lines(self, data: bytes) -> None:
        """Whole lines, and no more than replies are awaited: the short way through the buffer."""
        for line in data[:-2].split(b"\r\n"):
            if not self._awaited:
                return  # one of them has ended it
            if len(line) > MAX_REPLY_LINE_BYTES:
                self.lineLengthExceeded(line)
                return
            self.lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.no_smtp(f"a line of more than {MAX_REPLY_LINE_BYTES} octets")

    def lineReceived(self, line: bytes) -> None:
        if self._watch:
            self._watch(self._transcript.server(self.since_s(), line))
        code, mark, text = _CODES.get(line[:3]), line[3:4], line[4:]
        if code is None or mark not in _MARKS:
            self.no_smtp(f"{self.shown(line[:60])!r} is no reply")
        elif mark != b"-" and not self.resp:
            self.replied(code, text)
        elif self.resp and code != self.code:
            self.no_smtp(f"one reply with two codes, {self.code} and {code}")
        elif len(self.resp) == MAX_REPLY_LINES:
            self.no_smtp(f"a reply of more than {MAX_REPLY_LINES} lines")
        else:
            self.code = code
            self.resp.append(text)
            if mark != b"-":
                text, self.code, self.resp = b"\n".join(self.resp), -1, []
                self.replied(code, text)

    def replied(self, code: int, text: bytes) -> None:
        """A whole reply: it goes to whoever waits for it, with `stage` being theirs."""
        if not self._awaited:
            self.unasked(code, text)
            return
        awaited = self._awaited.popleft()
        self._front = None
        self.stage = awaited.stage
        (awaited.ok if code in awaited.expected else awaited.refused)(code, text)
        if self._awaited:
            self.stage = self._awaited[0].stage

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
