"""What probes and their replies say: loss with its interval, and round trip times.

It knows numbers and times, not packets. Every time is an integer in nanoseconds, all of them on
one monotonic clock: a float would hold a wall clock only to 238 ns.

The fate of a probe is decided by its first reply:

    | fate     | first reply                                                      |
    |----------|------------------------------------------------------------------|
    | received | before the timeout                                               |
    | late     | later: this is no loss, but no part of the RTT figures either    |
    | lost     | none, and the timeout has passed                                 |
    | open     | none yet, and the timeout has not passed: nothing is known of it |

Any further reply of the same number is a duplicate (RFC 5560) and changes no fate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isqrt, sqrt
from statistics import NormalDist

_Z_95 = NormalDist().inv_cdf(0.975)


@dataclass
class Probe:
    """One probe that left, and every reply that carried its number, in order of arrival."""

    seq: int
    sent_ns: int
    arrivals_ns: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class RoundTrips:
    """Figures of round trip times, in nanoseconds; fractions of a nanosecond are cut."""

    min_ns: int
    mean_ns: int
    median_ns: int
    max_ns: int
    #: Of a sample (n - 1); None where there is only one.
    stddev_ns: int | None


@dataclass(frozen=True)
class Summary:
    """A run in figures. `sent` is the sum of `received`, `late`, `lost` and `open`."""

    sent: int
    received: int
    late: int
    lost: int
    open: int
    duplicates: int
    #: The share of lost probes among those whose fate is known; None where none is.
    loss: float | None
    #: Wilson's 95 % interval of that share; 0 to 1 where nothing is known.
    loss_interval: tuple[float, float]
    #: Of the received ones; None where there are none.
    rtt: RoundTrips | None


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927), which holds for small n and for 0 hits."""
    if n == 0:
        return 0.0, 1.0
    z2 = _Z_95 * _Z_95
    centre = (hits + z2 / 2) / (n + z2)
    half = _Z_95 * sqrt(hits * (n - hits) / n + z2 / 4) / (n + z2)
    # At the ends the formula gives 0 and 1; floats need not.
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)


def round_trips(rtts_ns: Sequence[int]) -> RoundTrips | None:
    """The figures of round trip times; None where there are none."""
    if not rtts_ns:
        return None
    ordered, n = sorted(rtts_ns), len(rtts_ns)
    total = sum(ordered)
    # n times the sum of squared deviations, without rounding.
    spread = n * sum(rtt * rtt for rtt in ordered) - total * total
    return RoundTrips(
        min_ns=ordered[0],
        mean_ns=total // n,
        median_ns=(ordered[(n - 1) // 2] + ordered[n // 2]) // 2,
        max_ns=ordered[-1],
        stddev_ns=isqrt(spread // (n * (n - 1))) if n > 1 else None,
    )


def summary(probes: Sequence[Probe], timeout_ns: int, now_ns: int) -> Summary:
    """Sum up a run.

    :param now_ns: when it ended, or is looked at, on the clock of the probes.
    """
    answered = [(p.arrivals_ns[0] - p.sent_ns) for p in probes if p.arrivals_ns]
    in_time = [rtt for rtt in answered if rtt < timeout_ns]
    lost = sum(not p.arrivals_ns and now_ns - p.sent_ns >= timeout_ns for p in probes)
    known = len(answered) + lost
    return Summary(
        sent=len(probes),
        received=len(in_time),
        late=len(answered) - len(in_time),
        lost=lost,
        open=len(probes) - known,
        duplicates=sum(len(p.arrivals_ns) for p in probes) - len(answered),
        loss=lost / known if known else None,
        loss_interval=wilson(lost, known),
        rtt=round_trips(in_time),
    )
