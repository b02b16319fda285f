"""What the kernel tells: control messages, and how good the clock is."""

from __future__ import annotations

import socket
import sys
import time
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.kernel import (
    CONTROL_BYTES,
    SINGLE_BYTES,
    arrival,
    arrivals,
    ask,
    ask_departures,
    clock_quality,
    departures,
    drops,
)


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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's times are Linux's")
@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_when_a_datagram_left_and_came(family: socket.AddressFamily, host: str) -> None:
    """Each departure once, by number; it lies before the arrival; then the queue is empty."""
    with socket.socket(family, socket.SOCK_DGRAM) as here, socket.socket(family, 2) as there:
        there.bind((host, 0))
        assert ask(there)
        assert ask_departures(here)
        here.setblocking(False)
        here.connect(there.getsockname())
        before_ns = time.time_ns()
        for _ in range(3):
            here.send(b"probe")
        left = list(departures(here))
        came = [arrival(there.recvmsg(100, SINGLE_BYTES)[1]) for _ in range(3)]
        assert [number for number, _ in left] == [0, 1, 2]
        for (_, left_ns), (came_ns, ttl) in zip(left, came, strict=True):
            assert before_ns <= left_ns <= came_ns <= time.time_ns()
            assert ttl > 0
        assert list(departures(here)) == []


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.binary(max_size=60))))
def test_whatever_the_kernel_tells_of_one_datagram_is_read(
    messages: list[tuple[int, int, bytes]],
) -> None:
    """No level, type or length raises; a TTL has one byte."""
    _, ttl = arrival(messages)
    assert 0 <= ttl <= 255


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts them")
def test_what_found_no_room_is_counted() -> None:
    """More than a socket can hold: what was not read was dropped."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as writer,
    ):
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.bind(("127.0.0.1", 0))
        reader.setblocking(False)
        assert drops(reader) == 0
        for _ in range(200):
            writer.sendto(b"x" * 100, reader.getsockname())
        read = 0
        while True:
            try:
                reader.recv(100)
            except BlockingIOError:
                break
            read += 1
        assert 0 < read < 200
        assert drops(reader) == 200 - read
