"""The statistics of a run, against values computed by hand."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.proportion import wilson
from netlabsvc.udp.stats import Probe, RoundTrips, Summary, round_trips, summary

MS = 1_000_000
TIMEOUT_NS = 1000 * MS
#: A moment after which every probe of a test is decided.
END_NS = 10**12


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (3, 10, 10.8, 60.3),
        (0, 10, 0.0, 27.8),
        (30, 100, 21.9, 39.6),
        (10, 10, 72.2, 100.0),
        (1, 1, 20.7, 100.0),
    ],
)
def test_golden_intervals(hits: int, n: int, low: float, high: float) -> None:
    """Wilson's intervals to a tenth of a percent, the known small ones among them."""
    assert [round(100 * edge, 1) for edge in wilson(hits, n)] == [low, high]


def test_the_ends_are_exact() -> None:
    """No loss seen has a lower end of exactly 0, all lost an upper end of 1; nothing sent, both."""
    assert wilson(0, 7)[0] == 0.0
    assert all(wilson(n, n)[1] == 1.0 for n in range(1, 1000))
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_what_was_seen(case: tuple[int, int]) -> None:
    """The share that was seen lies inside, and the interval inside 0 to 1."""
    hits, n = case
    low, high = wilson(hits, n)
    assert 0.0 <= low <= hits / n <= high <= 1.0


def test_golden_round_trips() -> None:
    """2, 4, 4, 4, 5, 5, 7, 9 ms: mean 5, median 4.5, sum of squares 32, n - 1 = 7: 2.138 ms."""
    figures = round_trips([n * MS for n in (5, 9, 2, 4, 7, 4, 5, 4)])
    assert figures == RoundTrips(2 * MS, 5 * MS, 4_500_000, 9 * MS, 2_138_089)


def test_few_round_trips() -> None:
    """One reply has no spread, and none has no figures; an odd number has its middle as median."""
    assert round_trips([7]) == RoundTrips(7, 7, 7, 7, None)
    assert round_trips([]) is None
    assert round_trips([1, 100, 3]) == RoundTrips(1, 34, 3, 100, 56)


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=50))
def test_round_trips_agree_with_the_standard_library(rtts_ns: list[int]) -> None:
    """Mean, median and standard deviation are those of `statistics`, to the nanosecond."""
    figures = round_trips(rtts_ns)
    assert figures is not None
    assert figures.stddev_ns is not None
    assert abs(figures.mean_ns - statistics.fmean(rtts_ns)) <= 1
    assert abs(figures.median_ns - statistics.median(rtts_ns)) <= 1
    assert abs(figures.stddev_ns - statistics.stdev(rtts_ns)) <= 1


def test_each_probe_has_one_fate() -> None:
    """In time, at the last moment, late, lost and open are five probes and four fates."""
    probes = [
        Probe(1, 0, [2 * MS]),
        Probe(2, 0, [TIMEOUT_NS - 1]),
        Probe(3, 0, [TIMEOUT_NS]),
        Probe(4, 0),
        Probe(5, 1500 * MS),
    ]
    figures = summary(probes, TIMEOUT_NS, now_ns=2000 * MS)
    assert (figures.received, figures.late, figures.lost, figures.open) == (2, 1, 1, 1)
    assert figures.sent == 5
    assert figures.loss == 0.25
    assert figures.rtt is not None
    assert figures.rtt.max_ns == TIMEOUT_NS - 1


def test_a_probe_is_lost_from_its_deadline_on() -> None:
    """A nanosecond before the deadline it is open; at the deadline, as for a reply, it is over."""
    for now_ns, fate in ((TIMEOUT_NS - 1, (0, 1)), (TIMEOUT_NS, (1, 0))):
        figures = summary([Probe(1, 0)], TIMEOUT_NS, now_ns)
        assert (figures.lost, figures.open) == fate


def test_duplicates_hide_no_loss() -> None:
    """Two replies to one probe and none to the other are one loss of two, never none."""
    figures = summary([Probe(1, 0, [MS, MS, 3 * MS]), Probe(2, 0)], TIMEOUT_NS, END_NS)
    assert figures == Summary(
        sent=2,
        received=1,
        late=0,
        lost=1,
        open=0,
        duplicates=2,
        loss=0.5,
        loss_interval=wilson(1, 2),
        rtt=RoundTrips(MS, MS, MS, MS, None),
    )


def test_every_reply_duplicated_is_no_loss() -> None:
    """The case in which a known tool reports a loss of 1.8e19 %: it is 0."""
    figures = summary([Probe(n, 0, [MS, 2 * MS]) for n in range(1, 11)], TIMEOUT_NS, END_NS)
    assert (figures.lost, figures.loss, figures.duplicates) == (0, 0.0, 10)


def test_nothing_sent_says_nothing() -> None:
    """Without a probe there is no share of loss and no round trip."""
    figures = summary([], TIMEOUT_NS, END_NS)
    assert (figures.sent, figures.loss, figures.rtt) == (0, None, None)
