"""Which bytes a Range header asks for (RFC 9110 section 14), and the body that answers several.

bytes=0-499    the first 500        bytes=500-   all from the 501st
bytes=-500     the last 500         bytes=0-0,-1 the first and the last

Several ranges are answered as multipart/byteranges (section 14.6):

    --BOUNDARY CRLF Content-Type: text/plain CRLF Content-Range: bytes 0-0/1000 CRLF CRLF  bytes
    CRLF --BOUNDARY CRLF ...                                                               bytes
    CRLF --BOUNDARY-- CRLF

It knows sizes, no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: More ranges than this in one header are nobody's download; the whole file answers them.
MOST = 16

_SPEC = re.compile(rb"([0-9]*)-([0-9]*)")


class Unsatisfiable(ValueError):
    """No byte of the file is in any range; answered with 416."""


@dataclass(frozen=True)
class Range:
    """Bytes `first` to `last`, both included, counted from 0."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1

    def content_range(self, size_bytes: int) -> bytes:
        """The value of Content-Range."""
        return b"bytes %d-%d/%d" % (self.first, self.last, size_bytes)


def parse(value: bytes, size_bytes: int) -> list[Range] | None:
    """The ranges that overlap a file of that size, in the order they were asked for.

    Those that overlap or touch each other are one, in the place of the first of them.
    None where the header is to be ignored: another unit, not well formed, or too many ranges.

    :raises Unsatisfiable: well formed, and outside the file.
    """
    unit, equals, specs = value.partition(b"=")
    if not equals or unit.strip().lower() != b"bytes" or specs.count(b",") >= MOST:
        return None
    found = []
    for spec in filter(None, (part.strip(b" \t") for part in specs.split(b","))):
        match = _SPEC.fullmatch(spec)
        if match is None or spec == b"-":
            return None
        first, last = (_number(digits) for digits in match.groups())
        if first is None:
            assert last is not None
            first, last = max(0, size_bytes - last), size_bytes - 1
        elif last is not None and last < first:
            return None
        end = size_bytes - 1 if last is None else min(last, size_bytes - 1)
        found.append(Range(first, end))
    if not found:
        return None
    satisfiable = [r for r in found if r.first <= r.last]
    if not satisfiable:
        raise Unsatisfiable(f"the file has {size_bytes} bytes")
    return merged(satisfiable)


def merged(wanted: Iterable[Range]) -> list[Range]:
    """Ranges of which no two overlap or touch: no byte is sent twice."""
    apart: list[Range] = []
    for one in wanted:
        touching = [r for r in apart if one.first <= r.last + 1 and r.first <= one.last + 1]
        place = apart.index(touching[0]) if touching else len(apart)
        group = [*touching, one]
        apart = [r for r in apart if r not in touching]
        apart.insert(place, Range(min(r.first for r in group), max(r.last for r in group)))
    return apart


@dataclass(frozen=True)
class Multipart:
    """The body of a 206 with several ranges.

    :ivar heads: what stands before each part.
    :ivar tail: what stands after the last one.
    """

    parts: Sequence[Range]
    heads: Sequence[bytes]
    tail: bytes

    @property
    def length(self) -> int:
        return sum(map(len, self.heads)) + sum(p.length for p in self.parts) + len(self.tail)


def multipart(
    parts: Sequence[Range], size_bytes: int, content_type: bytes, boundary: bytes
) -> Multipart:
    """Lay out the body for some ranges of a file.

    :param boundary: must not occur in the file, which only chance can promise.
    """
    heads = [
        b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n"
        % (boundary, content_type, part.content_range(size_bytes))
        for part in parts
    ]
    heads[0] = heads[0].removeprefix(b"\r\n")
    return Multipart(parts, heads, b"\r\n--%b--\r\n" % boundary)


def _number(digits: bytes) -> int | None:
    """A number of any length; one that no file can reach stands for all of them."""
    if not digits:
        return None
    return int(digits) if len(digits) < 19 else 10**18
