"""Random datagrams of every length through whole reflectors: rules, tongue, counters."""

from __future__ import annotations

import pytest

from netlabsvc.udp import irtt, stamp
from netlabsvc.udp.classic import GROWTH_BYTES, Form
from netlabsvc.udp.impair import chance
from netlabsvc.udp.irtt import Irtt
from netlabsvc.udp.parameters import Limits, Parameters
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.stamp import Stamp
from support import tongues
from support.reflecting import NOW_NS, Memory, StoppedClocks, classic

KEY = b"0123456789abcdef"
NEAR, FAR = ("127.0.0.1", "192.168.1.5", "::1"), ("192.0.2.1", "2001:db8::1")
BEGINNINGS = [
    b"",
    stamp.request(1, NOW_NS, 0x1384, 7),
    stamp.request(1, NOW_NS, 0x1384, 7, KEY),
    irtt.MAGIC + b"\1" + Parameters(1, 10**9, 10**9, 40, 3, 3, 3).encode(),
    irtt.MAGIC + b"\0irtt-tkn" + bytes(60),
]
#: Of a reply to a near source, beyond the request.
GROWTH = {"timestamp": GROWTH_BYTES, "echo": 0, "upper": 0, "irtt": irtt.GROWTH_BYTES}


def made(name: str) -> Reflector:
    """A reflector of this kind, on no socket."""
    hand = StoppedClocks()
    if name in GROWTH and name != "irtt":
        return classic(form=Form(name), clocks=hand.clocks())
    tongue = {
        "stamp": lambda: Stamp(lambda: hand.ns),
        "stamp with a key": lambda: Stamp(lambda: hand.ns, KEY),
        "irtt": lambda: Irtt(lambda: hand.ns, tongues.chance(b"irtt-tkn"), Limits()),
    }[name]()
    return classic(tongue=tongue, clocks=hand.clocks())


@pytest.mark.parametrize("name", [*GROWTH, "stamp", "stamp with a key"])
def test_no_reply_is_longer_than_it_may_be(name: str) -> None:
    """Every length from 0 to 200, from near and far: one reply at most, within the bounds."""
    draws, reflector = chance(5, "up", "loss", name), made(name)
    for n in range(2010):
        beginning = BEGINNINGS[n % len(BEGINNINGS)] if draws.random() < 0.7 else b""
        data = (beginning + draws.randbytes(201))[: n % 201]
        host = draws.choice(NEAR + FAR)
        batch = Memory([(data, host, 40000)], lane=n % 2 == 1)
        reflector.turn(batch)
        assert len(batch.sent) <= 1
        longest = len(data) + (GROWTH.get(name, 0) if host in NEAR else 0)
        if name.startswith("stamp") and host in NEAR and len(data) >= stamp.SHORTEST_BYTES:
            longest = max(len(data), stamp.BASE_BYTES)
        assert all(len(reply) <= longest for reply, _, _ in batch.sent), (data, host)
    counts = reflector.counts
    assert counts.received == 2010 == counts.replied + sum(counts.reasons.values())
