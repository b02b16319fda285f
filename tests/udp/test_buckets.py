"""Token buckets: how often one source, and all together, may ask."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.buckets import Buckets, Rate, Verdict
from netlabsvc.udp.sources import Source, packed

SECOND = 10**9
FREE = Rate(None, 1)


def granted(buckets: Buckets, source: bytes, now_ns: int, tries: int) -> int:
    """How many of some packets that come at once are answered."""
    return sum(buckets.take(source, now_ns) is Verdict.GRANTED for _ in range(tries))


@given(st.lists(st.integers(0, SECOND), max_size=200), st.integers(1, 50), st.integers(1, 20))
def test_no_window_holds_more_than_burst_and_rate(gaps: list[int], rate: int, burst: int) -> None:
    """In any span of t seconds at most burst + rate t packets are granted, and one at least."""
    buckets, now, times = Buckets(Rate(rate, burst), FREE), 0, []
    for gap in gaps:
        now += gap
        if buckets.take(b"a", now) is Verdict.GRANTED:
            times.append(now)
    assert not gaps or times
    for first in range(len(times)):
        for last in range(first, len(times)):
            span = times[last] - times[first]
            assert last - first + 1 <= burst + span * rate / SECOND + 1e-6


def test_sources_have_their_own_and_share_one() -> None:
    """One that is over its rate takes nothing from others; all together are bounded, too."""
    buckets = Buckets(Rate(10, 5), Rate(10, 8))
    assert granted(buckets, b"a", 0, 9) == 5
    assert granted(buckets, b"b", 0, 9) == 3
    assert buckets.take(b"c", 0) is Verdict.OVER_ALL
    assert buckets.take(b"a", 0) is Verdict.OVER_ITS_RATE
    assert granted(buckets, b"c", SECOND, 9) == 5


def test_a_copy_is_paid_by_the_next_packets() -> None:
    """What goes out in any case makes a debt."""
    buckets = Buckets(Rate(10, 2), FREE)
    for _ in range(4):
        buckets.charge(b"a", 0)
    assert granted(buckets, b"a", SECOND * 3 // 10, 5) == 1
    assert granted(buckets, b"a", 2 * SECOND, 5) == 2


def test_forged_sources_take_no_more_memory_than_there_is() -> None:
    """Of a million sources some are remembered; the one that just asked is among them."""
    buckets = Buckets(Rate(1, 1), FREE, cap=100)
    for number in range(10_000):
        buckets.take(number.to_bytes(4, "big"), 0)
    assert len(buckets) == 100
    assert buckets.take((9_999).to_bytes(4, "big"), 0) is Verdict.OVER_ITS_RATE


def test_off_is_no_limit() -> None:
    """Neither for one nor for all."""
    assert granted(Buckets(FREE, FREE), b"a", 0, 1000) == 1000


def test_a_host_cannot_leave_its_bucket_by_another_address_of_its_network() -> None:
    """IPv6: the first 64 bits count; IPv4: the address, mapped or not, and never the port."""

    def block(host: str, port: int = 5000) -> bytes:
        return Source(packed((host, port, 0, 0)), (), False).block

    assert block("2001:db8::1") == block("2001:db8::ffff:2", 6000)
    assert block("2001:db8::1") != block("2001:db8:0:1::1")
    assert block("10.0.0.1") == block("::ffff:10.0.0.1") != block("10.0.0.2")
