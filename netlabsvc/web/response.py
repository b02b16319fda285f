"""The client's reading of an HTTP/1.1 response (RFC 9112): bytes in, events out.

It knows no connection. It is strict where a mistake would tear or mix up bodies, and patient where
a server by a beginner is merely sparse or careless: what it puts up with, it remarks on.

    Head(1xx)*  Head(status) Remark*  Body*  Trailer?  End
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from netlabsvc.web.failure import Failed, Status

#: As curl has it.
MOST_HEAD_BYTES = 300 * 1024
MOST_LINE_BYTES = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/(1\.\d) +([1-9]\d\d)(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL)
_CHUNK_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_DIGITS = re.compile(rb"\d{1,18}")


class BadResponse(Failed):
    """What came is no HTTP/1.1 response; the message names the place."""


class Truncated(Failed):
    """The connection ended before the response did."""


@dataclass(frozen=True)
class Head:
    """A status line and headers; a status below 200 announces that another one follows."""

    version: bytes
    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case, in the order they came."""
    raw: bytes
    """As it came, with the empty line."""

    def values(self, name: bytes) -> list[bytes]:
        """The values of a header, by its name in lower case."""
        return [value for known, value in self.headers if known == name]

    def texts(self, name: bytes) -> list[str]:
        """The same as text; what is no ASCII becomes U+FFFD."""
        return [value.decode("ascii", "replace") for value in self.values(name)]

    @property
    def length_bytes(self) -> int | None:
        """What Content-Length says, where it says how long the body is."""
        lengths = [] if self.values(b"transfer-encoding") else self.values(b"content-length")
        return _length(lengths) if lengths else None


@dataclass(frozen=True)
class Remark:
    """Something that HTTP has otherwise, and that did no harm here; to be said of the server."""

    text: str


@dataclass(frozen=True)
class Body:
    """Some bytes of the body, decoded of any chunks."""

    data: bytes


@dataclass(frozen=True)
class Trailer:
    """The trailer section after the last chunk, as it came, with the empty line."""

    raw: bytes


@dataclass(frozen=True)
class End:
    """The response is complete."""


Event = Head | Remark | Body | Trailer | End


class Response:
    """Reads one response. Feed it what comes; tell it when the connection has ended.

    :ivar excess_bytes: what came after the end of the response, and was dropped.
    """

    def __init__(self, method: str = "GET") -> None:
        self._method = method
        self._buffer = b""
        self._at = 0
        self._lines: list[bytes] = []
        self._head_bytes = 0
        self._left = 0
        self._read: Callable[[], list[Event] | None] | None = self._read_head
        self.excess_bytes = 0

    @property
    def complete(self) -> bool:
        return self._read is None

    def feed(self, data: bytes) -> Iterator[Event]:
        """What the next bytes say. Take all of it before feeding more.

        :raises BadResponse: they are no response; what came before the mistake is given first.
        """
        self._buffer = self._buffer[self._at :] + data if self._at < len(self._buffer) else data
        self._at = 0
        pieces: list[bytes] = []
        try:
            while self._read is not None and (found := self._read()) is not None:
                for event in found:
                    if isinstance(event, Body):
                        pieces.append(event.data)
                        continue
                    yield from _joined(pieces)
                    yield event
        except BadResponse:
            yield from _joined(pieces)
            raise
        yield from _joined(pieces)
        if self._read is None:
            self.excess_bytes += len(self._buffer) - self._at
            self._buffer, self._at = b"", 0

    def end(self) -> list[Event]:
        """What the end of the connection says.

        :raises Truncated: more was to come.
        """
        if self._read is None:
            return []
        if self._read == self._read_to_the_end:
            self._read = None
            return [End()]
        if self._read == self._read_head:
            if not self._lines:
                raise Truncated(Status.GOT_NOTHING, "before it sent a whole status line")
            raise _truncated("before the end of the headers")
        raise _truncated(f"{self._left} bytes missing" if self._left else "in the chunks")

    # One method for each state: its events, or None when more bytes are needed.

    def _read_head(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            self._refuse_early()
            return None
        if not self._lines and not _STATUS_LINE.fullmatch(line.rstrip(b"\r\n")):
            raise _no_status_line(line)
        self._count_head(line)
        if line.rstrip(b"\r\n"):
            return []
        head, remarks = _parse_head(self._lines)
        self._lines = []
        if head.status == 101:
            raise _bad("101 Switching Protocols, which nobody asked for")
        if head.status < 200:
            return [head, *remarks]
        body = self._begin_body(head)
        return [head, *remarks, *body]

    def _refuse_early(self) -> None:
        """Who speaks no HTTP at all may never end the line."""
        start = self._buffer[self._at : self._at + 5].upper()
        if not self._lines and not b"HTTP/".startswith(start):
            raise _no_status_line(self._buffer[self._at :])

    def _count_head(self, line: bytes) -> None:
        self._lines.append(line)
        self._head_bytes += len(line)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise _torn(f"more than {MOST_HEAD_BYTES} bytes of headers")

    def _begin_body(self, head: Head) -> list[Event]:
        """How the body ends, by RFC 9112 section 6.3."""
        codings = b",".join(head.values(b"transfer-encoding")).strip().lower()
        if self._method == "HEAD" or head.status in (204, 304):
            return self._finish()
        if codings == b"chunked":
            self._read = self._read_chunk_line
        elif codings not in (b"", b"identity"):
            why = f"an unknown Transfer-Encoding: {codings[:60]!r}"
            raise BadResponse(Status.BAD_CONTENT_ENCODING, why)
        elif lengths := head.values(b"content-length"):
            self._left = _length(lengths)
            if not self._left:
                return self._finish()
            self._read = self._read_counted
        else:
            self._read = self._read_to_the_end
        return []

    def _read_counted(self) -> list[Event] | None:
        body = self._take()
        if self._left:
            return body
        return (body or []) + self._finish()

    def _read_to_the_end(self) -> list[Event] | None:
        data, self._buffer, self._at = self._buffer[self._at :], b"", 0
        return [Body(data)] if data else None

    def _read_chunk_line(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        found = _CHUNK_LINE.fullmatch(line.rstrip(b"\r\n"))
        if not found:
            raise _torn(f"a chunk without a size: {line[:60]!r}")
        self._left = int(found[1], 16)
        self._read = self._read_chunk if self._left else self._read_trailer
        return []

    def _read_chunk(self) -> list[Event] | None:
        body = self._take()
        if not self._left:
            self._read = self._read_chunk_end
        return body

    def _read_chunk_end(self) -> list[Event] | None:
        end = self._buffer[self._at : self._at + 2]
        if not (end == b"\r\n" or end[:1] == b"\n"):
            if end in (b"", b"\r"):
                return None
            raise _torn(f"a chunk that is longer than its size: {end!r} after its last byte")
        self._at += 2 if end == b"\r\n" else 1
        self._read = self._read_chunk_line
        return []

    def _read_trailer(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        self._count_head(line)
        if line.rstrip(b"\r\n"):
            return []
        trailer: list[Event] = [Trailer(b"".join(self._lines))] if len(self._lines) > 1 else []
        return trailer + self._finish()

    def _finish(self) -> list[Event]:
        self._read = None
        return [End()]

    def _take(self) -> list[Event] | None:
        """Up to `_left` bytes of body."""
        data = self._buffer[self._at : self._at + self._left]
        if not data:
            return None
        self._at += len(data)
        self._left -= len(data)
        return [Body(data)]

    def _line(self) -> bytes | None:
        """The next line with its end."""
        newline = self._buffer.find(b"\n", self._at, self._at + MOST_LINE_BYTES)
        if newline < 0:
            if len(self._buffer) - self._at >= MOST_LINE_BYTES:
                raise _torn(f"a line of more than {MOST_LINE_BYTES} bytes")
            return None
        line = self._buffer[self._at : newline + 1]
        self._at = newline + 1
        return line


def _joined(pieces: list[bytes]) -> Iterator[Event]:
    """The pieces of a body as one, which are then none any more: a chunk may be a single byte."""
    if pieces:
        yield Body(b"".join(pieces) if len(pieces) > 1 else pieces[0])
        pieces.clear()


def _parse_head(lines: list[bytes]) -> tuple[Head, list[Event]]:
    found = _STATUS_LINE.fullmatch(lines[0].rstrip(b"\r\n"))
    assert found is not None
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[1:-1]:
        name, colon, value = line.partition(b":")
        if line[:1] in b" \t" and headers:  # obs-fold
            last, text = headers.pop()
            headers.append((last, text + b" " + line.strip()))
        elif not colon or not name.strip():
            raise _bad(f"a line that is no header, for want of a colon: {line[:60]!r}")
        else:
            headers.append((name.strip().lower(), value.strip()))
    version, status, reason = found.groups()
    head = Head(version, int(status), reason or b"", tuple(headers), b"".join(lines))
    return head, [Remark(text) for text in _remarks(head, lines)]


def _remarks(head: Head, lines: list[bytes]) -> Iterator[str]:
    """What a server should mend."""
    if not all(line.endswith(b"\r\n") for line in lines):
        yield r"ends lines of its header with LF alone; HTTP wants CR LF ('\r\n')"
    if not lines[0].startswith(b"HTTP/"):
        yield "writes 'HTTP' in small letters"
    if any(b" :" in line.partition(b":")[0] + b":" for line in lines[1:-1]):
        yield "has a space before the colon of a header"
    codings = b",".join(head.values(b"transfer-encoding")).lower()
    if codings not in (b"", b"identity") and head.values(b"content-length"):
        yield "sends Content-Length and Transfer-Encoding; the former does not count"


def _length(values: list[bytes]) -> int:
    """The one length that all Content-Length headers name."""
    lengths = {part.strip() for value in values for part in value.split(b",")}
    if len(lengths) != 1 or not _DIGITS.fullmatch(length := lengths.pop()):
        raise _bad(f"a Content-Length that is no length: {b', '.join(values)[:60]!r}")
    return int(length)


def _bad(why: str) -> BadResponse:
    return BadResponse(Status.WEIRD_SERVER_REPLY, why)


def _torn(why: str) -> BadResponse:
    return BadResponse(Status.RECV_ERROR, why)


def _no_status_line(line: bytes) -> BadResponse:
    why = f"no HTTP/1.1 status line but {line[:60]!r}"
    return BadResponse(Status.UNSUPPORTED_PROTOCOL, why)


def _truncated(why: str) -> Truncated:
    return Truncated(Status.PARTIAL_FILE, why)
