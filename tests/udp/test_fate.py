"""The fate script: read, asked, refused, written back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.escape import UNSAFE
from netlabsvc.udp.fate import KINDS, Deed, Entry, parse
from netlabsvc.udp.notation import Mistake

SCRIPT = """\
# what the lesson needs
3: drop-up, 5: delay 1200ms,   7:duplicate
8: corrupt-down  # the reply
10-12: drop
11: deliver
every(6): delay-down 5ms
"""


def test_a_script_says_what_happens_to_each_number() -> None:
    """Lines or commas, comments, ranges; a single number goes before a range."""
    script = parse(SCRIPT)
    up = {n: deed for n in range(1, 20) if (deed := script.deed(n, "up"))}
    assert up == {
        3: Deed("drop"),
        5: Deed("delay", 1_200_000_000),
        7: Deed("duplicate"),
        10: Deed("drop"),
        11: Deed("deliver"),
        12: Deed("drop"),
    }
    down = {n: deed for n in range(1, 20) if (deed := script.deed(n, "down"))}
    late = Deed("delay", 5_000_000)
    assert down == {6: late, 8: Deed("corrupt"), 12: late, 18: late}


def test_of_two_patterns_the_first_holds() -> None:
    """Ranges and every(n) are asked in the order in which they stand."""
    assert parse("1-9: drop, every(5): deliver").deed(5, "up") == Deed("drop")
    assert parse("every(5): deliver, 1-9: drop").deed(5, "up") == Deed("deliver")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", 'line 1, column 1: "3": an entry is a number, a colon and what happens'),
        ("3:", 'line 1, column 1: "3:": an entry is a number, a colon and what happens'),
        ("3: drop\n 4: drp", 'line 2, column 5: "drp": no such fate; did you mean "drop"?'),
        ("3: drop-left", 'line 1, column 9: "left": no such way; it is one of up, down'),
        (
            "3: drop, 0: drop",
            'line 1, column 10: "0": a request\'s number is a whole number from 1',
        ),
        ("9-3: drop", 'line 1, column 3: "3": the end of a range is a whole number from 9'),
        ("every(x): drop", 'line 1, column 7: "x": n of every(n) is a whole number from 2'),
        ("3: delay", 'line 1, column 4: "delay": delay takes one time: delay 1200ms'),
        ("3: delay 5", 'line 1, column 10: "5": a time needs its unit'),
        ("3: drop 5ms", 'line 1, column 4: "drop 5ms": takes nothing'),
        ("3: drop\n3: delay 1s", 'line 2, column 1: "3: delay 1s": the fate of number 3 on its'),
    ],
)
def test_a_mistake_is_named_with_line_and_column(text: str, message: str) -> None:
    """And says what would be right."""
    with pytest.raises(Mistake) as caught:
        parse(text)
    assert str(caught.value).startswith(message)


def entry(numbers: range, way: str, kind: str, delay_ns: int) -> Entry:
    return Entry(numbers, way, Deed(kind, delay_ns if kind == "delay" else 0))  # type: ignore[arg-type]


numbers = st.integers(1, 10**9)
ranges = st.builds(lambda a, b: range(min(a, b), max(a, b) + 2), numbers, numbers) | st.integers(
    2, 5 * 10**8
).map(lambda n: range(n, 10**9 + 1, n))
singles = numbers.map(lambda n: range(n, n + 1))
entries = st.builds(
    entry, singles | ranges, st.sampled_from(["up", "down"]), st.sampled_from(KINDS), numbers
)


@settings(deadline=None)
@given(st.lists(entries, unique_by=lambda e: (e.numbers, e.way)))
def test_what_is_written_reads_back_as_the_same(given: list[Entry]) -> None:
    """Every script can be shown and read again."""
    text = ", ".join(map(str, given)).replace(str(10**9 + 1), str(10**9))
    assert str(parse(text)) == text


PARTS = [
    *("3", "-", ":", ",", "drop", "delay", " ", "\n", "#", "-up", "every(", ")", "5ms", "\r"),
    "\u0663",
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(PARTS)).map("".join))
def test_no_text_raises_anything_but_a_mistake(text: str) -> None:
    """A file of any content is read, or refused on one line that is safe to show."""
    try:
        script = parse(text)
    except Mistake as mistake:
        message = str(mistake)
    else:
        message = ""
        assert parse(str(script)) == script
    assert not UNSAFE.search(message)
