"""Wilson's interval, against values computed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.proportion import wilson


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
