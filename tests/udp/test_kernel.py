"""What the kernel tells: control messages, and how good the clock is."""

from __future__ import annotations

import socket
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.kernel import CONTROL_BYTES, arrivals, clock_quality


def message(level: int, kind: int, data: bytes) -> bytes:
    """A control message, padded."""
    whole = pack("=Qii", 16 + len(data), level, kind) + data
    return whole.ljust(len(whole) + 7 & ~7, b"\0")


STAMP = message(socket.SOL_SOCKET, 35, pack("=qq", 1_700_000_000, 5))
TTL = message(socket.IPPROTO_IP, 2, pack("=i", 63))
HOPS = message(socket.IPPROTO_IPV6, 52, pack("=i", 200))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (STAMP + TTL, (1_700_000_000_000_000_005, 63)),
        (STAMP + HOPS, (1_700_000_000_000_000_005, 200)),
        (TTL + STAMP, (1_700_000_000_000_000_005, 63)),
        (STAMP, (1_700_000_000_000_000_005, 0)),
        (TTL, (0, 63)),
        (b"", (0, 0)),
    ],
)
def test_golden_messages(messages: bytes, expected: tuple[int, int]) -> None:
    """In their usual order, in another, and where one is missing, in each slot for itself."""
    slot = messages.ljust(CONTROL_BYTES, b"\0")
    other = (STAMP + TTL).ljust(CONTROL_BYTES, b"\0")
    found = arrivals(memoryview(slot + other + slot))
    assert found == [expected, (1_700_000_000_000_000_005, 63), expected]


@given(st.binary(min_size=CONTROL_BYTES, max_size=CONTROL_BYTES))
def test_whatever_stands_there_is_read_to_an_end(slot: bytes) -> None:
    """No order, length or type raises; a TTL has one byte."""
    ((_, ttl),) = arrivals(memoryview(slot))
    assert 0 <= ttl <= 255


def test_the_clock_says_how_good_it_is() -> None:
    """A clock that nobody sets owns up to 16 s, and none is perfect."""
    synchronised, error_ns = clock_quality()
    assert error_ns >= 0
    assert synchronised or error_ns > 0
