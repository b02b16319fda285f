"""A clock that is wrong on purpose."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.clockfault import ClockFault
from netlabsvc.udp.grammar import parse

BEGAN = 1_700_000_000_123_456_789
S = 10**9
times = st.integers(0, 2**63)


@pytest.mark.parametrize(
    ("words", "after_s", "off_ns"),
    [
        ("offset=5ms", 0, 5_000_000),
        ("offset=-5ms", 1000, -5_000_000),
        ("drift=20ppm", 0, 0),
        ("drift=20ppm", 100, 2_000_000),
        ("drift=-0.001ppm", 1000, -1_000),
        ("drift=20ppm", -100, 0),
        ("step=100ms@30s", 29, 0),
        ("step=100ms@30s", 30, 100_000_000),
        ("step=-1s@0s", 0, -S),
        ("offset=5ms drift=20ppm step=100ms@30s", 50, 5_000_000 + 1_000_000 + 100_000_000),
    ],
)
def test_a_clock_is_off_by_what_its_fault_says(words: str, after_s: int, off_ns: int) -> None:
    """Offset, drift since the fault began, and a step from its time on add up."""
    true_ns = BEGAN + after_s * S
    assert parse(f"clock {words}").clock.shown_ns(true_ns, BEGAN) - true_ns == off_ns


@settings(deadline=None)
@given(times, times)
def test_no_fault_shows_the_true_time(true_ns: int, began_ns: int) -> None:
    """To the nanosecond."""
    assert not ClockFault()
    assert ClockFault().shown_ns(true_ns, began_ns) == true_ns


@settings(deadline=None)
@given(st.integers(-(10**8), 10**8), times, times, times)
def test_a_drifting_clock_never_goes_back(drift_ppb: int, a: int, b: int, began_ns: int) -> None:
    """However slow it goes, later is not earlier."""
    clock = ClockFault(drift_ppb=drift_ppb)
    early, late = sorted((a, b))
    assert clock.shown_ns(early, began_ns) <= clock.shown_ns(late, began_ns)
