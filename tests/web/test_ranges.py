"""Range headers, good and hostile, and the body that answers several ranges."""

from __future__ import annotations

from collections.abc import Callable
from email.message import Message
from email.parser import BytesParser
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.ranges import MOST, Range, Unsatisfiable, merged, multipart, parse

SPECS = st.lists(st.from_regex(rb"[0-9]{0,4}-[0-9]{0,4}", fullmatch=True)).map(b",".join)


@given(st.binary() | SPECS.map(b"bytes=".__add__), st.integers(0, 2000))
def test_every_range_lies_in_the_file(value: bytes, size_bytes: int) -> None:
    """Whatever is asked for, what comes back overlaps the file, in at most 16 pieces."""
    try:
        found = parse(value, size_bytes)
    except Unsatisfiable:
        return
    if found is not None:
        assert 1 <= len(found) <= MOST
        assert all(0 <= r.first <= r.last < size_bytes for r in found)


@given(st.integers(1, 2000), st.data())
def test_a_range_means_what_it_says(size_bytes: int, data: st.DataObject) -> None:
    """The three forms name the bytes that a slice of the file names."""
    file = bytes(i % 251 for i in range(size_bytes))
    first = data.draw(st.integers(0, size_bytes - 1))
    last = data.draw(st.integers(first, 3000))
    count = data.draw(st.integers(1, 3000))

    def cut(spec: str) -> bytes:
        [found] = parse(b"bytes=" + spec.encode("ascii"), size_bytes) or []
        return file[found.first : found.last + 1]

    assert cut(f"{first}-{last}") == file[first : last + 1]
    assert cut(f"{first}-") == file[first:]
    assert cut(f"-{count}") == file[-count:]


def test_several_ranges_keep_their_order() -> None:
    """Empty list elements are passed over, and a range outside the file is left out."""
    assert parse(b"bytes= 8-9, ,0-0,50-", 10) == [Range(8, 9), Range(0, 0)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), min_size=1, max_size=16))
def test_no_byte_is_sent_twice(wanted: list[tuple[int, int]]) -> None:
    """Ranges that overlap or touch become one; together they name the bytes that were asked for."""
    asked = [Range(first, first + more) for first, more in wanted]
    apart = merged(asked)
    named = [number for r in apart for number in range(r.first, r.last + 1)]
    assert set(named) == {number for r in asked for number in range(r.first, r.last + 1)}
    assert len(set(named)) == len(named)
    ends = sorted((r.first, r.last) for r in apart)
    assert all(b[0] > a[1] + 1 for a, b in pairwise(ends))


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 9)), min_size=1, max_size=16))
def test_the_length_of_a_multipart_is_what_it_says(wanted: list[tuple[int, int]]) -> None:
    """Content-Length is known before a byte of the file is read."""
    body = multipart([Range(a, a + n) for a, n in wanted], 100, b"text/plain", b"x" * 32)
    sent = b"".join(
        head + bytes(part.length) for head, part in zip(body.heads, body.parts, strict=True)
    )
    assert len(sent + body.tail) == body.length


def parts_of(response: Any) -> list[Message]:
    """The parts of a multipart/byteranges, as Python's MIME parser reads them."""
    head = f"Content-Type: {response.getheader('Content-Type')}\r\n\r\n".encode("ascii")
    message = BytesParser().parsebytes(head + response.body)
    assert message.is_multipart()
    assert not message.defects
    return list(message.get_payload())


def test_several_ranges_come_as_parts(visit: Callable[[], Any], root: Path) -> None:
    """Each with its type, its place and its bytes, in the order asked for; twice the same bytes."""
    content = bytes(48 + i % 10 for i in range(700_000))
    (root / "long.txt").write_bytes(content)
    ask = b"GET /long.txt HTTP/1.1\r\nHost: lab\r\nRange: bytes=-5,0-1,600000-600001,1-200000\r\n"
    visitor = visit()
    response = visitor.ask(ask + b"\r\n")
    assert response.status == 206
    assert response.getheader("Content-Range") is None
    assert int(response.getheader("Content-Length") or 0) == len(response.body)
    found = [(part["Content-Range"], part.get_payload(decode=True)) for part in parts_of(response)]
    assert found == [
        ("bytes 699995-699999/700000", content[-5:]),
        ("bytes 0-200000/700000", content[:200_001]),
        ("bytes 600000-600001/700000", content[600_000:600_002]),
    ]
    assert {part["Content-Type"] for part in parts_of(response)} == {"text/plain; charset=utf-8"}
    again = visit()
    again.ask(ask + b"\r\n")
    assert again.transport.value() == visitor.transport.value()
    assert visitor.ask(ask.replace(b"GET", b"HEAD", 1) + b"\r\n").status == 200
