"""The text probe, and which reply belongs to which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.probe import Arrival, Ledger, number, request

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


def test_the_ledger_keeps_late_and_duplicate_replies_apart() -> None:
    """A late reply stays with its own number, and a second one is told to be a duplicate."""
    ledger = Ledger(timeout_ns=100)
    assert [ledger.send(0), ledger.send(50)] == [1, 2]
    assert ledger.expire(99) == []
    assert ledger.expire(100) == [1]
    assert ledger.expire(100) == []
    assert ledger.receive(b"Ping 1 x", 120) == Arrival(1, 8, 120, late=True, duplicate=False)
    assert ledger.receive(b"Ping 2 x", 130) == Arrival(2, 8, 80, late=False, duplicate=False)
    assert ledger.receive(b"Ping 2 x", 140) == Arrival(2, 8, 90, late=False, duplicate=True)
    assert ledger.receive(b"Ping 3 x", 140) is None
    assert [p.arrivals_ns for p in ledger.probes] == [[120], [130, 140]]
    assert ledger.next_deadline_ns() is None


def test_a_reply_at_its_deadline_is_late() -> None:
    """One nanosecond before the deadline is in time, the deadline itself is not."""
    ledger = Ledger(timeout_ns=100)
    ledger.send(0)
    ledger.send(0)
    assert ledger.receive(b"Ping 1 x", 99) == Arrival(1, 8, 99, late=False, duplicate=False)
    assert ledger.receive(b"Ping 2 x", 100) == Arrival(2, 8, 100, late=True, duplicate=False)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from("sre"), st.integers(1, 9))))
def test_every_probe_is_answered_or_expires_once(steps: list[tuple[int, str, int]]) -> None:
    """Whatever the order of sending, replies and time, no probe expires twice or after a reply."""
    ledger, now_ns, done = Ledger(timeout_ns=100), 0, []
    for wait_ns, step, seq in [*steps, (1000, "e", 1)]:
        now_ns += wait_ns
        if step == "s":
            ledger.send(now_ns)
        elif step == "e":
            done += ledger.expire(now_ns)
        else:
            before = set(done)
            arrival = ledger.receive(b"Ping %d x" % seq, now_ns)
            if arrival and not arrival.duplicate and seq not in before:
                done.append(seq)
    assert sorted(done) == list(range(1, len(ledger.probes) + 1))
