"""netlabsvc.metrics: what a figure is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.metrics import Histogram, Sample, counter, counter_by, gauge

BOUNDS = (0.5, 1.0, 2.5)


def test_a_figure_and_figures_by_label() -> None:
    """Name, kind, help, and a sample for each value of the label."""
    assert gauge("x", "Help.", 3).samples == (Sample(3),)
    assert counter("x_total", "Help.", 3).kind == "counter"
    by = counter_by("x_total", "Help.", "why", {"full": 1, "banned": 0})
    assert by.samples == (Sample(1, (("why", "full"),)), Sample(0, (("why", "banned"),)))


def test_a_bound_belongs_to_its_bucket() -> None:
    """Golden: what is as large as a bound is counted at it, as Prometheus says."""
    histogram = Histogram(BOUNDS)
    for value in (0.5, 0.6, 1.0, 9.0):
        histogram.observe(value)
    assert [(s.suffix, *s.labels, s.value) for s in histogram.metric("x", "Help.").samples] == [
        ("_bucket", ("le", "0.5"), 1),
        ("_bucket", ("le", "1.0"), 3),
        ("_bucket", ("le", "2.5"), 3),
        ("_bucket", ("le", "+Inf"), 4),
        ("_count", 4),
        ("_sum", 11.1),
    ]


@given(st.lists(st.floats(0, 10)))
def test_a_histogram_counts_everything_once(values: list[float]) -> None:
    """Each bucket holds what is at most its bound, the last one all."""
    histogram = Histogram(BOUNDS)
    for value in values:
        histogram.observe(value)
    *buckets, count, total = (s.value for s in histogram.metric("x", "Help.").samples)
    bounds = (*BOUNDS, float("inf"))
    assert buckets == [sum(value <= bound for value in values) for bound in bounds]
    assert count == len(values)
    assert total == pytest.approx(sum(values))
