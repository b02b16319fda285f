"""Where a message ends: at a line end, with the chunk, or after as many bytes as were announced.

    line     until LF, CR LF or CR NUL; telnet commands are filtered out
    raw      each chunk that arrives is a message; a line end inside it is shown as \\n
    length   a length in 4 bytes, big-endian, then the text

Each stands on twisted.protocols.basic: LineReceiver, its raw mode, and Int32StringReceiver.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TypeAlias

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import Int32StringReceiver, LineReceiver
from twisted.python.failure import Failure

from netlabsvc.chat.message import Style
from netlabsvc.chat.room import Room
from netlabsvc.chat.session import Session
from netlabsvc.chat.settings import Settings
from netlabsvc.chat.telnet import Filter
from netlabsvc.chat.text import unfinished
from netlabsvc.connections import peer_name

#: After so long without a line end, a client of the line framing is told what is missing.
HINT_S = 2.0
HINT = "your bytes have no line end yet: a message is sent when it ends with a newline (\\n)"
MAX_LONG_LINES = 3
_HTTP = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r?")
_TLS_HANDSHAKE = b"\x16\x03"
_WRONG_DOOR = "this is a chat, for nc and telnet; {} is spoken elsewhere"


class LineSession(Session, LineReceiver):
    """A client whose messages are lines: nc, telnet, and most programs."""

    delimiter = b"\n"

    def __init__(self, room: Room, peer: str) -> None:
        super().__init__(room, peer)
        self._telnet = Filter()
        self._lines: list[bytes] = []
        self._rest = b""  # what LineReceiver gave back, to be read in the other of its modes
        self._long_lines = 0
        self._first = True  # no line has come yet
        self._head: bytes | None = b""  # the first two bytes, until they have been looked at
        self._hint: IDelayedCall | None = None
        self._hinted = False

    def apply(self, settings: Settings) -> None:
        super().apply(settings)
        # One byte more for the CR of a CR LF.
        self.MAX_LENGTH = self.longest + 1

    def dataReceived(self, data: bytes) -> None:
        self.count(data)
        if self.closing:
            return
        if self._head is not None and self._spoke_tls(data):
            self.dismiss(_WRONG_DOOR.format("TLS"), "spoke TLS")
            return
        data, replies = self._telnet.feed(data)
        if replies:
            self.deliver(replies)
        super().dataReceived(data)
        while self._rest:
            rest, self._rest = self._rest, b""
            super().dataReceived(rest)
        self._hand_over()
        if data and not self._hinted:
            self._watch_for_a_line_end(data)

    def lineReceived(self, line: bytes) -> None:
        if len(line) > self.longest and not line.endswith(b"\r"):
            self._refuse()
            return
        self._long_lines = 0
        self._lines.append(line)
        self.spend()

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line is too long; `line` is all that is buffered from its start on."""
        if self._refuse():
            self.setRawMode()
            self._rest = line

    def _refuse(self) -> bool:
        """Refuse a line that is too long; returns whether the client may go on."""
        self._hand_over()
        if self.closing:
            return False
        self._long_lines += 1
        longest = self.longest
        if self._long_lines >= MAX_LONG_LINES:
            why = f"{MAX_LONG_LINES} lines in a row were longer than {longest} bytes"
            self.dismiss(f"{why}; goodbye", why)
            return False
        self.tell(f"a line may have {longest} bytes; yours was longer and is not passed on")
        return True

    def rawDataReceived(self, data: bytes) -> None:
        """Skip the rest of a line that is too long."""
        _, end, rest = data.partition(self.delimiter)
        if end:
            self.setLineMode()
            self._rest = rest

    def last_words(self) -> None:
        if self.line_mode and (last := self.clearLineBuffer()):
            self.lineReceived(last)
            self._hand_over()

    def _hand_over(self) -> None:
        lines, self._lines = self._lines, []
        if not lines:
            return
        if self._first:
            self._first = False
            if _HTTP.fullmatch(lines[0]):
                self.dismiss(_WRONG_DOOR.format("HTTP"), "spoke HTTP")
                return
            if lines[0].endswith(b"\r"):
                self.style = Style.of(self.style.encoding, "\r\n")
        self.speak([line.removesuffix(b"\r") for line in lines])

    def _spoke_tls(self, data: bytes) -> bool:
        assert self._head is not None
        head = self._head + data[:2]
        self._head = head if len(head) < len(_TLS_HANDSHAKE) else None
        return head.startswith(_TLS_HANDSHAKE)

    def _watch_for_a_line_end(self, data: bytes) -> None:
        """Start or stop the clock for the hint, which a client gets once."""
        if self._hint is not None and b"\n" in data:
            if self._hint.active():
                self._hint.cancel()
            self._hint = None
        if self._hint is None and not data.endswith(b"\n"):
            self._hint = self.room.reactor.callLater(HINT_S, self._give_hint)

    def _give_hint(self) -> None:
        if self.held:  # what stands without an end may only wait for its turn
            self._hint = self.room.reactor.callLater(HINT_S, self._give_hint)
        elif not self.closing and self.line_mode:
            self._hinted = True
            self.tell(HINT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._hint is not None and self._hint.active():
            self._hint.cancel()
        super().connectionLost(reason)


class RawSession(Session, LineReceiver):
    """A client that sends no line ends: each chunk is a message."""

    def __init__(self, room: Room, peer: str) -> None:
        super().__init__(room, peer)
        self.setRawMode()
        self._chunks: deque[bytes] = deque()  # that came while the client was held
        self._part = b""  # of a character that came in two chunks

    def greeted(self) -> bool:
        """A program that wants its own bytes back wants nothing else."""
        return self.hub.mode != "echo"

    def dataReceived(self, data: bytes) -> None:
        self.count(data)
        if data:
            self._chunks.append(data)
        while self._chunks and not self.paused:
            super().dataReceived(self._chunks.popleft())

    def rawDataReceived(self, data: bytes) -> None:
        if self.closing:
            return
        if self.hub.mode == "echo" and self in self.hub.seats:
            self.spend()
            self.hub.echo(self, data, r"\n".join(self._decoder.decode(data.split(b"\n"))))
            return
        data = self._part + data
        cut = len(data) - unfinished(data, self.style.encoding)
        data, self._part = data[:cut], data[cut:]
        self._take(data)

    def last_words(self) -> None:
        part, self._part = self._part, b""
        self._take(part)

    def _take(self, data: bytes) -> None:
        if len(data) > self.longest:
            self.tell(f"a message may have {self.longest} bytes; yours was longer")
        elif data:
            self.spend()
            self.speak([_one_line(data)])


class LengthSession(Session, Int32StringReceiver):
    """A client that sends the length of each message before it, and gets it so."""

    end = ""

    def __init__(self, room: Room, peer: str) -> None:
        super().__init__(room, peer)
        self._texts: list[bytes] = []

    def apply(self, settings: Settings) -> None:
        super().apply(settings)
        self.MAX_LENGTH = self.longest

    def dataReceived(self, data: bytes) -> None:
        self.count(data)
        if self.closing:
            return
        super().dataReceived(data)
        texts, self._texts = self._texts, []
        self.speak(texts)

    def stringReceived(self, string: bytes) -> None:
        self._texts.append(_one_line(string))
        self.spend()

    def lengthLimitExceeded(self, length: int) -> None:
        """What follows a wrong length cannot be read: it ends the connection."""
        texts, self._texts = self._texts, []
        self.speak(texts)
        self.dismiss(
            f"each message begins with its length in 4 bytes, big-endian; yours says {length}, "
            f"{self.longest} is the most",
            f"sent the length {length}",
        )


def _one_line(message: bytes) -> bytes:
    """A message that may hold line ends as a line that holds none: at its end they go."""
    return message.removesuffix(b"\n").removesuffix(b"\r").replace(b"\n", rb"\n")


AnySession: TypeAlias = LineSession | RawSession | LengthSession
FRAMINGS: dict[str, type[AnySession]] = {
    "line": LineSession,
    "raw": RawSession,
    "length": LengthSession,
}


class Listener(Factory):
    """What builds the sessions of one listener."""

    noisy = False

    def __init__(self, room: Room, framing: str) -> None:
        """:param framing: a key of `FRAMINGS`."""
        self._room = room
        self._session = FRAMINGS[framing]

    def buildProtocol(self, addr: IAddress | None) -> AnySession:
        return self._session(self._room, peer_name(addr))
