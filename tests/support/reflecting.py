"""Reflectors for tests: made, put on real sockets, and asked."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock

from netlabsvc.udp.batch import SLOT_BYTES
from netlabsvc.udp.buckets import Buckets, Rate
from netlabsvc.udp.classic import MAX_IPV6_BYTES, Classic, Form
from netlabsvc.udp.gate import Clocks, Rules
from netlabsvc.udp.grammar import parse
from netlabsvc.udp.port import Port, listen
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.sources import packed
from netlabsvc.udp.tongue import Tongue

NOW_NS = 1_700_000_000_123_456_789
STAMP = b"1700000000123 "


class StoppedClocks:
    """Clocks that a test turns by hand: `ns` is what the monotonic one shows."""

    def __init__(self) -> None:
        self.ns = 0

    def clocks(self) -> Clocks:
        return Clocks(lambda: NOW_NS + self.ns, lambda: self.ns)


def unlimited() -> Rules:
    """Rules without a limit of rate."""
    return rules()


def rules(per_s: float | None = None, burst: int = 1000) -> Rules:
    """Rules without a limit of rate, unless there is one."""
    return Rules(Buckets(Rate(per_s, burst), Rate(None, 1)))


def classic(
    faults: str = "off",
    seed: int = 1,
    form: Form = Form.TIMESTAMP,
    *,
    tongue: Tongue | None = None,
    record: Any = None,
    clocks: Clocks | None = None,
    rules: Rules | None = None,
) -> Reflector:
    """A reflector whose clock stands, on no socket; classic, unless another tongue is given."""
    clocks = clocks or StoppedClocks().clocks()
    tongue = tongue or Classic(form, MAX_IPV6_BYTES)
    reflector = Reflector("classic", tongue, rules or unlimited(), seed, clocks, record)
    reflector.change(parse(faults))
    return reflector


@asynccontextmanager
async def listening(
    reflector: Reflector, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[Reflector, Port]]:
    """A reflector on a real socket of the reactor."""
    opened = listen(reflector, reactor, host, port)
    try:
        yield reflector, opened
    finally:
        await opened.stopListening()


class HandTurned(Clock):
    """A reactor whose time and reads a test turns by hand."""

    def _ignore(self, reader: object) -> None: ...

    addReader = removeReader = removeWriter = _ignore


@contextmanager
def by_hand(
    reflector: Reflector, host: str = "127.0.0.1", port: int = 0
) -> Iterator[tuple[HandTurned, Any]]:
    """A reflector on a real socket that reads only when its port is told to."""
    clock = HandTurned()
    opened = listen(reflector, clock, host, port)
    yield clock, opened
    opened.stopListening()
    clock.advance(0)


class _Slots:
    """The memory of a batch, of which only what was received exists."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self._datagrams = datagrams

    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice) and at.step:  # the first byte of each
            return bytes((data + b"\0")[0] for data in self._datagrams)
        if isinstance(at, slice):
            slot, first = divmod(at.start, SLOT_BYTES)
            return self._datagrams[slot][first : at.stop - slot * SLOT_BYTES]
        slot, first = divmod(at, SLOT_BYTES)
        return (self._datagrams[slot] + b"\0")[first]


class Memory:
    """A batch without a socket: what came in, and what went out for it."""

    def __init__(self, requests: Sequence[tuple[bytes, str, int]], lane: bool = False) -> None:
        """:param requests: each a datagram, and host and port of its source.

        :param lane: whether there is a memory, from which payloads can be sent.
        """
        self.memory = _Slots([data for data, _, _ in requests]) if lane else None
        self._requests = requests
        self._placed: dict[int, bytes] = {}
        self.sent: list[tuple[bytes, str, int]] = []

    def receive(self) -> int:
        return len(self._requests)

    def names(self) -> list[bytes]:
        return [packed((host, port, 0, 0)) for _, host, port in self._requests]

    def lengths(self) -> list[int]:
        return [len(data) for data, _, _ in self._requests]

    def arrivals(self) -> None:
        return None

    def datagram(self, index: int, length: int) -> bytes:
        return self._requests[index][0]

    def put(self, index: int, reply: bytes) -> None:
        self._placed[index] = reply

    def send(self, prefix: bytes, chosen: Sequence[int]) -> list[int]:
        for index in chosen:
            data, host, port = self._requests[index]
            self.sent.append((prefix + self._placed.get(index, data), host, port))
        return []

    def send_to(self, reply: bytes, address: tuple[str, int]) -> None:
        """What goes out alone."""
        self.sent.append((reply, *address[:2]))


def replies(
    reflector: Reflector, request: bytes, host: str = "127.0.0.1", port: int = 50000
) -> list[bytes]:
    """What goes back, at once, for a request."""
    batch = Memory([(request, host, port)])
    sent: list[bytes] = []
    reflector.send_to = lambda reply, address: sent.append(reply)
    reflector.turn(batch)
    return [*sent, *(reply for reply, _, _ in batch.sent)]


def ask(host: str, port: int, requests: list[bytes], count: int) -> list[bytes]:
    """Send requests from one blocking socket, and read as many replies."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((host, port))
        for request in requests:
            client.send(request)
        return [client.recv(70_000) for _ in range(count)]


def send(port: Any, *requests: bytes) -> None:
    """Put requests into a port's socket; on loopback they are there at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for request in requests:
            client.sendto(request, ("127.0.0.1", port.getHost().port))
