"""Which bytes a Range header asks for (RFC 9110 section 14). It knows sizes, no files.

bytes=0-499    the first 500        bytes=500-   all from the 501st
bytes=-500     the last 500         bytes=0-0,-1 the first and the last
"""

from __future__ import annotations

import re
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


def parse(value: bytes, size_bytes: int) -> list[Range] | None:
    """The ranges that overlap a file of that size, in the order they were asked for.

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
    return satisfiable


def _number(digits: bytes) -> int | None:
    """A number of any length; one that no file can reach stands for all of them."""
    if not digits:
        return None
    return int(digits) if len(digits) < 19 else 10**18
