"""netlabsvc.chat.limits: rates and queues over time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat.limits import Backlog, Bounds, TokenBucket, Verdict
from netlabsvc.chat.tally import Cut

MIB = 1024 * 1024


def test_a_burst_passes_and_then_the_rate_holds() -> None:
    """20 lines at once, then one each tenth of a second."""
    bucket = TokenBucket(10, 20)
    assert [bucket.take(0.0) for _ in range(19)] == [0.0] * 19
    assert bucket.take(0.0) == 0.1
    assert bucket.take(0.1) == 0.1
    assert bucket.take(10.0) == 0.0


@given(st.lists(st.floats(0, 0.3), max_size=100))
def test_no_window_holds_more_than_burst_and_rate(pauses: list[float]) -> None:
    """A client that waits as told never speaks more than burst + rate * time lines."""
    bucket, now = TokenBucket(10, 5), 0.0
    for count, pause in enumerate(pauses, 1):
        now += pause
        now += bucket.take(now)
        assert count <= 5 + 10 * now + 1e-6


def test_a_reader_that_waits_for_us_is_never_cut_and_pauses_the_writers() -> None:
    """However much waits for it, as long as it takes what it gets."""
    backlog = Backlog(Bounds(), 0.0)
    for step in range(1, 200):
        backlog.observe(step * 0.05, 2 * MIB, step, blocked=False)
        assert backlog.verdict(step * 0.05) is None
        assert backlog.pauses_others(step * 0.05, closed=False)
    backlog.observe(10.0, 100 * 1024, 300, blocked=False)
    assert not backlog.pauses_others(10.0, closed=False)
    assert backlog.pauses_others(10.0, closed=True)
    backlog.observe(10.0, 10 * 1024, 400, blocked=False)
    assert not backlog.pauses_others(10.0, closed=True)


def test_a_reader_that_stopped_pauses_nobody_and_is_cut() -> None:
    """Over the bound after two seconds, below it after five."""
    over, below = Backlog(Bounds(), 0.0), Backlog(Bounds(), 0.0)
    over.observe(0.0, 2 * MIB, 1, blocked=True)
    below.observe(0.0, 300 * 1024, 1, blocked=True)
    for now, over_cut, below_cut in [(0.2, False, False), (2.0, True, False), (5.0, True, True)]:
        over.observe(now, 2 * MIB, 1, blocked=True)
        below.observe(now, 300 * 1024, 1, blocked=True)
        assert not over.pauses_others(now, closed=False)
        assert (over.verdict(now) is not None, below.verdict(now) is not None) == (
            over_cut,
            below_cut,
        )


def test_a_reader_that_is_too_slow_holds_the_room_up_for_a_second_at_most() -> None:
    """It makes progress all the time; but nobody can freeze a room by reading a little."""
    backlog = Backlog(Bounds(), 0.0)
    for step in range(30):
        backlog.observe(step * 0.05, 300 * 1024, step, blocked=True)
        assert backlog.pauses_others(step * 0.05, closed=False) == (step < 20)
        assert backlog.verdict(step * 0.05) is None
    backlog.observe(1.55, 60 * 1024, 200, blocked=True)
    backlog.observe(1.6, 300 * 1024, 300, blocked=True)
    assert backlog.pauses_others(1.6, closed=False)


def test_a_reader_may_be_over_the_bound_while_it_reads_but_not_for_long() -> None:
    """What a class pastes at once takes a slow network seconds; who never catches up is cut."""
    backlog = Backlog(Bounds(), 0.0)
    slow = Verdict(Cut.TOO_SLOW, "reads too slowly, and more than 1048576 bytes wait")
    for step in range(100):
        backlog.observe(step * 0.05, 4 * MIB, step, blocked=True)
        assert backlog.verdict(step * 0.05) is None
    backlog.observe(5.0, 2 * MIB, 100, blocked=True)
    assert backlog.verdict(5.0) == slow
    backlog.observe(5.05, MIB, 101, blocked=True)
    assert backlog.verdict(5.05) is None
    backlog.observe(5.1, 9 * MIB, 102, blocked=True)
    assert backlog.verdict(5.1) == slow
