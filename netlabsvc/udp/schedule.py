"""When the probes of a run are due.

    periodic   one interval apart                          | | | | | | | | | |
    poisson    at random, one interval apart on average    | |||   | |   ||  |   RFC 2330, 11.1.1
    burst      five at a time, five intervals apart        |||||         |||||

Whatever the schedule, as many probes leave in an hour. No two are closer together than a floor, so
that a run cannot flood by chance: what poisson draws is added to it, and a burst is that dense. It
reads no clock; the same generator gives the same times.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from random import Random

#: The least time between two probes of those who did not ask for less.
FLOOR_NS = 10_000_000
BURST = 5


class Schedule(StrEnum):
    """How probes are spread over a run."""

    PERIODIC = "periodic"
    POISSON = "poisson"
    BURST = "burst"


def offsets(
    schedule: Schedule, interval_ns: int, chance: Random, floor_ns: int = FLOOR_NS
) -> Iterator[int]:
    """When each probe is due, in nanoseconds after the first; without end.

    :param interval_ns: the mean time between two probes, not below the floor.
    """
    if schedule is Schedule.POISSON:
        yield from _poisson(interval_ns, chance, floor_ns)
    elif schedule is Schedule.BURST:
        for probe in count():
            burst, place = divmod(probe, BURST)
            yield burst * BURST * interval_ns + place * floor_ns
    else:
        yield from count(0, interval_ns)


def _poisson(interval_ns: int, chance: Random, floor_ns: int) -> Iterator[int]:
    due_ns = 0
    while True:
        yield due_ns
        above_ns = max(0, interval_ns - floor_ns)
        due_ns += floor_ns + (round(chance.expovariate(1 / above_ns)) if above_ns else 0)
