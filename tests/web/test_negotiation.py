"""Compressed neighbours of a file, and who gets which."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.negotiation import CODINGS, coding, prefers_json, weights

BR, ZSTD, GZIP = CODINGS
TEXT = b"a page that can be compressed " * 40


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: lab", *headers, "", ""]).encode("ascii")


@pytest.fixture
def page(root: Path) -> Path:
    """A page with a gzip and a (pretended) brotli neighbour."""
    page = root / "page.html"
    page.write_bytes(TEXT)
    (root / "page.html.gz").write_bytes(gzip.compress(TEXT))
    (root / "page.html.br").write_bytes(b"BR")
    for path in (page, root / "page.html.gz", root / "page.html.br"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return page


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, None),
        (b"", None),
        (b"identity", None),
        (b"gzip", GZIP),
        (b"GZIP", GZIP),
        (b"x-gzip", GZIP),
        (b"gzip, deflate, br, zstd", BR),
        (b"gzip;q=1.0, br;q=0.5", GZIP),
        (b"gzip; q=0.5 , zstd", ZSTD),
        (b"br;q=0, gzip;q=0.000", None),
        (b"*", BR),
        (b"br;q=0, *", ZSTD),
        (b"*;q=0, gzip", GZIP),
        (b"identity;q=1, gzip;q=0.5", None),
        (b"identity;q=0.5, gzip;q=0.5", GZIP),
        (b"identity;q=0", None),
        (b"deflate", None),
        (b"gzip;q=2", None),
        (b"gzip;q=0.1234", None),
        (b"gzip;q=", None),
        (b",,gzip,,", GZIP),
    ],
)
def test_who_gets_which(accepted: bytes | None, chosen: object) -> None:
    """The q-values of RFC 9110 section 12.5.3 decide; among equals the one that is smallest."""
    assert coding(accepted, CODINGS) == chosen
    assert coding(accepted, []) is None


@given(st.binary(max_size=80), st.sampled_from([b"br", b"gzip", b"*"]))
def test_no_header_breaks_it(noise: bytes, name: bytes) -> None:
    """Whatever is sent, q-values are from 0 to 1, and a coding with q=0 is not chosen."""
    value = noise + b"," + name + b";q=0"
    assert all(0 <= q <= 1 for q in weights(value).values())
    for accepted in (noise, value, name + b";q=0," + noise):
        chosen = coding(accepted, CODINGS)
        assert chosen is None or weights(accepted).get(chosen.name) != 0
        prefers_json(accepted)


def test_a_neighbour_is_sent_as_the_page(visit: Callable[[], Any], page: Path) -> None:
    """Type of the page, coding of the neighbour, Vary, and an ETag of its own."""
    visitor = visit()
    plain = visitor.ask(get("/page.html"))
    coded = visitor.ask(get("/page.html", "Accept-Encoding: gzip"))
    assert gzip.decompress(coded.body) == plain.body == TEXT
    assert coded.getheader("Content-Type") == plain.getheader("Content-Type")
    assert (coded.getheader("Content-Encoding"), plain.getheader("Content-Encoding")) == (
        "gzip",
        None,
    )
    assert coded.getheader("Vary") == plain.getheader("Vary") == "Accept-Encoding"
    assert coded.getheader("ETag") != plain.getheader("ETag")
    tag = f"If-None-Match: {coded.getheader('ETag')}"
    same = visitor.ask(get("/page.html", "Accept-Encoding: gzip", tag))
    assert (same.status, same.getheader("Vary")) == (304, "Accept-Encoding")
    assert visitor.ask(get("/page.html", tag)).status == 200


def test_ranges_are_those_of_what_is_sent(visit: Callable[[], Any], page: Path) -> None:
    """A part of a compressed page is a part of the compressed bytes."""
    visitor = visit()
    packed = (page.parent / "page.html.gz").read_bytes()
    part = visitor.ask(get("/page.html", "Accept-Encoding: gzip", "Range: bytes=2-5"))
    assert (part.status, part.body) == (206, packed[2:6])
    assert part.getheader("Content-Range") == f"bytes 2-5/{len(packed)}"
    assert part.getheader("Content-Encoding") == "gzip"
    gone = visitor.ask(get("/page.html", "Accept-Encoding: gzip", "Range: bytes=99999-"))
    assert (gone.status, gone.getheader("Content-Encoding")) == (416, None)


def test_what_is_no_neighbour(visit: Callable[[], Any], page: Path, root: Path) -> None:
    """One that is older than the page, a link, a directory, and one asked for by its own name."""
    visitor = visit()
    os.utime(root / "page.html.gz", (1_600_000_000, 1_600_000_000))
    (root / "page.html.br").unlink()
    (root / "page.html.br").symlink_to("../secret.txt")
    (root / "page.html.zst").mkdir()
    response = visitor.ask(get("/page.html", "Accept-Encoding: gzip, br, zstd"))
    assert (response.body, response.getheader("Vary")) == (TEXT, None)
    itself = visitor.ask(get("/page.html.gz", "Accept-Encoding: gzip"))
    assert itself.getheader("Content-Type") == "application/gzip"
    assert itself.getheader("Content-Encoding") is None


def test_an_index_has_neighbours_too(visit: Callable[[], Any], root: Path) -> None:
    """A directory's index.html is sent compressed."""
    (root / "home" / "index.html.gz").write_bytes(gzip.compress(b"<h1>home</h1>"))
    response = visit().ask(get("/home/", "Accept-Encoding: gzip"))
    assert gzip.decompress(response.body) == b"<h1>home</h1>"
