"""A share of few: how sure it is, and how many probes it takes to be surer.

It knows hits and trials, not packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from statistics import NormalDist

_Z_95 = NormalDist().inv_cdf(0.975)
#: For a test that sees the difference in 80 % of all cases.
_Z_POWER = NormalDist().inv_cdf(0.8)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a proportion (Wilson 1927), which holds for small n and for 0 hits."""
    if n == 0:
        return 0.0, 1.0
    z2 = _Z_95 * _Z_95
    centre = (hits + z2 / 2) / (n + z2)
    half = _Z_95 * sqrt(hits * (n - hits) / n + z2 / 4) / (n + z2)
    # At the ends the formula gives 0 and 1; floats need not.
    return (0.0 if hits == 0 else centre - half), (1.0 if hits == n else centre + half)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many, 0 <= hits <= of."""

    hits: int
    of: int

    @property
    def share(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share that stands behind it lies, in 95 of 100 cases (Wilson)."""
        return wilson(self.hits, self.of)


def probes_to_tell(p0: float, p1: float) -> int:
    """How many probes it takes to tell one share from another; both between 0 and 1, not equal.

    A test of p0 with 5 % of false alarms, which sees p1 in 80 % of all cases.
    """
    spread = _Z_95 * sqrt(p0 * (1 - p0)) + _Z_POWER * sqrt(p1 * (1 - p1))
    return ceil((spread / (p1 - p0)) ** 2)


def probes_to_exclude(p: float) -> int:
    """How many probes without one loss put the upper end of Wilson's interval at a share."""
    return ceil(_Z_95 * _Z_95 * (1 / p - 1))


def sentence(loss: Share) -> str:
    """What the loss that was seen can and cannot say, in plain words."""
    share, (low, high) = loss.share, loss.interval
    if share is None:
        return "Nothing can be said about loss: no probe was answered or timed out."
    if loss.hits == 0:
        goal, takes = _next_goal(high)
        return (
            f"None of {loss.of} lost still allows a loss of up to {high:.1%}; to show that it is"
            f" below {100 * goal:g}% takes about {takes} probes, none of them lost."
        )
    if loss.hits == loss.of:
        goal, takes = _next_goal(1 - low)
        return (
            f"All of {loss.of} lost still allows a loss of only {low:.1%}; to show that it is"
            f" above {100 - 100 * goal:g}% takes about {takes} probes, all of them lost."
        )
    # A difference finer than what is known already.
    finer = next((d for d in (0.1, 0.05, 0.01, 0.001) if 2 * d < high - low), 0.0001)
    other = share + finer if share + finer < 1 else share - finer
    digits = 3 if finer < 0.001 else 1
    return (
        f"{loss.hits} of {loss.of} lost means a loss between {low:.1%} and {high:.1%};"
        f" to tell {share:.{digits}%} from {other:.{digits}%} takes about"
        f" {probes_to_tell(share, other)} probes."
    )


def _next_goal(reached: float) -> tuple[float, int]:
    """A round share below what was reached, and how many probes it takes to get there."""
    goal = next((p for p in (0.1, 0.01, 0.001, 0.0001) if p < reached), 0.00001)
    return goal, probes_to_exclude(goal)
