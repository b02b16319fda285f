"""The request, its headers, and where a redirect leads."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.asking import Request, edit
from netlabsvc.web.failure import Failed
from netlabsvc.web.redirect import target
from netlabsvc.web.response import Head
from netlabsvc.web.url import parse

URL = parse("http://lab:8080/a/b?c")


def asked(*lines: str) -> list[bytes]:
    """The lines of a request with some of -H."""
    ours = (("User-Agent", "netlab"), ("Accept", "*/*"))
    return Request(URL, "GET", ours, tuple(map(edit, lines))).encode().split(b"\r\n")[:-2]


def head(status: int, location: bytes | None) -> Head:
    headers = () if location is None else ((b"location", location),)
    return Head(b"1.1", status, b"", headers, b"")


def test_headers_are_added_replaced_and_removed() -> None:
    """As with curl: a header of ours gives way to one of the same name, or to none."""
    plain = asked()
    assert plain[:2] == [b"GET /a/b?c HTTP/1.1", b"Host: lab:8080"]
    assert asked("X: y", "X: z")[-2:] == [b"X: y", b"X: z"]
    assert [x for x in asked("user-agent: me") if b"gent" in x] == [b"user-agent: me"]
    assert [x for x in asked("Accept:") if b"Accept" in x] == []
    assert asked("X-Empty;")[-1] == b"X-Empty:"
    assert asked("Host: other")[1] == b"Host: other"


@given(st.text() | st.from_regex(r"[A-Za-z]+[:;].*", fullmatch=True))
def test_no_header_becomes_two(text: str) -> None:
    """Whatever is typed after -H, it adds one line at most, or is refused."""
    with suppress(ValueError):
        assert len(asked(text)) - len(asked()) in (-1, 0, 1)


@pytest.mark.parametrize(
    ("status", "location", "to"),
    [
        (302, b"/x", "http://lab:8080/x"),
        (301, b"x y", "http://lab:8080/a/x%20y"),
        (307, b"?q", "http://lab:8080/a/b?q"),
        (308, b"//else/z", "http://else/z"),
        (303, b"https://lab", "https://lab/"),
        (302, "/é".encode(), "http://lab:8080/%C3%A9"),
        (304, b"/x", None),
        (200, b"/x", None),
        (302, None, None),
    ],
)
def test_where_a_redirect_leads(status: int, location: bytes | None, to: str | None) -> None:
    """References are resolved against the URL that was asked; not every Location is a redirect."""
    found = target(URL, head(status, location))
    assert (found and str(found)) == to


@pytest.mark.parametrize("location", [b"ftp://x/", b"file:///etc/passwd", b"http://", b"//a:b/"])
def test_where_no_redirect_may_lead(location: bytes) -> None:
    """Another scheme, no host or no port end the journey, and name the server."""
    with pytest.raises(Failed, match="lab:8080 redirects to no place"):
        target(URL, head(302, location))


@given(st.binary())
def test_any_location_is_a_url_or_refused(location: bytes) -> None:
    """No bytes of a server raise anything else, nor reach the request unescaped."""
    with suppress(Failed):
        if found := target(URL, head(302, location)):
            assert Request(found).encode().count(b"\n") == 4


def test_what_another_origin_is_not_told() -> None:
    """Credentials and the name of the host stay with the origin that they were meant for."""
    edits = tuple(map(edit, ("Authorization: x", "COOKIE: y", "Host: z", "X: y", "Accept:")))
    request = Request(URL, edits=edits)
    assert request.at(parse("http://lab:8080/else")) == (
        Request(parse("lab:8080/else"), edits=edits),
        (),
    )
    for other in ("http://lab/", "https://lab:8080/", "http://else:8080/"):
        moved, dropped = request.at(parse(other))
        assert [each.name for each in moved.edits] == ["X", "Accept"]
        assert dropped == ("Authorization", "COOKIE", "Host")
