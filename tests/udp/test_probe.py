"""The text probe, and what a reply to it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.probe import Answer, Text, least_bytes, number, request, server_time

NOW_NS = 1_700_000_000_123_456_789


def test_golden_request() -> None:
    """Number and time stand in the clear, and microseconds keep their leading zeros."""
    assert request(7, NOW_NS) == b"Ping 7 1700000000.123456"
    assert request(12, 5_000_000_007_000) == b"Ping 12 5000.000007"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"Ping 3 1700000000.123456", 3),
        (b"PING 3 1700000000.123456", 3),
        (b"1700000000123 Ping 3 1700000000.123456", 3),
        (b"echo:ping 3\r\n", 3),
        (b"Ping 3", 3),
        (b"Ping 13 1", 13),
        (b"Ping 14 1", None),
        (b"Ping 1", None),
        (b"Ping 0 1", None),
        (b"Ping 03 1", None),
        (b"Ping -3 1", None),
        (b"Ping " + b"1" * 60_000, None),
        (b"1700000000123 ", None),
        (b"", None),
    ],
)
def test_the_number_of_a_reply(reply: bytes, expected: int | None) -> None:
    """With 13 probes sent: what belongs to a probe, and what does not.

    "Ping 1" at the end may be the rest of "Ping 13", so it belongs to none.
    """
    assert number(reply, sent=13) == expected


def test_a_number_is_read_whole_or_not_at_all() -> None:
    """Digits beyond the longest number do not make it the number of another probe."""
    assert number(b"Ping 1234567890 x", sent=10**12) == 1234567890
    assert number(b"Ping 12345678901 x", sent=10**12) is None


@given(
    st.integers(1, 10**6),
    st.binary(max_size=40),
    st.integers(0, 30),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_mangled_reply_counts_for_its_own_number_or_none(
    seq: int, prefix: bytes, kept: int, upper: bool, more: int
) -> None:
    """Prefixed, cut anywhere and turned into capitals, a reply is never another probe's."""
    reply = prefix + request(seq, NOW_NS)[:kept]
    assert number(reply.upper() if upper else reply, sent=seq + more) in (seq, None)


@given(st.integers(1, 10**6), st.sampled_from([b"", b"1700000000123 ", b"got: ", b"\xff\x00"]))
def test_a_whole_reply_is_always_recognised(seq: int, prefix: bytes) -> None:
    """Behind any of these prefixes, and in capitals, a reply finds its probe."""
    reply = prefix + request(seq, NOW_NS)
    assert number(reply, seq) == number(reply.upper(), seq) == seq


@given(st.binary(max_size=200), st.integers(0, 10**6))
def test_no_reply_raises_or_finds_what_was_not_sent(reply: bytes, sent: int) -> None:
    """Any bytes at all give a number that was sent, or none."""
    found = number(reply, sent)
    assert found is None or 1 <= found <= sent


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"1700000000123 Ping 1 x", 1_700_000_000_123_000_000),
        (b"1700000000123456 PING 1", 1_700_000_000_123_456_000),
        (b"1700000000123456789 x", NOW_NS),
        (b"1700000000.5 Ping 1", 1_700_000_000_500_000_000),
        (b"1700000000.123456", 1_700_000_000_123_456_000),
        (b"1700000000123", 1_700_000_000_123_000_000),
        (b"1700000000 Ping 1", None),
        (b"17000000001234 Ping 1", None),
        (b"1700000000.1234567890", None),
        (b" 1700000000123 Ping 1", None),
        (b"Ping 1 1700000000.123456", None),
        (b"", None),
    ],
)
def test_the_time_at_the_beginning_of_a_reply(reply: bytes, expected: int | None) -> None:
    """Milliseconds, microseconds, nanoseconds or a fraction; our own time is not the server's."""
    assert server_time(reply) == expected


def text_of(sent: int) -> Text:
    """A dialect that has sent probes, a second apart; the second one at `NOW_NS`."""
    text = Text()
    for seq in range(1, sent + 1):
        text.request(seq, NOW_NS + (seq - 2) * 10**9)
    return text


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"1700000000123 Ping 2 x", Answer(2, NOW_NS - 456_789, NOW_NS - 456_789)),
        (b"PING 2 1700000000.123456", Answer(2)),
        (b"Ping 2 1700000000.12345", Answer(2)),
        (b"pong", Answer(None)),
        (b"Ping 3 x", None),
        (b"Ping 2 1700000000.123457", Answer(2)),
        (b"Ping 2 1699999999.123456", None),
        (b"1700000000123 PING 2 1699999999.123456 x", None),
    ],
)
def test_what_a_text_reply_says(reply: bytes, expected: Answer | None) -> None:
    """Number and time of the server; with the time of another probe it is no reply at all."""
    assert text_of(2).answer(reply, 2, NOW_NS) == expected


@given(st.integers(1, 12), st.integers(0, 200), st.integers(0, 7))
def test_a_damaged_reply_never_counts_for_another_probe(seq: int, at: int, bit: int) -> None:
    """One bit flipped anywhere: it counts for its own probe, or has no number, or is none."""
    text = Text()
    sent = [text.request(n, NOW_NS + n * 10**7) for n in range(1, 13)]
    reply = bytearray(sent[seq - 1])
    reply[at % len(reply)] ^= 1 << bit
    answer = text.answer(bytes(reply), 12, NOW_NS)
    assert answer is None or answer.seq in (seq, None)


def test_a_probe_of_a_size() -> None:
    """Dots make it as long as was asked for, and its number is still found."""
    probe = Text(40).request(7, NOW_NS)
    assert probe == b"Ping 7 1700000000.123456 ..............."
    assert number(probe, 7) == 7
    assert least_bytes(1000) == len(b"Ping 1000 1700000000.123456")


@given(st.binary(max_size=200), st.integers(0, 20))
def test_any_reply_is_read_without_harm(reply: bytes, sent: int) -> None:
    """Any bytes are a reply to a probe that was sent, one without a number, or none."""
    answer = text_of(sent).answer(reply, sent, NOW_NS)
    assert answer is None or answer.seq is None or 1 <= answer.seq <= sent
