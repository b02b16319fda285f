"""The journal of what happened, and its wire form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.control.events import Event, Journal, parse, wire

STARTED_S = 1_700_000_000.0


def said(*numbers: int) -> list[tuple[str, dict[str, str]]]:
    return [(f"line {n}", {"event": "said", "text": f"{n}"}) for n in numbers]


def journal(count: int, kept: int = 5) -> Journal:
    book = Journal(STARTED_S, kept)
    for number in range(1, count + 1):
        book.add(STARTED_S, "chat", said(number))
    return book


def texts(book: Journal, after: int, most: int = 100) -> list[str]:
    return [e.fields["text"] for _, e in book.after(after, most)]


def test_who_comes_back_gets_what_happened_since() -> None:
    """In order, each once, as many as asked for at a time."""
    book = journal(5)
    assert book.number(book.id(3)) == (3, False)
    assert texts(book, 3) == ["4", "5"]
    assert texts(book, 5) == []
    assert [n for n, _ in book.after(0, 2)] == [1, 2]


def test_what_is_forgotten_is_told() -> None:
    """An id whose successors are gone, and one of another run or of the future."""
    book = journal(9)  # 5 to 9 are kept
    assert book.number(book.id(4)) == (4, False)
    assert book.number(book.id(3)) == (3, True)
    assert texts(book, 3) == ["5", "6", "7", "8", "9"]
    assert book.number("zz-3") == (0, True)
    assert book.number(book.id(10)) == (0, True)


@given(st.lists(st.integers(0, 4)), st.integers(0, 30), st.integers(1, 30), st.integers(1, 12))
def test_events_do_not_depend_on_how_they_came(
    sizes: list[int], after: int, most: int, kept: int
) -> None:
    """Alone or many at once: the same numbers and texts; as many as promised can be read again."""
    book = Journal(STARTED_S, kept)
    for size in sizes:
        book.add(STARTED_S, "chat", said(*range(book.count + 1, book.count + size + 1)))
    read = book.after(after, most)
    assert [e.fields["text"] for _, e in read] == [str(n) for n, _ in read]
    assert [n for n, _ in book.after(0, 1000)][-kept:] == list(range(1, book.count + 1))[-kept:]
    last = [n for n, _ in book.after(0, 1000) if n > after][:most]
    assert [n for n, _ in read] == last
    lost = after < book.count and bool(last) and last[0] > after + 1
    assert after > book.count or book.number(book.id(after))[1] == lost


def test_long_texts_do_not_fill_the_memory() -> None:
    """Of these, fewer are kept."""
    book = Journal(STARTED_S, kept=100, kept_characters=1000)
    for _ in range(100):
        book.add(STARTED_S, "chat", [("x" * 300, {"event": "said"})])
    assert len(book.after(0, 1000)) == 3


@pytest.mark.parametrize("id", ["", "x", "-1", "run-", "run-1x", "run-1\n", "run-" + "9" * 30])
def test_what_is_no_id_is_refused_with_an_example(id: str) -> None:
    """A ValueError in words."""
    with pytest.raises(ValueError, match="is no id of an event; one looks like"):
        journal(1).number(id)


def test_watchers_are_called_when_something_is_new_until_they_leave() -> None:
    """Once for each addition, however much it holds."""
    book, calls = journal(0), []
    leave = book.watch(lambda: calls.append(book.count))
    book.add(STARTED_S, "chat", said(1, 2))
    book.add(STARTED_S, "chat", [])
    leave()
    book.add(STARTED_S, "chat", said(3))
    assert calls == [2]


def test_an_event_on_the_wire() -> None:
    """The three fields of a server-sent event, and JSON that a person can read."""
    event = Event(STARTED_S + 0.25, "chat", "小明: 你好", {"event": "said", "name": "小明"})
    assert wire("r-1", event.kind, event.data()).decode() == (
        "id: r-1\nevent: chat.said\n"
        'data: {"time": "2023-11-14T22:13:20.250Z", "message": "小明: 你好", "name": "小明"}\n\n'
    )


@given(st.lists(st.text()), st.data())
def test_no_text_ends_an_event_or_moves_a_terminal(sent: list[str], data: st.DataObject) -> None:
    """What was written is read back, and no control character stands in the bytes but LF."""
    stream = b"".join(wire(f"r-{n}", "chat.said", {"text": t}) for n, t in enumerate(sent))
    text = stream.decode()
    assert all(c == "\n" or c.isprintable() or not _hostile(c) for c in text)
    read = list(parse(text.split("\n")))
    assert [id for id, _, _ in read] == [f"r-{n}" for n in range(len(sent))]
    assert [json.loads(d)["text"] for _, _, d in read] == sent


def _hostile(char: str) -> bool:
    return ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029\u202e"


def test_a_stream_of_others_is_read_too() -> None:
    """Comments, data on several lines, no blank after the colon, a retry field."""
    lines = [": hello", "", "retry: 5", "id:7", "data:a", "data: b", "", "event: x", "data", ""]
    assert list(parse(lines)) == [("7", "message", "a\nb"), ("7", "x", "")]
