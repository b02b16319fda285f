"""The classic reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import classic
from netlabsvc.udp.classic import Classic, Form
from netlabsvc.udp.tongue import Refusal
from support.tongues import ask

NOW_NS = 1_700_000_000_123_999_999


def reply(payload: bytes, now_ns: int, limit_bytes: int) -> bytes | Refusal | None:
    """Of the default form."""
    return ask(Classic(Form.TIMESTAMP, limit_bytes), payload, sent_ns=now_ns)


def test_golden_reply() -> None:
    """Milliseconds are cut, not rounded; one space; the payload follows untouched."""
    assert reply(b"hi\x00\n", NOW_NS, 65507) == b"1700000000123 hi\x00\n"
    assert reply(b"", NOW_NS, 65507) == b"1700000000123 "


def test_a_reply_that_does_not_fit_is_refused() -> None:
    """14 bytes of prefix leave room for 65493 bytes of payload on IPv4, and not one more."""
    longest = reply(bytes(65493), NOW_NS, classic.MAX_IPV4_BYTES)
    assert isinstance(longest, bytes)
    assert len(longest) == 65507
    assert reply(bytes(65494), NOW_NS, classic.MAX_IPV4_BYTES) is Refusal.REPLY_TOO_LONG
    assert isinstance(reply(bytes(65494), NOW_NS, classic.MAX_IPV6_BYTES), bytes)


@given(st.binary(max_size=200).filter(lambda b: not classic.bounced(b)), st.integers(0, 2**63))
def test_every_payload_comes_back_whole(payload: bytes, now_ns: int) -> None:
    """What follows the first space is the payload, whatever it holds."""
    answer = reply(payload, now_ns, 65507)
    assert isinstance(answer, bytes)
    stamp, _, rest = answer.partition(b" ")
    assert (int(stamp), rest) == (now_ns // 1_000_000, payload)


@given(st.binary(max_size=100).filter(lambda b: not b[:1].isdigit()))
def test_a_second_reflection_is_recognised(payload: bytes) -> None:
    """What two reflectors have stamped is known as such; what one or none has stamped is not."""
    once = reply(payload, NOW_NS, 65507)
    assert isinstance(once, bytes)
    twice = reply(once, NOW_NS + 10**9, 65507)
    assert isinstance(twice, bytes)
    assert [classic.bounced(p) for p in (payload, once, twice)] == [False, False, True]


GOLDEN = {
    Form.TIMESTAMP: b"1700000000123 ",
    Form.TIMESTAMP_US: b"1700000000123999 ",
    Form.TIMESTAMP_NS: b"1700000000123999999 ",
    Form.ECHO: b"",
}


@given(st.sampled_from(list(GOLDEN)), st.binary(max_size=99).filter(lambda b: b[:1] > b"9"))
def test_forms(form: Form, payload: bytes) -> None:
    """Each form's prefix, alone and with the payload."""
    tongue = Classic(form, classic.MAX_IPV4_BYTES)
    assert tongue.prefix(NOW_NS) == GOLDEN[form]
    assert ask(tongue, payload, sent_ns=NOW_NS) == GOLDEN[form] + payload


def test_upper_changes_ascii_letters_and_nothing_else() -> None:
    """Bytes, not text: other letters, of any encoding, come back as they were."""
    tongue = Classic(Form.UPPER, classic.MAX_IPV4_BYTES)
    every = bytes(range(256))
    answer = ask(tongue, every)
    assert isinstance(answer, bytes)
    changed = {a: b for a, b in zip(every, answer, strict=True) if a != b}
    assert changed == {c: c - 32 for c in range(ord("a"), ord("z") + 1)}
    assert tongue.prefix(NOW_NS) is None


@pytest.mark.parametrize("form", list(GOLDEN)[:3])
def test_what_a_stamped_form_refuses(form: Form) -> None:
    """A second reflection, a payload with no room for the prefix, a source that may have no more
    than it sent."""
    tongue = Classic(form, 100)
    stamp = GOLDEN[form]
    assert ask(tongue, stamp + stamp) is Refusal.LOOP_SUSPECT
    assert ask(tongue, b"hi", may_grow=False) is Refusal.WOULD_GROW
    room = 100 - len(stamp)
    assert isinstance(ask(tongue, bytes(room), sent_ns=NOW_NS), bytes)
    assert ask(tongue, bytes(room + 1), sent_ns=NOW_NS) is Refusal.REPLY_TOO_LONG


@pytest.mark.parametrize("form", [Form.ECHO, Form.UPPER])
def test_forms_without_a_prefix_never_grow(form: Form) -> None:
    """They answer whoever asks, with as many bytes."""
    assert ask(Classic(form, 65507), b"HI", may_grow=False) == b"HI"
