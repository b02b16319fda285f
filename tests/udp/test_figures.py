"""Distributions, jitter, reordering, runs and shares, against values worked out by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.distribution import distribution, percentile
from netlabsvc.udp.jitter import smoothed, variation
from netlabsvc.udp.ordering import Reordering, reordering, unwrapped
from netlabsvc.udp.proportion import Share, probes_to_exclude, probes_to_tell, sentence
from netlabsvc.udp.runs import Runs, runs

MS = 1_000_000


def test_a_golden_distribution() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9 ms: mean 5, median 4.5, sum of squares 32, n - 1 = 7: 2.138 ms."""
    told = distribution([n * MS for n in (5, 9, 2, 4, 7, 4, 5, 4)])
    assert told
    assert (told.min_ns, told.mean_ns, told.median_ns, told.max_ns) == (
        *(2 * MS, 5 * MS, 4_500_000, 9 * MS),
    )
    assert (told.stddev_ns, told.p90_ns, told.p99_ns) == (2_138_089, 9 * MS, None)


def test_percentiles_are_nearest_rank() -> None:
    """Of 1 to 100 the p90 is 90, p95 95 and p99 99; of 99 values there is no p99."""
    told = distribution(range(1, 101))
    assert told
    assert (told.p90_ns, told.p95_ns, told.p99_ns) == (90, 95, 99)
    fewer = distribution(range(1, 100))
    assert fewer
    assert fewer.p99_ns is None
    assert [percentile([1, 2, 3, 4], p) for p in (0, 25, 26, 100)] == [1, 1, 2, 4]


@given(st.lists(st.integers(-(10**12), 10**12), min_size=2, max_size=50))
def test_a_distribution_agrees_with_the_standard_library(times_ns: list[int]) -> None:
    """Mean, median and standard deviation are those of `statistics`, to the nanosecond."""
    told = distribution(times_ns)
    assert told
    assert told.stddev_ns is not None
    assert abs(told.mean_ns - statistics.fmean(times_ns)) <= 1
    assert abs(told.median_ns - statistics.median(times_ns)) <= 1
    assert abs(told.stddev_ns - statistics.stdev(times_ns)) <= 1


def test_ipdv_and_pdv() -> None:
    """10, 13, lost, 11, 10 ms: steps +3 and -1, none over the gap; above the least 0, 3, 1, 0."""
    told = variation([10 * MS, 13 * MS, None, 11 * MS, 10 * MS])
    assert told.ipdv
    assert told.pdv
    assert (told.ipdv.count, told.ipdv.min_ns, told.ipdv.max_ns) == (2, -MS, 3 * MS)
    assert (told.pdv.median_ns, told.pdv.max_ns) == (MS // 2, 3 * MS)


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=300), st.integers())
def test_figures_of_shifted_times(times_ns: list[int], less_ns: int) -> None:
    """Taking the same from each time takes it from each figure, and leaves the spread."""
    told, shifted = distribution(times_ns), distribution([time - less_ns for time in times_ns])
    assert told
    assert told.less(less_ns) == shifted


def test_rtp_jitter() -> None:
    """Steps of 16 and 0 ns: J = 1, then 1 - 1/16, told as whole ns; it needs two replies."""
    assert smoothed([0, 16]) == 1
    assert smoothed([0, 1600]) == 100
    assert smoothed([0, 1600, 1600]) == 93  # 100 - 100 / 16 = 93.75
    assert smoothed([7]) is None


def test_reordering_of_rfc_4737() -> None:
    """1 2 4 5 3 6: 3 comes two behind the 4 that first overtook it; in order there is none."""
    assert reordering([1, 2, 4, 5, 3, 6]) == Reordering(1, 6, 2, 2)
    assert reordering([3, 1, 2]) == Reordering(2, 3, 2, 3)
    assert reordering(range(9)) == Reordering(0, 9, 0, 0)
    assert reordering([]).ratio is None


def test_numbers_wrap_at_32_bits() -> None:
    """Each number goes on from the highest before it, forwards or backwards."""
    top = 2**32
    assert unwrapped([top - 1, 0, top - 2, 1]) == [top - 1, top, top - 2, top + 1]
    assert unwrapped([0, top - 1, 5]) == [0, -1, 5]


def test_loss_runs() -> None:
    """. x x . . x .: 2 runs of 3; after 3 answered ones 2 began, of 3 lost ones 2 were the last."""
    told = runs(c == "x" for c in ".xx..x.")
    assert told == Runs(2, 2, 3, 2 / 3, 2 / 3)
    assert told.mean == 1.5
    assert runs([]) == Runs(0, 0, 0, None, None)
    assert runs([True]) == Runs(1, 1, 1, None, None)
    assert runs([False, False]) == Runs(0, 0, 0, 0.0, None)


def test_how_many_probes_it_takes() -> None:
    """30 % from 36.4 %: about 420; none lost of 381 shows less than 1 %."""
    assert 415 <= probes_to_tell(0.3, 4 / 11) <= 425
    needed = probes_to_exclude(0.01)
    assert Share(0, needed).interval[1] <= 0.01 < Share(0, needed - 2).interval[1]


@pytest.mark.parametrize(
    ("hits", "of", "parts"),
    [
        (3, 10, ("3 of 10", "10.8% and 60.3%", "30.0% from 40.0%")),
        (0, 10, ("None of 10", "27.8%", "below 10%")),
        (10, 10, ("All of 10", "72.2%", "above 90%")),
        (30, 100, ("21.9% and 39.6%", "30.0% from 35.0%")),
        (0, 0, ("Nothing can be said",)),
    ],
)
def test_the_sentence_says_what_can_be_known(hits: int, of: int, parts: tuple[str, ...]) -> None:
    """The interval, and what it takes to know more."""
    assert all(part in sentence(Share(hits, of)) for part in parts)


@given(st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_there_is_always_a_sentence(case: tuple[int, int]) -> None:
    """No share leaves it without words."""
    assert sentence(Share(*case)).endswith(".")
