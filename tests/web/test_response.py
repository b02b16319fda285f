"""Responses, cut anywhere; and what is none."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.response import BadResponse, Body, End, Event, Head, Response, Truncated

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\n b\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.0 200\nServer: mine\n\nhello"
LENGTH_ALONE = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def read(pieces: list[bytes], method: str = "GET") -> tuple[list[Head], bytes, bool]:
    """Heads, body, and whether the end was told, of what comes in pieces before a close."""
    response = Response(method)
    events: list[Event] = []
    for piece in pieces:
        events.extend(response.feed(piece))
    events += response.end()
    heads = [event for event in events if isinstance(event, Head)]
    body = b"".join(event.data for event in events if isinstance(event, Body))
    return heads, body, events[-1] == End() and events.count(End()) == 1


@given(
    st.sampled_from([COUNTED, CHUNKED, UNTIL_CLOSE, LENGTH_ALONE]),
    st.lists(st.integers(0, 200)).map(sorted),
)
def test_any_chunking_gives_the_same(raw: bytes, cuts: list[int]) -> None:
    """Cut anywhere, a response has the same heads, the same body and one end."""
    edges = [0, *(min(cut, len(raw)) for cut in cuts), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(edges)]
    heads, body, ended = read(pieces)
    assert (heads, body, ended) == read([raw])
    assert (body, ended) == (b"hello", True)
    assert raw.startswith(b"".join(head.raw for head in heads))


@given(
    st.binary() | st.lists(st.sampled_from(list(CHUNKED))).map(lambda b: CHUNKED[:60] + bytes(b))
)
def test_anything_is_read_or_refused(raw: bytes) -> None:
    """No bytes raise anything but BadResponse and Truncated."""
    with suppress(BadResponse, Truncated):
        read([raw])


@pytest.mark.parametrize("raw", [COUNTED, CHUNKED])
def test_every_early_end_is_noticed(raw: bytes) -> None:
    """A response that says how long it is cannot be cut without being found out."""
    for end in range(len(raw)):
        with pytest.raises(Truncated):
            read([raw[:end]])


def test_what_a_head_holds() -> None:
    """Names are in lower case, folded lines are joined, the raw bytes are kept."""
    [head], _, _ = read([COUNTED])
    assert (head.status, head.reason, head.version) == (200, b"OK", b"1.1")
    assert head.values(b"x") == [b"a b"]
    assert head.raw == COUNTED.removesuffix(b"hello")


def test_responses_without_a_body() -> None:
    """HEAD, 204 and 304 end with their headers, whatever length those name."""
    assert read([LENGTH_ALONE], "HEAD")[1:] == (b"", True)
    for status in (b"204", b"304"):
        assert read([LENGTH_ALONE.replace(b"200", status)])[1:] == (b"", True)


@pytest.mark.parametrize(
    "raw",
    [
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 OK\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"a" * 70_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
    ],
)
def test_what_is_no_response(raw: bytes) -> None:
    """Each mistake that could mix up bodies, or fill the memory, is refused."""
    with pytest.raises(BadResponse):
        list(Response().feed(raw))
