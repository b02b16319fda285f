"""The classic reply."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import classic

NOW_NS = 1_700_000_000_123_999_999


def test_golden_reply() -> None:
    """Milliseconds are cut, not rounded; one space; the payload follows untouched."""
    assert classic.reply(b"hi\x00\n", NOW_NS, 65507) == b"1700000000123 hi\x00\n"
    assert classic.reply(b"", NOW_NS, 65507) == b"1700000000123 "


def test_a_reply_that_does_not_fit_is_none() -> None:
    """14 bytes of prefix leave room for 65493 bytes of payload on IPv4, and not one more."""
    longest = classic.reply(bytes(65493), NOW_NS, classic.MAX_IPV4_BYTES)
    assert longest is not None
    assert len(longest) == 65507
    assert classic.reply(bytes(65494), NOW_NS, classic.MAX_IPV4_BYTES) is None
    assert classic.reply(bytes(65494), NOW_NS, classic.MAX_IPV6_BYTES) is not None


@given(st.binary(max_size=200), st.integers(0, 2**63))
def test_every_payload_comes_back_whole(payload: bytes, now_ns: int) -> None:
    """What follows the first space is the payload, whatever it holds."""
    answer = classic.reply(payload, now_ns, 65507)
    assert answer is not None
    stamp, _, rest = answer.partition(b" ")
    assert (int(stamp), rest) == (now_ns // 1_000_000, payload)


@given(st.binary(max_size=100).filter(lambda b: not b[:1].isdigit()))
def test_a_second_reflection_is_recognised(payload: bytes) -> None:
    """What two reflectors have stamped is known as such; what one or none has stamped is not."""
    once = classic.reply(payload, NOW_NS, 65507)
    assert once is not None
    twice = classic.reply(once, NOW_NS + 10**9, 65507)
    assert twice is not None
    assert [classic.bounced(p) for p in (payload, once, twice)] == [False, False, True]
