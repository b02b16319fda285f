"""The picture of a run: well-formed, self-contained, bounded, and it shows what happened."""

from __future__ import annotations

from collections import Counter
from random import Random
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.plot import LEFT, RIGHT, svg
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.svg import ticks
from netlabsvc.udp.trace import Trace
from support.traces import once, sent, through

SVG = "{http://www.w3.org/2000/svg}"


def drawn(trace: Trace, title: str = "a run") -> ElementTree.Element:
    return ElementTree.fromstring(svg(trace, analyse(trace), title))


def shapes(picture: ElementTree.Element) -> Counter[str]:
    """How many shapes there are of each kind, less the one in the legend."""
    kinds = ("ok", "late", "lost", "copy", "moved")
    found = Counter(shape.get("class") for shape in picture.iter(f"{SVG}path"))
    return Counter({kind: found[kind] - 1 for kind in kinds})


def random_run(count: int) -> Trace:
    """Some of everything."""
    chance, trace = Random(5), sent(count, timeout_ms=100)

    def way(_: int) -> tuple[float, ...]:
        delay = 10 + chance.expovariate(0.5) + 200 * (chance.random() < 0.02)
        return () if chance.random() < 0.1 else (delay,) * (1 + (chance.random() < 0.05))

    through(trace, way, way)
    return trace


def test_each_event_has_a_shape_of_its_own() -> None:
    """Probe 2 is lost, 4 late, 6 duplicated, 8 overtaken; the other five came in time."""
    trace = sent(9, timeout_ms=100)
    up = {2: (), 4: (200,), 8: (15,)}
    through(trace, lambda n: up.get(n, (1,)), lambda number: (1, 2) if number == 3 else (1,))
    marks = shapes(drawn(trace))
    assert marks == Counter(ok=6, late=1, lost=1, copy=1, moved=2)


def test_titles_and_units() -> None:
    """It says what it shows, with units at every axis."""
    said = "".join(drawn(random_run(50)).itertext())
    for words in ("a run", "round trip, ms", "sent, s after the first probe", "replies", "50 sent"):
        assert words in said


@pytest.mark.parametrize("count", [0, 1, 2, 300, 5000])
def test_it_stands_alone(count: int) -> None:
    """Well-formed for any number of probes; no script, no reference to anything outside."""
    picture = drawn(random_run(count))
    tags = {element.tag.removeprefix(SVG) for element in picture.iter()}
    assert tags <= {"svg", "title", "style", "rect", "text", "path", "g"}
    whole = ElementTree.tostring(picture, "unicode").replace("http://www.w3.org/2000/svg", "")
    assert not any(word in whole for word in ("http", "url(", "@import", "href"))


def test_without_replies_it_says_so() -> None:
    """All lost: as many crosses, and a word instead of a distribution."""
    picture = drawn(sent(7))
    assert shapes(picture)["lost"] == 7
    assert "no reply in time" in "".join(picture.itertext())


def test_the_median_stands_where_the_figures_say() -> None:
    """Of 2 ms and 4 ms it is 3 ms: the middle of the lower picture."""
    trace = sent(2)
    through(trace, lambda n: (2 * n - 1,), once())
    marks = [p.get("d", "") for p in drawn(trace).iter(SVG + "path") if p.get("class") == "mark"]
    assert marks[0].startswith(f"M{(LEFT + RIGHT) / 2:g} ")


def test_its_size_is_bounded() -> None:
    """Ten times the probes make it no larger than some thousands of characters more."""
    sizes = [len(svg(t, analyse(t), "x")) for t in (random_run(3000), random_run(30_000))]
    assert max(sizes) < 120_000


def test_one_value_many_times() -> None:
    """Where every round trip is the same the axes still have a width."""
    trace = sent(200)
    through(trace, once(), once())
    assert shapes(drawn(trace))["ok"] == 200


@given(st.text())
def test_any_title(title: str) -> None:
    """Nothing in a title breaks the document."""
    assert drawn(sent(1), title) is not None


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 12))
def test_ticks_are_few_and_inside(low: float, span: float, wanted: int) -> None:
    """About as many as wanted, none outside."""
    made = ticks(low, low + span, wanted)
    assert len(made) <= wanted + 1
    assert all(low - span / 1e3 <= value <= low + span * 1.001 for value in made)
