"""URLs as people type them, and bodies on a terminal."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.asking import Request
from netlabsvc.web.charset import declared
from netlabsvc.web.printable import Printable
from netlabsvc.web.url import Malformed, UnknownScheme, Url, parse


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://lab/", Url("http", "lab", 80, "/")),
        ("HTTPS://lab", Url("https", "lab", 443, "/")),
        ("lab:8080/a?b#c", Url("http", "lab", 8080, "/a?b")),
        ("http://lab?q=/", Url("http", "lab", 80, "/?q=/")),
        ("http://[::1]:8080/x", Url("http", "::1", 8080, "/x")),
        ("http://lab/é%20'", Url("http", "lab", 80, "/%C3%A9%20'")),
        ("http://bücher.example/", Url("http", "xn--bcher-kva.example", 80, "/")),
        ("http://lab//a//b", Url("http", "lab", 80, "//a//b")),
    ],
)
def test_urls(text: str, url: Url) -> None:
    """Scheme, host, port and target, with what may be left out."""
    assert parse(text) == url


@pytest.mark.parametrize(
    "text", ["", "http://", "http:///x", "http://a b/", "a:x", "a:0", "a:99999", "u@h", "h\r\nX: y"]
)
def test_no_urls(text: str) -> None:
    """What names no host, no port, or could smuggle a header is malformed."""
    with pytest.raises(Malformed):
        parse(text)


def test_other_schemes() -> None:
    """Another scheme is told from a mistake."""
    with pytest.raises(UnknownScheme, match="ftp"):
        parse("ftp://lab/")


@given(st.text())
def test_a_request_is_always_three_lines_and_an_end(text: str) -> None:
    """Whatever is typed, the request is ASCII and has the lines that it should."""
    try:
        request = Request(parse(text)).encode()
    except (Malformed, UnknownScheme):
        return
    assert request.count(b"\r\n") == 4
    assert request.count(b"\n") == 4
    assert request.endswith(b"\r\n\r\n")


@given(
    st.binary(),
    st.lists(st.integers(0, 50)).map(sorted),
    st.sampled_from(["utf-8", "gb18030", None]),
)
def test_nothing_drives_a_terminal(data: bytes, cuts: list[int], name: str | None) -> None:
    """Cut anywhere, a body is shown the same, and no control character is left in it."""
    edges = [0, *(min(cut, len(data)) for cut in cuts), len(data)]
    shown = Printable(name)
    text = "".join(shown.feed(data[a:b]) for a, b in pairwise(edges))
    text += shown.feed(b"", final=True)
    assert text == Printable(name).feed(data, final=True)
    assert all(c in "\n\t" or not (c < " " or "\x7f" <= c <= "\x9f") for c in text)


def test_what_a_terminal_shows() -> None:
    """Escapes are visible, lines stay lines, and GBK is read as GBK."""
    assert Printable().feed(b"\x1b[2J a\r\nb\rc\x9b\t", final=True) == "\\x1b[2J a\nb\\rc\ufffd\t"
    name = declared(b"text/html; charset=GBK")
    assert Printable(name).feed("你好".encode("gbk"), final=True) == "你好"


@pytest.mark.parametrize("kind", [b"", b"text/html", b"a/b; charset=zip", b"a/b; charset=nonsense"])
def test_an_unknown_charset_is_none(kind: bytes) -> None:
    """What Python does not know as text does not stop the fetch."""
    assert declared(kind) is None
