"""The extensions of STAMP, as its reflector answers them."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import ntp, stamp, tlv
from netlabsvc.udp.stamp import Stamp
from support.tongues import T1_NS, T3_NS, Clock, reply

KEY = b"0123456789abcdef0123456789abcdef"
#: Behind the authenticated vector: Class of Service, and the HMAC of both.
GOLDEN = bytes.fromhex("80040004b80000008008001055425e2177a93deba68a816e3f0d0f79")
PADDING = tlv.encode(1, b"\xa5\x5a\xa5")


def rest(tongue: Stamp, tlvs: bytes, number: int = 1, key: bytes | None = None) -> bytes:
    """The TLVs of the reply to a request with these."""
    base = stamp.request(number, T1_NS, 0x1384, 0x1234, key)
    answer = reply(tongue, base + tlvs)
    assert len(answer) == len(base) + len(tlvs)
    return answer[len(base) :]


def signed(tlvs: bytes, number: int = 1) -> bytes:
    """These TLVs and their HMAC TLV, as a sender makes it."""
    digest = hmac.new(KEY, number.to_bytes(4, "big") + tlvs, hashlib.sha256).digest()
    return tlvs + b"\x80\x08\x00\x10" + digest[:16]


def test_golden_hmac_tlv() -> None:
    """The vector is made as the sender makes it, and our reply's verifies in the same way."""
    assert signed(GOLDEN[:8]) == GOLDEN
    assert tlv.encode(4, b"\xb8\0\0\0") == GOLDEN[:8]
    answer = rest(Stamp(Clock(), KEY), GOLDEN, key=KEY)
    assert answer[:12] == GOLDEN[:8] + b"\x00\x08\x00\x10"
    assert answer[12:] == signed(GOLDEN[:8], number=0)[12:]


def test_extra_padding_comes_back_recognised() -> None:
    """Any length, bytes unchanged."""
    assert rest(Stamp(Clock()), PADDING + tlv.encode(1, b"")) == b"\0" + PADDING[1:] + b"\0\1\0\0"


@pytest.mark.parametrize("kind", [0, 2, 3, 4, 6, 9, 10, 11, 12, 200, 255])
def test_unknown_types_come_back_marked(kind: int) -> None:
    """U is set, even where the sender forgot; the value is untouched and the next TLV is read."""
    asked = tlv.encode(kind, b"abc", flags=0x1F) + PADDING
    answer = rest(Stamp(Clock()), asked)
    assert answer == bytes((0x9F,)) + asked[1:7] + b"\0" + PADDING[1:]


def test_direct_measurement_counts_both_ways() -> None:
    """What the sender sent stays; received and sent are those of the session, copies too."""
    tongue = Stamp(Clock())
    asked = tlv.encode(5, b"\0\0\0\7" + b"\xff" * 8)
    for n in (1, 2):
        answer = rest(tongue, asked, number=n)
        assert answer == b"\0\5\0\x0c\0\0\0\7" + bytes((0, 0, 0, n)) * 2


def test_follow_up_tells_when_an_earlier_reply_left() -> None:
    """Zeros first; then number, send time and method of the last reply that is known to be out."""
    tongue = Stamp(Clock())
    asked = tlv.encode(7, bytes(16))
    assert not tongue.wants_sent
    assert rest(tongue, asked) == b"\0\7\0\x10" + bytes(16)
    assert tongue.wants_sent
    left = reply(tongue, stamp.request(2, T1_NS, 0, 0x1234))
    tongue.sent(left, "192.0.2.7", 40000, T3_NS)
    tongue.sent(left, "192.0.2.8", 40000, T3_NS + 5)
    told = b"\0\0\0\1" + ntp.from_unix_ns(T3_NS).to_bytes(8, "big") + b"\2\0\0\0"
    assert rest(tongue, asked, number=3) == b"\0\7\0\x10" + told


def test_the_received_window_is_private() -> None:
    """Different requests since the first question, and which of the last 64, copies left out."""
    tongue = Stamp(Clock())
    asked = tlv.encode(252, bytes(12))
    told = [rest(tongue, asked, number=n)[4:] for n in (1, 2, 4, 4)]
    assert [(t[3], t[11]) for t in told] == [(1, 0b1), (2, 0b11), (3, 0b1101), (3, 0b1101)]


def test_a_stateless_reflector_knows_nothing_of_sessions() -> None:
    """It marks what it cannot tell as unrecognised."""
    asked = tlv.encode(5, bytes(12)) + tlv.encode(7, bytes(16)) + tlv.encode(252, bytes(12))
    assert rest(Stamp(Clock(), stateful=False), asked) == asked


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("8005000800000001ffffffff" + "80010000", "4005000800000001ffffffff" + "80010000"),
        ("80010000" + "800100050102", "00010000" + "c00100050102"),
        ("80010000" + "8001ffff", "00010000" + "c001ffff"),
        ("80010000" + "8001ff", "00010000" + "8001ff"),
        ("80010000" + "00" * 9, "00010000" + "00" * 9),
        ("00" * 20, "00" * 20),
        ("0000000080", "8000000080"),
    ],
    ids=["length of type", "past the end", "far past", "cut header", "padding", "zeros", "type 0"],
)
def test_malformed_tlvs(asked: str, answered: str) -> None:
    """M stands on the first one that is malformed, and nothing behind it is touched."""
    assert rest(Stamp(Clock()), bytes.fromhex(asked)).hex() == answered


MEASURED = tlv.encode(5, bytes(12))
#: TLVs, and where the flags stand that become I, and M and I.
UNTRUSTED = {
    "no HMAC": (MEASURED, [0], []),
    "wrong HMAC": (signed(MEASURED)[:-1] + b"\0", [0, 16], []),
    "HMAC of another number": (signed(MEASURED, 7), [0, 16], []),
    "not the last": (signed(b"") + MEASURED, [0, 20], []),
    "twice": (signed(signed(MEASURED)), [0, 16, 36], []),
    "its length": (MEASURED + tlv.encode(8, bytes(15)) + PADDING, [0, 16, 35], []),
    "a broken one behind it": (signed(MEASURED) + b"\x80\1\0\xff", [0, 16], [36]),
    "a broken one alone": (b"\x80\1\0\xff", [], [0]),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_what_is_not_signed_is_not_acted_upon(case: str) -> None:
    """I stands on every TLV, and the values come back as they were."""
    asked, marked, broken = UNTRUSTED[case]
    expected = bytearray(asked)
    for at in marked:
        expected[at] = 0xA0
    for at in broken:
        expected[at] = 0xE0
    assert rest(Stamp(Clock(), KEY), asked, key=KEY) == expected


def test_an_hmac_without_a_key_fails() -> None:
    """In unauthenticated mode there is no key: I on all."""
    assert rest(Stamp(Clock()), GOLDEN) == b"\xa0" + GOLDEN[1:8] + b"\xa0" + GOLDEN[9:]


def test_padding_may_stand_alone_or_behind_the_hmac() -> None:
    """Extra Padding needs no HMAC, and does not spoil one before it."""
    assert rest(Stamp(Clock(), KEY), PADDING, key=KEY) == b"\0" + PADDING[1:]
    answer = rest(Stamp(Clock(), KEY), signed(MEASURED) + PADDING, key=KEY)
    told = b"\0\5\0\x0c" + bytes(4) + b"\0\0\0\1" * 2
    assert answer[:16] == told
    assert answer[20:36] == tlv.mac(KEY, bytes(4), told)
    assert answer[36:] == b"\0" + PADDING[1:]


def test_a_packet_full_of_tlvs_is_read_in_part() -> None:
    """Sixteen thousand TLVs cost no more than a few dozen: the rest comes back as it came."""
    asked = tlv.encode(1, b"") * 16000
    assert rest(Stamp(Clock()), asked) == b"\0\1\0\0" * tlv.MOST + asked[4 * tlv.MOST :]


tlvs = st.lists(
    st.one_of(
        st.builds(
            tlv.encode,
            st.sampled_from([0, 1, 4, 5, 7, 8, 252]),
            st.binary(max_size=18),
            st.integers(0, 255),
        ),
        st.just(MEASURED),
        st.binary(max_size=6),
    ),
    max_size=6,
).map(b"".join)


@given(tlvs, st.sampled_from([None, KEY]), st.booleans(), st.booleans())
def test_any_tlvs(asked: bytes, key: bytes | None, stateful: bool, sign: bool) -> None:
    """Nothing raises, and the reply is as long as the request."""
    rest(Stamp(Clock(), key, stateful), signed(asked) if sign else asked, key=key)
