"""netlabsvc.pulse: how late the reactor is."""

from __future__ import annotations

import time

import pytest
import pytest_twisted
from twisted.internet import reactor as default_reactor
from twisted.internet.task import Clock, deferLater

from netlabsvc.pulse import INTERVAL_S, REMEMBERED_S, Pulse


class Late(Clock):
    """A reactor whose calls run late after a block: real time goes on, calls wait."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked_s = 0.0
        self.broken = False

    def now(self) -> float:
        if self.broken:
            raise ZeroDivisionError
        return self.seconds() + self.blocked_s

    def beats(self, n: int) -> None:
        self.pump([INTERVAL_S] * n)


@pytest.fixture
def clock() -> Late:
    return Late()


@pytest.fixture
def pulse(clock: Late) -> Pulse:
    pulse = Pulse(clock, clock.now)
    pulse.start()
    return pulse


def counted(pulse: Pulse) -> float:
    """How often a lag was noted."""
    histogram = next(iter(pulse.metrics()))
    return next(s.value for s in histogram.samples if s.suffix == "_count")


def test_a_reactor_on_time_has_no_lag(clock: Late, pulse: Pulse) -> None:
    """It is looked at all the time, twice a second."""
    clock.beats(50)
    assert pulse.last_s <= pulse.most_s() < 1e-9
    assert counted(pulse) == 50


def test_a_lag_is_remembered_for_a_minute(clock: Late, pulse: Pulse) -> None:
    """The last one is gone with the next beat; the largest is seen by a later scrape."""
    clock.blocked_s += 2.0
    clock.beats(1)
    assert pulse.last_s == pytest.approx(2.0)
    clock.blocked_s += 0.5
    clock.beats(2)
    assert pulse.last_s < 1e-9
    assert pulse.most_s() == pytest.approx(2.0)
    clock.advance(REMEMBERED_S - 1)
    assert pulse.most_s() >= 2.0
    clock.beats(20)
    assert pulse.most_s() == pytest.approx(REMEMBERED_S - 1 - INTERVAL_S)


def test_the_memory_of_lags_ends_without_a_beat(clock: Late, pulse: Pulse) -> None:
    """What is asked later than a minute afterwards is told nothing of it."""
    clock.blocked_s += 2.0
    clock.beats(1)
    clock.blocked_s += REMEMBERED_S
    assert pulse.most_s() == 0.0


def test_a_mistake_while_looking_does_not_stop_it(clock: Late, pulse: Pulse) -> None:
    """The next beat is there all the same."""
    clock.broken = True
    with pytest.raises(ZeroDivisionError):
        clock.beats(1)
    clock.broken = False
    clock.beats(3)
    assert counted(pulse) == 3


def test_it_ends(clock: Late, pulse: Pulse) -> None:
    """No call is left when it is stopped, nor when it never ran."""
    clock.beats(3)
    pulse.stop()
    Pulse(clock).stop()
    assert not clock.getDelayedCalls()


@pytest_twisted.ensureDeferred
async def test_a_callback_that_blocks_is_seen() -> None:
    """On a real reactor: a sleep in a callback is a lag of as much, from when it was due."""
    reactor: object = default_reactor
    pulse = Pulse(reactor)  # type: ignore[arg-type]
    pulse.start()
    await deferLater(reactor, INTERVAL_S - 0.05, time.sleep, 0.3)  # type: ignore[arg-type]
    await deferLater(reactor, 0.0, lambda: None)  # type: ignore[arg-type]
    pulse.stop()
    assert 0.2 < pulse.most_s() < 1.0
