"""The prober, against servers on loopback and against a clock turned by hand."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock

from netlabsvc.udp.port import listen
from netlabsvc.udp.probe import Arrival
from netlabsvc.udp.prober import Address, Event, Plan, Prober, TimedOut
from support.reflecting import classic

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


async def probe(address: Address, plan: Plan) -> tuple[list[Event], Prober]:
    """Run to the end; gives what was told."""
    events: list[Event] = []
    prober = Prober(address, plan, events.append, reactor)
    await prober.run()
    return events, prober


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest_twisted.ensureDeferred
async def test_every_probe_is_answered_by_the_reflector(host: str) -> None:
    """On IPv4 and IPv6 each reply is told once, in order, with a time, and nothing is lost."""
    port = listen(classic(), reactor, host, 0)
    address = loopback(port.getHost().port, host)
    events, prober = await probe(address, Plan(5, 10 * MS, 2000 * MS))
    await port.stopListening()
    assert [e.seq for e in events if isinstance(e, Arrival) and e.rtt_ns > 0] == [1, 2, 3, 4, 5]
    figures = prober.summary()
    assert (figures.sent, figures.received, figures.lost) == (5, 5, 0)


@pytest_twisted.ensureDeferred
async def test_a_late_reply_is_never_taken_for_the_next_probe() -> None:
    """The reply to 1 comes when 2 has left, together with that to 2: each goes to its own."""

    def hold_the_first(requests: list[bytes]) -> list[bytes]:
        return requests if len(requests) == 2 else []

    async with serving(hold_the_first) as port:
        events, prober = await probe(loopback(port), Plan(2, 300 * MS, 150 * MS))
    assert [type(e) for e in events] == [TimedOut, Arrival, Arrival]
    assert [e.seq for e in events] == [1, 1, 2]
    assert [e.late for e in events if isinstance(e, Arrival)] == [True, False]
    figures = prober.summary()
    assert (figures.received, figures.late, figures.lost) == (1, 1, 0)
    assert figures.rtt is not None
    assert figures.rtt.max_ns < 150 * MS


@pytest_twisted.ensureDeferred
async def test_hostile_replies_are_no_replies() -> None:
    """Numbers never sent, other texts, emptiness and noise leave every probe unanswered."""
    noise = [b"", b"Ping 99 x", b"Ping 0", b"\x1b[2J", b"pong", b"Ping " + b"9" * 60_000]
    async with serving(lambda requests: noise) as port:
        events, prober = await probe(loopback(port), Plan(2, 20 * MS, 100 * MS))
    assert events == [TimedOut(1), TimedOut(2)]
    assert prober.summary().loss == 1.0


@pytest_twisted.ensureDeferred
async def test_a_reply_from_elsewhere_is_no_reply() -> None:
    """The right number from another port is somebody else's guess."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:

        class Guess(Server):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                stranger.sendto(datagram, addr)

        port = reactor.listenUDP(0, Guess(list), interface="127.0.0.1")  # type: ignore[attr-defined]
        events, _ = await probe(loopback(port.getHost().port), Plan(1, 20 * MS, 100 * MS))
        await port.stopListening()
    assert events == [TimedOut(1)]


@pytest_twisted.ensureDeferred
async def test_duplicates_are_told_and_counted_apart() -> None:
    """Every reply twice is as many duplicates as replies, and no loss."""
    async with serving(lambda requests: [requests[-1]] * 2) as port:
        events, prober = await probe(loopback(port), Plan(3, 20 * MS, 2000 * MS))
        # The copy of the last reply may come after the end of the run.
    flags = [(e.seq, e.duplicate) for e in events if isinstance(e, Arrival)]
    assert flags[:5] == [(1, False), (1, True), (2, False), (2, True), (3, False)]
    assert prober.summary().lost == 0


@pytest_twisted.ensureDeferred
async def test_icmp_ends_the_run_at_once() -> None:
    """Where nothing listens, the run fails long before the first deadline."""
    prober = Prober(loopback(free_port()), Plan(10, 10 * MS, 10**15), list, reactor)  # type: ignore[arg-type]
    with pytest.raises(ConnectionRefusedError):
        await prober.run()
    assert prober.summary().received == 0


class LateClock(Clock):
    """A reactor without sockets whose timers are always late by 0.7 ms, as epoll's are."""

    def _ignore(self, reader: object) -> None: ...

    addReader = removeReader = _ignore

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        return super().callLater(delay + 0.0007, callable, *args, **kw)

    def now_ns(self) -> int:
        """The time of this clock."""
        return round(self.seconds() * 1e9)


def test_what_came_before_icmp_is_still_told() -> None:
    """A server that answers and dies: its reply, queued behind the error, is read first."""
    clock, events, ended = LateClock(), list[Event](), list[object]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        plan = Plan(2, 1000 * MS, 5000 * MS)
        port = server.getsockname()[1]
        prober = Prober(loopback(port), plan, events.append, clock, clock.now_ns, clock.now_ns)
        prober.run().addErrback(lambda failure: ended.append(failure.type))
        server.sendto(*server.recvfrom(100))
    clock.advance(1.1)  # the second probe meets a closed port
    prober.doRead()
    assert [type(e) for e in events] == [Arrival]
    assert ended == [ConnectionRefusedError]


def sent_at(clock: LateClock, plan: Plan, steps_s: list[float]) -> list[int]:
    """When the probes left, in ms, while the clock went forward by these steps."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setblocking(False)
        prober = Prober(
            loopback(sink.getsockname()[1]), plan, lambda _: None, clock, clock.now_ns, clock.now_ns
        )
        prober.run()
        times = []
        for step_s in [0.0, *steps_s]:
            clock.advance(step_s)
            while True:
                try:
                    times.append(float(sink.recv(100).split()[2]))
                except BlockingIOError:
                    break
        prober.stop()
    return [round(1000 * t) for t in times]


def test_lateness_does_not_add_up() -> None:
    """With timers late by 0.7 ms the thousandth probe is late by 0.7 ms, not by 700."""
    times = sent_at(LateClock(), Plan(1000, 10 * MS, 1 * MS), [0.0001] * 100_000)
    assert len(times) == 1000
    assert all(0 <= time - 10 * k <= 1 for k, time in enumerate(times))


def test_a_machine_that_slept_sends_no_burst() -> None:
    """After ten seconds of sleep the probes go on from there, one interval apart."""
    times = sent_at(LateClock(), Plan(8, 1000 * MS, 1 * MS), [1.1, 10.0, *[0.1] * 100])
    assert times[2] >= 11_000
    assert all(later - earlier >= 990 for earlier, later in pairwise(times))
