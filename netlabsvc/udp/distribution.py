"""Figures of a set of times: from the smallest to the largest, and how far they spread.

All in integers of nanoseconds; fractions of a nanosecond are cut. It knows numbers, not packets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from operator import mul

#: A p99 of fewer is the largest value, or close to it, by another name.
P99_FROM = 100


@dataclass(frozen=True, slots=True)
class Distribution:
    """A set of times in figures."""

    count: int
    min_ns: int
    mean_ns: int
    median_ns: int
    p90_ns: int
    p95_ns: int
    p99_ns: int | None
    """None of fewer than 100."""
    max_ns: int
    stddev_ns: int | None
    """Of a sample (n - 1); None of a single one."""

    def less(self, time_ns: int) -> Distribution:
        """The figures of the same times, each less by so much."""
        return Distribution(
            count=self.count,
            min_ns=self.min_ns - time_ns,
            mean_ns=self.mean_ns - time_ns,
            median_ns=self.median_ns - time_ns,
            p90_ns=self.p90_ns - time_ns,
            p95_ns=self.p95_ns - time_ns,
            p99_ns=None if self.p99_ns is None else self.p99_ns - time_ns,
            max_ns=self.max_ns - time_ns,
            stddev_ns=self.stddev_ns,
        )


def percentile(ordered: Sequence[int], percent: int) -> int:
    """The smallest value that so many percent do not exceed (nearest rank); of one at least.

    :param ordered: the smallest first.
    """
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


def distribution(times_ns: Sequence[int]) -> Distribution | None:
    """The figures of a set of times, in any order; None where there are none."""
    if not times_ns:
        return None
    ordered, n = sorted(times_ns), len(times_ns)
    total = sum(ordered)
    # n times the sum of squared deviations, without rounding.
    spread = n * sum(map(mul, ordered, ordered)) - total * total
    return Distribution(
        count=n,
        min_ns=ordered[0],
        mean_ns=total // n,
        median_ns=(ordered[(n - 1) // 2] + ordered[n // 2]) // 2,
        p90_ns=percentile(ordered, 90),
        p95_ns=percentile(ordered, 95),
        p99_ns=percentile(ordered, 99) if n >= P99_FROM else None,
        max_ns=ordered[-1],
        stddev_ns=isqrt(spread // (n * (n - 1))) if n > 1 else None,
    )
