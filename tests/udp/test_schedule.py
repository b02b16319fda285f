"""When probes are due."""

from __future__ import annotations

from itertools import islice, pairwise
from random import Random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.schedule import BURST, FLOOR_NS, Schedule, offsets

MS = 1_000_000


def first(n: int, schedule: Schedule, interval_ns: int, floor_ns: int = FLOOR_NS) -> list[int]:
    """The first due times of a seed."""
    return list(islice(offsets(schedule, interval_ns, Random(1), floor_ns), n))


def test_periodic_does_not_drift() -> None:
    """The millionth probe is due a million intervals after the first, to the nanosecond."""
    assert first(4, Schedule.PERIODIC, 33 * MS) == [0, 33 * MS, 66 * MS, 99 * MS]
    assert first(10**6 + 1, Schedule.PERIODIC, 33_333_333)[-1] == 33_333_333 * 10**6


def test_bursts() -> None:
    """Five probes ten milliseconds apart, and the next five when five intervals have passed."""
    due = first(BURST + 2, Schedule.BURST, 1000 * MS)
    assert due == [0, 10 * MS, 20 * MS, 30 * MS, 40 * MS, 5000 * MS, 5010 * MS]


def test_poisson_is_exponential_above_the_floor() -> None:
    """The gaps have the mean that was asked for and, above the floor, as large a deviation."""
    gaps = [b - a for a, b in pairwise(first(20_001, Schedule.POISSON, 100 * MS))]
    assert mean(gaps) == pytest.approx(100 * MS, rel=0.03)
    assert stdev(gaps) == pytest.approx(90 * MS, rel=0.03)
    assert min(gaps) >= FLOOR_NS


def test_the_seed_repeats_a_poisson_schedule() -> None:
    """The same generator gives the same times, another one others."""
    same = first(50, Schedule.POISSON, 100 * MS)
    assert same == first(50, Schedule.POISSON, 100 * MS)
    assert same != list(islice(offsets(Schedule.POISSON, 100 * MS, Random(2)), 50))


@given(
    st.sampled_from(Schedule),
    st.integers(0, 20 * MS),
    st.integers(0, 1000 * MS),
    st.integers(0, 2**32),
)
def test_no_two_probes_are_closer_than_the_floor(
    schedule: Schedule, floor_ns: int, more_ns: int, seed: int
) -> None:
    """Whatever the schedule, times only rise, and by the floor at least."""
    due = list(islice(offsets(schedule, floor_ns + more_ns, Random(seed), floor_ns), 40))
    assert due[0] == 0
    assert all(later - earlier >= floor_ns for earlier, later in pairwise(due))
