r"""The mail data between DATA and its final dot, on the wire: RFC 5321 4.5.2, Transparency.

    the message                    on the wire
    --------------------------     ---------------------------------
    a line that starts with .      the same line behind one more dot
    the end, after a CRLF          .CRLF

Only CRLF.CRLF ends a message; a bare CR or LF is a character like any other (RFC 5321 2.3.8: to
take ``LF.LF`` for the end lets one message smuggle in another). `Body` reads it, `Stuffed` writes
it. Neither knows commands, replies or sockets.
"""

from __future__ import annotations

from io import BytesIO

END = b"\r\n.\r\n"
#: RFC 5321 4.5.3.1.6 allows 998; a sandbox takes what programs really send, up to here.
MAX_BODY_LINE_BYTES = 65536


class Body:
    """One message being received, each dot that was put before a line taken off again.

    Beyond a limit it stops storing and goes on reading to the real end: what follows in the
    message must never be taken for commands.
    """

    def __init__(self, max_size: int) -> None:
        """:param max_size: in bytes, stuffed dots not counted (RFC 1870 section 6)."""
        self._max_size = max_size
        self._message = bytearray()
        self._line_start = 0
        self._fresh = True
        self.size = 0
        self.line_too_long = False
        #: Lines that begin with one dot, where their client should have put another before it.
        self.not_stuffed = 0

    @property
    def too_large(self) -> bool:
        return self.size > self._max_size

    @property
    def message(self) -> bytes:
        """What was received, byte for byte; only part of it once a limit was passed."""
        return bytes(self._message)

    def take(self, received: bytearray) -> bool:
        """Take from the front of `received` what belongs to the message; True at its end."""
        if self._fresh:  # the CRLF of DATA is the one before a dot that comes first
            if received.startswith(END[2:]):
                del received[: len(END) - 2]
                return True
            if END[2:].startswith(received):
                return False  # too little to tell
            self.not_stuffed += received[:1] == b"." != received[1:2]
            del received[: received.startswith(b".")]
            self._fresh = False
        end = received.find(END)
        length = len(received) - _held_back(received) if end < 0 else end + 2
        block = received[:length]
        if dots := block.count(b"\r\n."):
            self.not_stuffed += dots - block.count(b"\r\n..")
            block = block.replace(b"\r\n.", b"\r\n")
        self._store(block)
        del received[: length if end < 0 else end + len(END)]
        return end >= 0

    def _store(self, data: bytearray) -> None:
        self.size += len(data)
        if self.too_large or self.line_too_long:
            self._message.clear()
            return
        self._message += data
        # Skip whole lines, as many as fit into the longest line allowed, at each step.
        while len(self._message) - self._line_start > MAX_BODY_LINE_BYTES:
            stop = self._line_start + MAX_BODY_LINE_BYTES + 2
            newline = self._message.rfind(b"\r\n", self._line_start, stop)
            if newline < 0:
                self.line_too_long = True
                return
            self._line_start = newline + 2


class Stuffed:
    """A message as a file that reads as it must look on the wire, its final dot included.

    Line ends (CR LF, and CR or LF alone, which RFC 5321 2.3.8 forbids to send) come out as CRLF.
    """

    def __init__(self, message: bytes) -> None:
        self._message = BytesIO(message)
        self._after_cr = False
        self._at_line_start = True
        self._ended = False

    def read(self, size: int) -> bytes:
        """What the next `size` bytes of the message become; empty only after the end."""
        while block := self._message.read(size):
            if data := self._stuff(block):
                return data
        if self._ended:
            return b""
        self._ended = True
        return END[2:] if self._at_line_start else END

    def _stuff(self, block: bytes) -> bytes:
        """May come out empty: a CR is written as CRLF at once, so an LF that follows adds none."""
        after_cr, self._after_cr = self._after_cr, block.endswith(b"\r")
        if after_cr:
            block = block.removeprefix(b"\n")
        lines = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
        data = lines.replace(b"\r\n.", b"\r\n..")
        if self._at_line_start and data.startswith(b"."):
            data = b"." + data
        if data:
            self._at_line_start = data.endswith(b"\n")
        return data


def on_wire(message: bytes) -> bytes:
    """The whole of a message as it must look on the wire, its final dot included."""
    pairs = message.count(b"\r\n")
    if pairs == message.count(b"\n") == message.count(b"\r") and message.endswith(b"\r\n"):
        # As it is nearly always; nothing but dots is to be changed.
        dot = b"." if message.startswith(b".") else b""
        return dot + message.replace(b"\r\n.", b"\r\n..") + END[2:]
    stuffed = Stuffed(message)
    return b"".join(iter(lambda: stuffed.read(len(message) or 1), b""))


def wire_size(message: bytes) -> int:
    """How many bytes a message has once every line ends with CRLF, dots not doubled."""
    pairs = message.count(b"\r\n")
    bare = message.count(b"\r") + message.count(b"\n") - 2 * pairs
    return len(message) + bare + (0 if message.endswith((b"\r", b"\n")) or not message else 2)


def _held_back(received: bytearray) -> int:
    """How many of the last bytes could be the beginning of the end."""
    return next((n for n in range(len(END) - 1, 0, -1) if received.endswith(END[:n])), 0)
