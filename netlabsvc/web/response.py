"""The client's reading of an HTTP/1.1 response (RFC 9112): bytes in, events out.

It knows no connection. It is strict where a mistake would tear or mix up bodies, and patient where
a server by a beginner is merely sparse: bare LF, no reason phrase, no headers at all.

    Head(100)*  Head(status)  Body*  End
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MOST_HEAD_BYTES = 256 * 1024
MOST_LINE_BYTES = 64 * 1024

_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d) +(\d{3})(?:[ \t]+(.*))?")
_CHUNK_LINE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_DIGITS = re.compile(rb"\d{1,18}")


class BadResponse(ValueError):
    """What came is no HTTP/1.1 response; the message names the place."""


class Truncated(Exception):
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


@dataclass(frozen=True)
class Body:
    """Some bytes of the body, decoded of any chunks."""

    data: bytes


@dataclass(frozen=True)
class End:
    """The response is complete."""


Event = Head | Body | End


class Response:
    """Reads one response. Feed it what comes; tell it when the connection has ended."""

    def __init__(self, method: str = "GET") -> None:
        self._method = method
        self._buffer = b""
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._left = 0
        self._read: Callable[[], list[Event] | None] | None = self._read_head

    @property
    def complete(self) -> bool:
        return self._read is None

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes say. Bytes after the end of the response are dropped.

        :raises BadResponse: they are no response.
        """
        self._buffer += data
        events: list[Event] = []
        while self._read is not None:
            found = self._read()
            if found is None:
                return events
            events += found
        self._buffer = b""
        return events

    def end(self) -> list[Event]:
        """What the end of the connection says.

        :raises Truncated: more was to come.
        """
        if self._read == self._read_to_the_end:
            self._read = None
            return [End()]
        if self._read is None:
            return []
        if self._read == self._read_head:
            raise Truncated("before the end of the headers")
        raise Truncated(f"{self._left} bytes missing" if self._left else "in the chunks")

    # One method for each state: its events, or None when more bytes are needed.

    def _read_head(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        if not self._head and not _STATUS_LINE.fullmatch(line.rstrip(b"\r\n")):
            raise BadResponse(f"no HTTP/1.1 status line: {line[:60]!r}")
        self._head.append(line)
        self._head_bytes += len(line)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise BadResponse(f"more than {MOST_HEAD_BYTES} bytes of headers")
        if line.rstrip(b"\r\n"):
            return []
        head = _parse_head(self._head)
        self._head, self._head_bytes = [], 0
        if head.status == 101:
            raise BadResponse("101 Switching Protocols, which nobody asked for")
        if head.status < 200:
            return [head]
        return [head, *self._begin_body(head)]

    def _begin_body(self, head: Head) -> list[Event]:
        """How the body ends, by RFC 9112 section 6.3."""
        codings = b",".join(head.values(b"transfer-encoding")).strip().lower()
        if self._method == "HEAD" or head.status in (204, 304):
            return self._finish()
        if codings == b"chunked":
            self._read = self._read_chunk_line
        elif codings:
            raise BadResponse(f"an unknown Transfer-Encoding: {codings[:60]!r}")
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
        data, self._buffer = self._buffer, b""
        return [Body(data)] if data else None

    def _read_chunk_line(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        found = _CHUNK_LINE.fullmatch(line.rstrip(b"\r\n"))
        if not found:
            raise BadResponse(f"no size of a chunk: {line[:60]!r}")
        self._left = int(found[1], 16)
        self._read = self._read_chunk if self._left else self._read_trailer
        return []

    def _read_chunk(self) -> list[Event] | None:
        body = self._take()
        if not self._left:
            self._read = self._read_chunk_end
        return body

    def _read_chunk_end(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        if line.rstrip(b"\r\n"):
            raise BadResponse(f"a chunk is longer than its size: {line[:60]!r}")
        self._read = self._read_chunk_line
        return []

    def _read_trailer(self) -> list[Event] | None:
        line = self._line()
        if line is None:
            return None
        self._head_bytes += len(line)
        if self._head_bytes > MOST_HEAD_BYTES:
            raise BadResponse(f"more than {MOST_HEAD_BYTES} bytes of trailers")
        return [] if line.rstrip(b"\r\n") else self._finish()

    def _finish(self) -> list[Event]:
        self._read = None
        return [End()]

    def _take(self) -> list[Event] | None:
        """Up to `_left` bytes of body."""
        if not self._buffer:
            return None
        data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(data)
        return [Body(data)]

    def _line(self) -> bytes | None:
        """The next line with its end."""
        line, newline, rest = self._buffer.partition(b"\n")
        if len(line) > MOST_LINE_BYTES:
            raise BadResponse(f"a line of more than {MOST_LINE_BYTES} bytes")
        if not newline:
            return None
        self._buffer = rest
        return line + newline


def _parse_head(lines: list[bytes]) -> Head:
    found = _STATUS_LINE.fullmatch(lines[0].rstrip(b"\r\n"))
    assert found is not None
    headers: list[tuple[bytes, bytes]] = []
    for line in lines[1:-1]:
        name, colon, value = line.partition(b":")
        if line[:1] in b" \t" and headers:  # obs-fold
            last, text = headers.pop()
            headers.append((last, text + b" " + line.strip()))
        elif not colon or not name.strip():
            raise BadResponse(f"no header: {line[:60]!r}")
        else:
            headers.append((name.strip().lower(), value.strip()))
    version, status, reason = found.groups()
    return Head(version, int(status), reason or b"", tuple(headers), b"".join(lines))


def _length(values: list[bytes]) -> int:
    """The one length that all Content-Length headers name."""
    lengths = {part.strip() for value in values for part in value.split(b",")}
    if len(lengths) != 1 or not _DIGITS.fullmatch(length := lengths.pop()):
        raise BadResponse(f"no Content-Length: {b', '.join(values)[:60]!r}")
    return int(length)
