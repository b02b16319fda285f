"""What an irtt client asks for when it opens a session, and what it is granted.

A sequence of pairs, in any order; zero values are left out, unknown types skipped:

    +----------------+---------------------+
    | type, uvarint  | value, varint       |     9: +---------+-----------------+------+
    +----------------+---------------------+        | uvarint | length, uvarint | text |
                                                     +---------+-----------------+------+
    1 protocol version   2 duration, ns     3 interval, ns   4 length, bytes
    5 received stats: 1 count, 2 window     6 stamps: 1 send, 2 receive, 4 midpoint
    7 clocks: 1 wall, 2 monotonic           8 DSCP           9 server fill, at most 32 bytes

A uvarint holds 7 bits in each byte, the lowest first, and bit 7 of all but the last is set; a
varint is one of its zig-zag form: 0, -1, 1, -2 are 0, 1, 2, 3. Both have 64 bits at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

VERSION = 1
#: More than any client sends.
MOST_BYTES = 128
MOST_FILL_BYTES = 32
_FILL_TYPE = 9
_NAMES = ("version", "duration_ns", "interval_ns", "length_bytes", "stats", "stamps", "clocks")
_NAME_OF = dict(enumerate((*_NAMES, "dscp"), 1))

COUNT, WINDOW = 1, 2
SEND, RECEIVE, MIDPOINT = 1, 2, 4
WALL, MONOTONIC = 1, 2

_FILL = re.compile(rb"none|rand|pattern(?::(?:[0-9a-fA-F]{2})+)?")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server grants at most.

    :ivar duration_ns: None: no limit.
    :ivar interval_ns: the least.
    :ivar most_interval_ns: so that a session of slow probes does not end as an idle one.
    """

    duration_ns: int | None = None
    interval_ns: int = 10**7
    most_interval_ns: int = 75 * 10**9
    length_bytes: int = 65507


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a session; 0 and an empty fill stand for those that were left out."""

    version: int = 0
    duration_ns: int = 0
    interval_ns: int = 0
    length_bytes: int = 0
    stats: int = 0
    stamps: int = 0
    clocks: int = 0
    dscp: int = 0
    #: ``none``, ``rand``, ``pattern`` or ``pattern:`` and hex digits.
    fill: bytes = b""

    def encode(self) -> bytes:
        """The bytes of these parameters."""
        parts = []
        for kind, name in _NAME_OF.items():
            if value := getattr(self, name):
                parts.append(uvarint(kind) + varint(value))
        if self.fill:
            parts.append(uvarint(_FILL_TYPE) + uvarint(len(self.fill)) + self.fill)
        return b"".join(parts)

    def granted(self, limits: Limits) -> Parameters:
        """These parameters within limits; what cannot be done is left out.

        No reply can be sent with a DSCP of its own so far.
        """
        duration_ns = self.duration_ns
        if limits.duration_ns is not None:
            duration_ns = min(duration_ns, limits.duration_ns)
        return replace(
            self,
            duration_ns=duration_ns,
            interval_ns=min(max(self.interval_ns, limits.interval_ns), limits.most_interval_ns),
            length_bytes=min(self.length_bytes, limits.length_bytes),
            dscp=0,
            fill=self.fill if _FILL.fullmatch(self.fill) else b"",
        )


def parse(data: bytes) -> Parameters:
    """Read parameters. Of another version no more than that is read.

    :raises ValueError: where they are cut off, do not fit into 64 bits or make no sense.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"{len(data)} bytes of parameters, more than {MOST_BYTES}")
    values: dict[str, int] = {}
    fill = b""
    for kind, value in _pairs(data):
        if isinstance(value, bytes):
            fill = value
        elif kind in _NAME_OF:
            values[_NAME_OF[kind]] = value
    parameters = Parameters(**values, fill=fill)
    if parameters.version != VERSION:
        return Parameters(version=parameters.version)
    _check(parameters)
    return parameters


def _check(asked: Parameters) -> None:
    if asked.duration_ns <= 0 or asked.interval_ns <= 0:
        raise ValueError("duration and interval are more than 0")
    if asked.length_bytes < 0:
        raise ValueError("a length is not negative")
    if not 0 <= asked.stats <= COUNT | WINDOW or not 0 <= asked.stamps <= MIDPOINT:
        raise ValueError("unknown bits in received stats or stamps")
    if not 0 <= asked.clocks <= WALL | MONOTONIC or (asked.stamps and not asked.clocks):
        raise ValueError("stamps need a clock, 1 to 3")


def _pairs(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        kind, at = read_uvarint(data, at)
        number, at = read_uvarint(data, at)
        if kind != _FILL_TYPE:
            yield kind, number >> 1 ^ -(number & 1)
            continue
        if number > MOST_FILL_BYTES or number > len(data) - at:
            raise ValueError(f"a server fill of {number} bytes")
        yield kind, data[at : at + number]
        at += number


def read_uvarint(data: bytes, at: int) -> tuple[int, int]:
    """A uvarint, and where it ends.

    :raises ValueError: where it is cut off or needs more than 64 bits.
    """
    value = 0
    for i in range(10):
        if at + i >= len(data):
            raise ValueError("a varint is cut off")
        byte = data[at + i]
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + i + 1
    raise ValueError("a varint of more than 64 bits")


def uvarint(value: int) -> bytes:
    """The bytes of a uvarint."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(value: int) -> bytes:
    """The bytes of a varint: -2^63 to 2^63 - 1."""
    return uvarint(value << 1 if value >= 0 else (-value << 1) - 1)
