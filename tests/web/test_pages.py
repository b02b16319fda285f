"""Content types and the listing: what stands in the table, and what stays text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.listing import Entry, render
from netlabsvc.web.types import content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"index.HTML", b"text/html; charset=utf-8"),
        (b"a.js", b"text/javascript; charset=utf-8"),
        (b"a.json", b"application/json"),
        (b"x.tar.gz", b"application/gzip"),
        (b"png", b"application/octet-stream"),
        (b"\xff.\xff", b"application/octet-stream"),
    ],
)
def test_types(name: bytes, expected: bytes) -> None:
    """The last extension decides; text says that it is UTF-8; the rest is bytes."""
    assert content_type(name) == expected


@given(st.lists(st.binary(min_size=1)), st.lists(st.binary(min_size=1)))
def test_no_name_becomes_html(where: list[bytes], names: list[bytes]) -> None:
    """Whatever a name holds, the page is UTF-8, and no markup comes from it."""
    plain = render([b"x"] * len(where), [Entry(b"x", False, 1, 0)] * len(names)).decode("utf-8")
    page = render(where, [Entry(name, False, 1, 0) for name in names]).decode("utf-8")
    assert page.count("<") == plain.count("<")
    assert page.count('"') == plain.count('"')


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_250_000, "1.2 MB"), (5 << 30, "5.4 GB")],
)
def test_sizes(size_bytes: int, shown: str) -> None:
    """Sizes are for people."""
    assert f">{shown}<" in render([], [Entry(b"a", False, size_bytes, 0)]).decode("utf-8")
