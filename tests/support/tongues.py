"""Tongues asked without sockets, at times that are given."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count

from netlabsvc.udp.tongue import Refusal, Tongue

#: The moments of the vectors: sent, received, sent back. Unix nanoseconds.
T1_NS = 1_700_000_000_123_456_789
T2_NS = 1_700_000_000_124_000_000
T3_NS = 1_700_000_000_124_050_000


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now_ns: int = 0) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def chance(first: bytes) -> Callable[[int], bytes]:
    """Random bytes that are none: tokens of 8, all different, from this one on; zeros else."""
    tokens = chain([first], (i.to_bytes(8, "big") for i in count(1)))
    return lambda n: next(tokens) if n == 8 else bytes(n)


def ask(
    tongue: Tongue,
    data: bytes,
    host: str = "192.0.2.7",
    port: int = 40000,
    ttl: int = 63,
    received_ns: int = T2_NS,
    sent_ns: int = T3_NS,
    may_grow: bool = True,
) -> bytes | Refusal | None:
    """What a tongue says to one datagram."""
    return tongue.reply(data, host, port, ttl, received_ns, lambda: sent_ns, may_grow)


def reply(tongue: Tongue, data: bytes, host: str = "192.0.2.7", port: int = 40000) -> bytes:
    """The reply to a datagram that must have one."""
    answer = ask(tongue, data, host, port)
    assert isinstance(answer, bytes), answer
    return answer
