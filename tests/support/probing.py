"""Servers that answer as a test says, and a prober that asks them on loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol

from netlabsvc.udp.endpoint import Address
from netlabsvc.udp.ledger import Event, Replied
from netlabsvc.udp.probe import Text
from netlabsvc.udp.prober import Clocks, Plan, Prober
from netlabsvc.udp.trace import Trace

MS = 1_000_000


def loopback(port: int, host: str = "127.0.0.1") -> Address:
    """A port of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Address(family, (host, port))


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server(DatagramProtocol):
    """A server that answers as a function says: it gets the requests so far, the newest last."""

    noisy = False

    def __init__(self, answer: Callable[[list[bytes]], list[bytes]]) -> None:
        self.requests: list[bytes] = []
        self._answer = answer

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        assert self.transport is not None
        self.requests.append(datagram)
        for reply in self._answer(self.requests):
            self.transport.write(reply, addr)


@asynccontextmanager
async def serving(answer: Callable[[list[bytes]], list[bytes]]) -> AsyncIterator[int]:
    """A server on loopback; gives its port."""
    port = reactor.listenUDP(0, Server(answer), interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


async def probe(
    address: Address, plan: Plan, dialect: Any = None, clocks: Clocks | None = None
) -> tuple[list[Event], Trace]:
    """Run to the end; gives what was told, and what was seen."""
    events: list[Event] = []
    prober = Prober(address, plan, dialect or Text(), events.append, reactor, clocks=clocks)
    await prober.run()
    return events, prober.trace


def replies(events: list[Event]) -> list[tuple[int, bool, bool]]:
    """Number, late and duplicate of those that are replies."""
    return [
        (e.reply.seq, e.flags.late, e.flags.duplicate) for e in events if isinstance(e, Replied)
    ]
