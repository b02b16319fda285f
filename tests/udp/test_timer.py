"""What is due later: the order, and the timer that wakes for it."""

from __future__ import annotations

import time

import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from netlabsvc.udp.timeline import Timeline
from netlabsvc.udp.timer import timer

MS = 10**6


@given(st.lists(st.integers(0, 20), max_size=30), st.integers(0, 20))
def test_what_is_due_comes_in_order(dues: list[int], now: int) -> None:
    """By time, and among equals as it was added; what is not due stays."""
    timeline: Timeline[int] = Timeline(len(dues))
    for number, due in enumerate(dues):
        assert timeline.add(due, number)
    assert not timeline.add(0, -1)
    popped = []
    while (found := timeline.pop(now)) is not None:
        popped.append(found)
    assert popped == sorted((due, n) for n, due in enumerate(dues) if due <= now)
    assert timeline.next_ns() == min((due for due in dues if due > now), default=None)
    assert len(timeline) == len(dues) - len(popped)


@pytest_twisted.ensureDeferred
async def test_it_wakes_once_at_the_last_time_that_was_set() -> None:
    """Not before, and soon after; None takes it back; a time that has passed is at once."""
    woken: Deferred[int] = Deferred()
    late = timer(reactor, lambda: woken.callback(time.monotonic_ns()))
    began = time.monotonic_ns()
    late.set(began + 1000 * MS)
    late.set(None)
    late.set(began + 20 * MS)
    at = await woken
    assert 20 * MS <= at - began < 500 * MS
    woken = Deferred()
    late.set(began)
    await woken
    late.close()


def test_without_timerfd_the_reactors_calls_do() -> None:
    """The same, by a clock that a test turns."""
    clock, woken = Clock(), []
    late = timer(clock, lambda: woken.append(clock.seconds()), lambda: int(clock.seconds() * 1e9))
    late.set(500 * MS)
    late.set(250 * MS)
    clock.advance(0.25)
    clock.advance(5)
    assert woken == [0.25]
    late.set(6000 * MS)
    late.close()
    clock.advance(5)
    assert woken == [0.25]
