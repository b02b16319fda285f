"""Time stamps of NTP and PTP from and to integer nanoseconds, and the Error Estimate.

    NTP (RFC 5905, section 6)           PTP, truncated (IEEE 1588-2008; RFC 8186)
    +----------------+----------------+ +----------------+----------------+
    | seconds, 1900  | 2^-32 seconds  | | seconds        | nanoseconds    |
    +----------------+----------------+ +----------------+----------------+
      32 bits          32 bits            32 bits          32 bits

    Error Estimate (RFC 4656, section 4.1.2; RFC 8186, section 2.1)
     15  14  13 .. 8  7 .. 0
    +---+---+--------+------------+     error in seconds = Multiplier * 2^(Scale - 32)
    | S | Z | Scale  | Multiplier |     S: synchronised to UTC; Z: 0 NTP, 1 PTP
    +---+---+--------+------------+

Everything is an integer, because a float holds a wall clock only to 238 ns. Seconds wrap at 2^32
(NTP in 2036): the era is the one that brings the result nearest to a given time.
"""

from __future__ import annotations

from typing import NamedTuple

SECOND_NS = 10**9
#: From 1900-01-01 to 1970-01-01.
EPOCH_S = 2_208_988_800
_EPOCH_NS = EPOCH_S * SECOND_NS
_ERA_NS = SECOND_NS << 32
_MASK = (1 << 64) - 1


def from_unix_ns(unix_ns: int) -> int:
    """The NTP time stamp of a time: 64 bits. Fractions of its unit, 0.23 ns, are cut."""
    return ((unix_ns + _EPOCH_NS << 32) // SECOND_NS) & _MASK


def to_unix_ns(stamp: int, near_ns: int) -> int:
    """The time of an NTP time stamp, exact for what `from_unix_ns` made.

    :param near_ns: a Unix time that is less than 68 years away.
    """
    return _nearest((stamp * SECOND_NS + (1 << 31) >> 32) - _EPOCH_NS, near_ns)


def ptp_from_unix_ns(unix_ns: int) -> int:
    """The truncated PTP time stamp of a time, in UTC: 64 bits."""
    seconds, rest_ns = divmod(unix_ns, SECOND_NS)
    return (seconds & 0xFFFFFFFF) << 32 | rest_ns


def ptp_to_unix_ns(stamp: int, near_ns: int) -> int:
    """The time of a truncated PTP time stamp; too many nanoseconds carry over into seconds."""
    return _nearest((stamp >> 32) * SECOND_NS + (stamp & 0xFFFFFFFF), near_ns)


def _nearest(unix_ns: int, near_ns: int) -> int:
    return unix_ns + (near_ns - unix_ns + _ERA_NS // 2) // _ERA_NS * _ERA_NS


class ErrorEstimate(NamedTuple):
    """What a clock says of itself."""

    synchronised: bool
    #: Whether the time stamps next to it are PTP's.
    ptp: bool
    #: The most that it may be wrong; None where it does not know (Multiplier 0).
    error_s: float | None


def error_estimate(synchronised: bool, error_ns: int, ptp: bool = False) -> int:
    """The 16 bits of an Error Estimate, rounded up, so that the claim is never too good.

    :param error_ns: 0 or more; what does not fit becomes the largest that does, 17 years.
    """
    units = max(1, -((-error_ns << 32) // SECOND_NS))
    scale = max(0, units.bit_length() - 8)
    multiplier = -(-units >> scale)
    if multiplier > 255:
        scale += 1
        multiplier = -(-units >> scale)
    if scale > 63:
        scale, multiplier = 63, 255
    return synchronised << 15 | ptp << 14 | scale << 8 | multiplier


def parse_error_estimate(bits: int) -> ErrorEstimate:
    """Read the 16 bits of an Error Estimate."""
    multiplier, scale = bits & 0xFF, bits >> 8 & 0x3F
    error_s = multiplier * 2.0 ** (scale - 32) if multiplier else None
    return ErrorEstimate(bool(bits >> 15 & 1), bool(bits >> 14 & 1), error_s)
