"""What a room tells of itself in figures, in the terms of Prometheus: name, kind, help, samples.

There is no registry: a room counts in plain integers where things happen, and makes metrics of
them when somebody asks. How they are written for a scraper is the affair of web/status.py.

    counter     only grows; its name ends in _total
    gauge       what is the case now
    histogram   how often something was how large
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, TypeVar

#: For samples: everything that labels a figure comes from a set that the code knows beforehand,
#: never from a peer.
Labels = tuple[tuple[str, str], ...]
S = TypeVar("S", bound=str)


@dataclass(frozen=True)
class Sample:
    """One figure.

    :ivar labels: pairs of name and value, which tell it from the other figures of its metric.
    :ivar suffix: what stands behind the metric's name, for the parts of a histogram.
    """

    value: float
    labels: Labels = ()
    suffix: str = ""


@dataclass(frozen=True)
class Metric:
    """A figure, or several of one kind that their labels tell apart.

    :ivar name: in base units, which it names: ``netlab_chat_queued_bytes``.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: tuple[Sample, ...]


def counter(name: str, help: str, value: float) -> Metric:
    """A counter without labels."""
    return Metric(name, "counter", help, (Sample(value),))


def gauge(name: str, help: str, value: float) -> Metric:
    """A gauge without labels."""
    return Metric(name, "gauge", help, (Sample(value),))


def counter_by(name: str, help: str, label: str, values: Mapping[S, float]) -> Metric:
    """A counter with one label, and the figure for each of its values."""
    return Metric(
        name, "counter", help, tuple(Sample(n, ((label, word),)) for word, n in values.items())
    )


class Histogram:
    """How often something was at most so large, for some bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """:param bounds: ascending; what is above the last is counted, too."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def metric(self, name: str, help: str) -> Metric:
        """As a metric: each bucket holds those below it as well, as Prometheus wants it."""
        bounds = (*(str(float(bound)) for bound in self._bounds), "+Inf")
        totals = list(accumulate(self._counts))
        buckets = (
            Sample(total, (("le", bound),), "_bucket")
            for bound, total in zip(bounds, totals, strict=True)
        )
        ends = (Sample(totals[-1], suffix="_count"), Sample(self._sum, suffix="_sum"))
        return Metric(name, "histogram", help, (*buckets, *ends))
