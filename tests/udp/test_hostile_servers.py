"""The prober against servers that mean harm: nothing raises, nothing is counted wrong, it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from random import Random

import pytest
import pytest_twisted

from netlabsvc.udp.ledger import MOST_COPIES, Replied, TimedOut
from netlabsvc.udp.prober import Plan
from netlabsvc.udp.sender import Sender
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.stats import Analysis, analyse
from netlabsvc.udp.trace import Trace
from support.probing import MS, loopback, probe, serving
from support.tongues import reply

KEY = b"0123456789abcdef"
PLAN = Plan(4, 10 * MS, 300 * MS)


def counts(told: Analysis) -> tuple[int, int, int, int, int]:
    """Received, late, lost, duplicates, strays."""
    return told.received, told.late, told.lost, told.duplicates, told.strays


@pytest_twisted.ensureDeferred
async def test_garbage_of_every_size() -> None:
    """What begins like a probe, like STAMP, or like nothing, up to the largest datagram."""
    chance = Random(4)
    noise = [chance.randbytes(n) for n in (0, 1, 35, 36, 44, 112, 1500, 65_507)]
    noise += [b"Ping 999 " * 7000, b"ping 0"]
    for dialect in (None, Sender(Random(1)), Sender(Random(1), key=KEY)):
        async with serving(lambda requests: noise) as port:
            events, trace = await probe(loopback(port), PLAN, dialect)
        if dialect is not None:
            assert events == [TimedOut(n) for n in (1, 2, 3, 4)]
            assert counts(analyse(trace)) == (0, 0, 4, 0, 4 * len(noise))


@pytest_twisted.ensureDeferred
async def test_each_probe_is_answered_with_the_text_of_the_one_before() -> None:
    """Every reply counts for the probe it names, none for the probe that caused it."""
    async with serving(lambda requests: requests[-2:-1]) as port:
        _, trace = await probe(loopback(port), PLAN)
    told = analyse(trace)
    assert counts(told) == (3, 0, 1, 0, 0)
    assert [o.fate.value for o in told.outcomes] == ["ok", "ok", "ok", "lost"]
    assert all(o.rtt_ns is not None and o.rtt_ns > 5 * MS for o in told.outcomes[:3])


@pytest_twisted.ensureDeferred
async def test_a_thousand_replies_to_each_probe() -> None:
    """The run ends in time, only so many copies are kept, and what nobody could read is told."""
    async with serving(lambda requests: requests[-1:] * 1000) as port:
        began_s = time.monotonic()
        events, trace = await probe(loopback(port), PLAN)
    assert time.monotonic() - began_s < 10
    told = analyse(trace)
    assert told.received + told.lost == 4
    assert len(trace.replies) == told.received + told.duplicates
    assert sum(isinstance(event, Replied) for event in events) == len(trace.replies)
    assert 0 < told.duplicates <= 4 * MOST_COPIES
    assert trace.surplus > 0
    assert f"{trace.surplus} more copies came" in trace.notes[0]
    if told.lost:
        assert re.match(r"This machine dropped \d+ replies unread", trace.notes[1])


def stamped(bend: Callable[[bytes, int], bytes], key: bytes | None) -> Callable[..., list[bytes]]:
    """A STAMP reflector whose replies are bent: `bend` gets each and how many came before it."""
    reflector = Stamp(time.monotonic_ns, key)
    return lambda asked: [bend(reply(reflector, asked[-1]), len(asked) - 1)]


def flipped(at: int) -> Callable[[bytes, int], bytes]:
    """One bit of a byte is turned over."""
    return lambda data, _: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("at", "key"), [(15, None), (27, None), (35, None), (27, KEY), (51, KEY), (96, KEY), (111, KEY)]
)
@pytest_twisted.ensureDeferred
async def test_stamp_replies_that_differ_in_one_bit(at: int, key: bytes | None) -> None:
    """Of the session, the number, T1 or the HMAC: none counts, and the report says what came."""
    async with serving(stamped(flipped(at), key)) as port:
        _, trace = await probe(loopback(port), PLAN, Sender(Random(1), key=key))
    assert counts(analyse(trace)) == (0, 0, 4, 0, 4)
    assert trace.notes[0].startswith("What came back is no STAMP reply to this run")


@pytest_twisted.ensureDeferred
async def test_a_count_that_wraps() -> None:
    """The server's own count goes from its largest to 0: nothing is lost or moved by that."""

    def bend(data: bytes, before: int) -> bytes:
        return ((2**32 - 2 + before) % 2**32).to_bytes(4, "big") + data[4:]

    async with serving(stamped(bend, None)) as port:
        _, trace = await probe(loopback(port), PLAN, Sender(Random(1)))
    told = analyse(trace)
    assert counts(told) == (4, 0, 0, 0, 0)
    assert told.directions is not None
    for way in (told.directions.up, told.directions.down):
        assert (way.loss.hits, way.duplicates, way.reordering.reordered) == (0, 0, 0)


@pytest_twisted.ensureDeferred
async def test_times_that_cannot_be() -> None:
    """T2 and T3 lie decades apart: every round trip is still the true one."""
    ends = [bytes(8), b"\x40" + bytes(7), b"\x80" + bytes(7)]

    def bend(data: bytes, before: int) -> bytes:
        t2, t3 = ends[before % 3], ends[(before + 1) % 3]
        return data[:4] + t3 + data[12:16] + t2 + data[24:]

    trace: Trace
    async with serving(stamped(bend, None)) as port:
        _, trace = await probe(loopback(port), PLAN, Sender(Random(1)))
    told = analyse(trace)
    assert (told.received, told.bad_stays) == (4, 4)
    assert all(o.rtt_ns is not None and 0 < o.rtt_ns < 300 * MS for o in told.outcomes)
