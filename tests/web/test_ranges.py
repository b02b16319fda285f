"""Range headers, good and hostile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.ranges import MOST, Range, Unsatisfiable, parse

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
