"""Statistics that need no approximation, or one whose error is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, fsum, lgamma, log, sqrt


def binomial_p_value(hits: int, n: int, p: float) -> float:
    """The exact two-sided test: twice the smaller of the two tails that begin at `hits`."""

    def weight(k: int) -> float:
        ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        return exp(ways + k * log(p) + (n - k) * log(1 - p))

    low, high = fsum(map(weight, range(hits + 1))), fsum(map(weight, range(hits, n + 1)))
    return min(1.0, 2 * min(low, high))


def ks_distance(sample: Sequence[float], distribution: Callable[[float], float]) -> float:
    """Kolmogorov's D: how far the sample's distribution function is from another one."""
    n = len(sample)
    below = [(i, distribution(x)) for i, x in enumerate(sorted(sample))]
    return max(max((i + 1) / n - share, share - i / n) for i, share in below)


def ks_critical(n: float) -> float:
    """The D that one in a thousand samples exceeds: sqrt(-ln(0.001 / 2) / 2n), for large n."""
    return sqrt(-log(0.001 / 2) / (2 * n))


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's, of two sequences without ties."""
    n = len(first)
    squares = fsum((a - b) ** 2 for a, b in zip(_ranks(first), _ranks(second), strict=True))
    return 1 - 6 * squares / (n * (n * n - 1))


def _ranks(values: Sequence[float]) -> list[int]:
    ranks = [0] * len(values)
    for rank, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        ranks[index] = rank
    return ranks
