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
    """What is to be said of the variation of a set of delays."""

    ipdv: Distribution | None
    """Signed."""
    ipdv_size: Distribution | None
    """The same without its sign."""
    pdv: Distribution | None


def variation(delays_ns: Sequence[int | None]) -> Variation:
    """IPDV and PDV of delays in the order of sending; None where a probe has none."""
    pairs = pairwise(delays_ns)
    ipdv = [b - a for a, b in pairs if a is not None and b is not None]
    there = [delay for delay in delays_ns if delay is not None]
    least = min(there, default=0)
    return Variation(
        distribution(ipdv),
        distribution([abs(step) for step in ipdv]),
        distribution([delay - least for delay in there]),
    )


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
