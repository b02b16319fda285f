"""The sender of STAMP against its own reflector's packets, golden bytes, and forgeries."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import ntp
from netlabsvc.udp.probe import Answer
from netlabsvc.udp.sender import Sender
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.trace import Reply, Trace

NOW_NS = 1_700_000_000_123_456_789
LATER_NS = NOW_NS + 1_000_000
#: Direct Measurement: unrecognised so far, one packet sent.
TLV = "8005000c" + "00000001" + "0" * 16
KEY = b"0123456789abcdef0123456789abcdef"


def reflector(key: bytes | None = None, stateful: bool = True) -> Stamp:
    """One whose sessions never age."""
    return Stamp(lambda: 0, key, stateful)


def reflect(peer: Stamp, request: bytes) -> bytes:
    """The reply of a reflector that has the request 1 ms later and keeps it for 50 us."""
    reply = peer.reply(request, "127.0.0.1", 9, 63, LATER_NS, lambda: LATER_NS + 50_000, True)
    assert isinstance(reply, bytes)
    return reply


def concluded(sender: Sender) -> Trace:
    """What it writes down at the end of a run with a reply."""
    trace = Trace(10**9, "stamp", replies=[Reply(1, 0, 44)])
    sender.conclude(trace)
    return trace


def test_the_request_is_that_of_the_rfc() -> None:
    """Number from 0, T1, estimate, SSID and zeros, at their places; then the TLV, and padding."""
    for size_bytes, rest in ((44, ""), (45, "00"), (0, TLV), (62, TLV + "0000")):
        sender = Sender(Random(1), size_bytes, estimate=0x1384)
        base = f"00000000e8fe6f801f9add371384{sender.ssid:04x}" + "0" * 56
        assert sender.request(1, NOW_NS).hex() == base + rest
        assert sender.request(2, NOW_NS)[:4].hex() == "00000001"


@pytest.mark.parametrize("key", [None, KEY])
def test_a_reply_tells_both_times_and_its_number(key: bytes | None) -> None:
    """T2 and T3 to the nanosecond, and the server's own count, in both modes."""
    sender, peer = Sender(Random(1), key=key), reflector(key)
    for seq in (1, 2):
        reply = reflect(peer, sender.request(seq, NOW_NS))
        answer = Answer(seq, LATER_NS, LATER_NS + 50_000, seq - 1)
        assert sender.answer(reply, seq, NOW_NS) == answer


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("size_bytes", [0, 112])
@pytest.mark.parametrize("lost_up", [False, True])
@pytest.mark.parametrize("stateful", [False, True])
def test_a_peer_that_counts_is_recognised(
    stateful: bool, lost_up: bool, size_bytes: int, key: bytes | None
) -> None:
    """By what it says of its count, or because that differs from ours; a stateless one never is."""
    sender, peer = Sender(Random(1), size_bytes, key), reflector(key, stateful)
    for seq in (1, 2, 3):
        request = sender.request(seq, NOW_NS)
        if not (lost_up and seq == 2):
            assert sender.answer(reflect(peer, request), seq, NOW_NS)
    asked = key is None or not size_bytes  # no room for it in 112 bytes with a key
    assert concluded(sender).stateful is (stateful and (asked or lost_up))


def test_a_twamp_light_reply_of_38_bytes_counts() -> None:
    """No SSID and no TTL in it; the report says what kind of server that is."""
    sender = Sender(Random(1))
    reply = bytearray(reflect(reflector(), sender.request(1, NOW_NS))[:38])
    reply[14:16] = b"\0\0"
    assert sender.answer(bytes(reply), 1, NOW_NS) == Answer(1, LATER_NS, LATER_NS + 50_000, 0)
    assert "TWAMP-Light" in concluded(sender).notes[0]


def test_a_synchronised_server_says_how_wrong_its_clock_may_be() -> None:
    """Its Error Estimate, the largest of the run; without S it is worth nothing."""
    for synchronised, expected in ((True, 503_540), (False, None)):
        sender, peer = Sender(Random(1)), reflector()
        peer.error_estimate = ntp.error_estimate(synchronised, 500_000)
        sender.answer(reflect(peer, sender.request(1, NOW_NS)), 1, NOW_NS)
        assert concluded(sender).server_clock_error_ns == expected


@pytest.mark.parametrize("byte", [0, 15, 24, 28, 35])
def test_what_differs_from_what_was_sent_is_no_reply(byte: int) -> None:
    """Another SSID, number or T1 is of another run, or forged; the server's own count is free."""
    sender = Sender(Random(1))
    reply = bytearray(reflect(reflector(), sender.request(1, NOW_NS)))
    reply[byte] ^= 1
    assert (sender.answer(bytes(reply), 1, NOW_NS) is None) == (byte != 0)


def test_an_echo_and_a_wrong_key_are_no_replies() -> None:
    """The note says what to do about each."""
    for key, word in ((None, "--proto text"), (KEY, "another key")):
        sender = Sender(Random(1), key=key)
        request = sender.request(1, NOW_NS)
        assert sender.answer(request, 1, NOW_NS) is None
        trace = Trace(10**9, "stamp")
        sender.conclude(trace)
        assert word in trace.notes[0]
    forged = reflect(reflector(b"x" * 16), Sender(Random(1), key=b"x" * 16).request(1, NOW_NS))
    assert sender.answer(forged, 1, NOW_NS) is None


@given(st.binary(max_size=200))
def test_no_datagram_raises_or_counts(data: bytes) -> None:
    """Any bytes at all are no reply: 64 bits of T1 are not guessed."""
    sender = Sender(Random(1))
    sender.request(1, NOW_NS)
    assert sender.answer(data, 1, NOW_NS) is None
