"""How round trips vary: three answers, which are not the same.

| name       | of what                                                          | source   |
|------------|------------------------------------------------------------------|----------|
| IPDV       | RTT less that of the probe sent before it, where both came back  | RFC 3393 |
| PDV        | RTT less the smallest of the run                                 | RFC 5481 |
| RTP jitter | J += (abs(D) - J) / 16, D from one arrival to the next; smoothed | RFC 3550 |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from netlabsvc.udp.distribution import Distribution, distribution


@dataclass(frozen=True, slots=True)
class Variation:
    """A set of delays in figures, and how they vary."""

    delay: Distribution | None
    ipdv: Distribution | None
    """Signed."""
    pdv: Distribution | None


def steps(delays_ns: Iterable[int | None]) -> list[int]:
    """IPDV, signed, of delays in the order of sending; None where a probe has none."""
    return [b - a for a, b in pairwise(delays_ns) if a is not None and b is not None]


def variation(delays_ns: Sequence[int | None]) -> Variation:
    """The figures of delays in the order of sending; None where a probe has none."""
    delay = distribution([delay for delay in delays_ns if delay is not None])
    return Variation(delay, distribution(steps(delays_ns)), delay and delay.less(delay.min_ns))


def smoothed(delays_ns: Iterable[int]) -> int | None:
    """RTP's jitter after the last of the delays, in the order of arrival; None of fewer than two.

    Kept in sixteenths, so that no fraction is lost on the way (RFC 3550, A.8).
    """
    sixteenths, before, steps = 0, None, 0
    for delay in delays_ns:
        if before is not None:
            sixteenths += abs(delay - before) - (sixteenths + 8) // 16
            steps += 1
        before = delay
    return sixteenths // 16 if steps else None
