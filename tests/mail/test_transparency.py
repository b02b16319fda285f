r"""Dots before lines, and which bytes end a message."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.transparency import MAX_BODY_LINE_BYTES, Body, Stuffed

#: Texts in which nearly every byte matters.
DOTTED = st.lists(st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a"]), max_size=40).map(b"".join)


def received(wire: bytes, cuts: int = 1 << 20, max_size: int = 1 << 20) -> tuple[bytes, bytes]:
    """What a Body takes from bytes that come in pieces of `cuts`: the message, and what is left."""
    body, buffer = Body(max_size), bytearray()
    for start in range(0, len(wire), cuts):
        buffer += wire[start : start + cuts]
        if body.take(buffer):
            return body.message, bytes(buffer) + wire[start + cuts :]
    raise EOFError


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (b".\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n"),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
    ],
)
def test_golden_bodies(wire: bytes, message: bytes) -> None:
    """One dot before a line is taken off; the last CRLF belongs to the message."""
    for cuts in range(1, len(wire) + 1):
        assert received(wire + b"QUIT\r\n", cuts) == (message, b"QUIT\r\n")


def test_only_crlf_dot_crlf_ends_a_message() -> None:
    """Of all line ends around the dot, one pair ends the message; the others are kept."""
    ends = [b"\r", b"\n", b"\r\n", b"\n\r", b"\r\r", b"\n\n", b""]
    for before, after in product(ends, ends):
        wire = b"x" + before + b"." + after + b"y\r\n.\r\n"
        message, _ = received(wire)
        if (before, after) == (b"\r\n", b"\r\n"):
            assert message == b"x\r\n"
        else:
            kept = b"" if before == b"\r\n" else b"."
            assert message == b"x" + before + kept + after + b"y\r\n"


def test_a_dot_inside_bare_line_ends_is_no_end() -> None:
    """LF.LF and CR.CR, which let one message smuggle in another elsewhere, are text here."""
    for smuggled in (b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r"):
        message, rest = received(b"a" + smuggled + b"MAIL FROM:<x@y>\r\n.\r\n")
        assert b"MAIL" in message
        assert rest == b""


@given(DOTTED, st.integers(1, 9), st.integers(1, 9))
def test_what_is_stuffed_arrives_whatever_the_cuts(message: bytes, read: int, cuts: int) -> None:
    """Any message, read in any blocks and heard in any pieces, arrives with its lines as CRLF."""
    stuffed, wire = Stuffed(message), b""
    while block := stuffed.read(read):
        wire += block
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    whole = lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
    assert received(wire + b"NOOP\r\n", cuts) == (whole, b"NOOP\r\n")


@given(DOTTED)
def test_any_bytes_cut_anywhere_mean_the_same(wire: bytes) -> None:
    """One byte at a time gives the message, and the rest, that one piece gives."""
    wire += b"\r\n.\r\nQUIT"
    assert received(wire, 1) == received(wire)


def test_a_stuffed_message_never_pauses_before_its_end() -> None:
    """An LF alone in a block, behind a CR at the end of the one before, is not the end."""
    stuffed = Stuffed(b"x" * 16383 + b"\r\n")
    assert stuffed.read(16384) == b"x" * 16383 + b"\r\n"
    assert stuffed.read(16384) == b".\r\n"
    assert stuffed.read(16384) == b""


@pytest.mark.parametrize("cuts", [1000, 65536, 1 << 20])
def test_the_longest_line_and_one_more(cuts: int) -> None:
    """A line of 64 KiB is kept; one octet more is noticed, however it comes."""
    for length, too_long in ((MAX_BODY_LINE_BYTES, False), (MAX_BODY_LINE_BYTES + 1, True)):
        line = b"." + b"x" * (length - 1)
        wire = b"short\r\n." + line + b"\r\nlast\r\n.\r\n"
        body, buffer = Body(1 << 20), bytearray()
        for start in range(0, len(wire), cuts):
            buffer += wire[start : start + cuts]
            ended = body.take(buffer)
        assert ended
        assert body.line_too_long == too_long
        assert too_long or body.message == b"short\r\n" + line + b"\r\nlast\r\n"


@pytest.mark.parametrize("cuts", [1, 7, 100])
def test_the_size_counts_no_stuffed_dots(cuts: int) -> None:
    """A message of exactly the size is taken, one byte more is too large, and both end."""
    for size, too_large in ((20, False), (19, True)):
        body, buffer, wire = Body(size), bytearray(), b"...2345678\r\n..234567\r\n.\r\n"
        for start in range(0, len(wire), cuts):
            buffer += wire[start : start + cuts]
            ended = body.take(buffer)
        assert ended
        assert body.size == len(b"..2345678\r\n.234567\r\n")
        assert body.too_large == too_large
