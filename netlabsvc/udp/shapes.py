"""How long a delay is: the quantile function of each shape, and draws that may be correlated.

Each delay takes one number of ``Random.random()``, u, through the inverse of its distribution
function, so that a seed means the same in every version of Python (``gauss()`` and the like may
change). m is the mean, s the spread:

    uniform     m - s + 2 s u                           m - s to m + s
    normal      m + s z(u)                              standard deviation s; what is below 0 is 0
    lognormal   exp(mu + sigma z(u))                    sigma^2 = ln(1 + s^2 / m^2)
                                                        mu = ln m - sigma^2 / 2
    pareto      x (1 - u)^(-1/a)                        a = 1 + sqrt(1 + m^2 / s^2)
                                                        x = m (a - 1) / a, the shortest delay

z is the inverse of the standard normal distribution function. lognormal and pareto have exactly
the mean m and the standard deviation s (the parameters are solved for them).
"""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, exp, log, pi, sin, sqrt
from statistics import NormalDist

from netlabsvc.udp.faults import Delay
from netlabsvc.udp.notation import MAX_DELAY_NS

_z = NormalDist().inv_cdf
_LOW, _HIGH = 2.0**-53, 1 - 2.0**-53


def quantile(delay: Delay) -> Callable[[float], float]:
    """The delay in ns below which a share u of all delays is; 0 < u < 1."""
    m, s = float(delay.mean_ns), float(delay.spread_ns)
    if delay.shape == "normal":
        return lambda u: m + s * _z(u)
    if delay.shape == "lognormal":
        sigma = sqrt(log(1 + (s / m) ** 2))
        mu = log(m) - sigma**2 / 2
        return lambda u: exp(mu + sigma * _z(u))
    if delay.shape == "pareto":
        a = 1 + sqrt(1 + (m / s) ** 2)
        shortest = m * (a - 1) / a
        return lambda u: float(shortest * (1 - u) ** (-1 / a))
    return lambda u: m - s + 2 * s * u


def correlated(correlation: float, draw: Callable[[], float]) -> Callable[[], float]:
    """Uniform numbers, each correlated with the one before, one draw each.

    A chain z' = r z + sqrt(1 - r^2) e of standard normal numbers, through their distribution
    function (a Gaussian copula): whatever the shape made of it, its distribution stays exact. With
    r = 2 sin(pi c / 6) the rank correlation of neighbours (Spearman's) is c.
    """
    r = 2 * sin(pi * correlation / 6)
    rest = sqrt(max(0.0, 1 - r * r))
    z: float | None = None

    def next_share() -> float:
        nonlocal z
        fresh = _z(min(max(draw(), _LOW), _HIGH))
        z = fresh if z is None else r * z + rest * fresh
        return 0.5 * erfc(-z / sqrt(2))

    return next_share


def delays(delay: Delay, draw: Callable[[], float]) -> Callable[[], int]:
    """Delays in ns, whole, 0 to `MAX_DELAY_NS`; one draw each, none where there is no spread."""
    if not delay.spread_ns:
        return lambda: delay.mean_ns
    at = quantile(delay)
    share = correlated(delay.correlation, draw) if delay.correlation else draw

    def next_delay_ns() -> int:
        u = share()
        delay_ns = at(u if _LOW <= u <= _HIGH else min(max(u, _LOW), _HIGH))
        return round(delay_ns) if 0 <= delay_ns <= MAX_DELAY_NS else MAX_DELAY_NS * (delay_ns > 0)

    return next_delay_ns
