"""The prober, against servers on loopback and against a clock turned by hand."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from netlabsvc.udp import gate
from netlabsvc.udp.ledger import Event, Replied, TimedOut
from netlabsvc.udp.port import listen
from netlabsvc.udp.probe import Text
from netlabsvc.udp.prober import Clocks, Plan, Prober
from netlabsvc.udp.sender import Sender
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.trace import Matching, Stamps
from support.probing import MS, Server, free_port, loopback, probe, replies, serving
from support.reflecting import classic


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest_twisted.ensureDeferred
async def test_every_probe_is_answered_by_the_reflector(host: str) -> None:
    """On IPv4 and IPv6 each reply is told once, in order, with a time, and nothing is lost."""
    port = listen(classic(), reactor, host, 0)
    address = loopback(port.getHost().port, host)
    events, trace = await probe(address, Plan(5, 10 * MS, 2000 * MS))
    await port.stopListening()
    assert replies(events) == [(n, False, False) for n in range(1, 6)]
    assert all(e.flags.rtt_ns > 0 and e.reply.ttl > 0 for e in events if isinstance(e, Replied))
    assert len(trace.probes) == len(trace.replies) == 5


@pytest_twisted.ensureDeferred
async def test_a_late_reply_is_never_taken_for_the_next_probe() -> None:
    """The reply to 1 comes when 2 has left, together with that to 2: each goes to its own."""

    def hold_the_first(requests: list[bytes]) -> list[bytes]:
        return requests if len(requests) == 2 else []

    async with serving(hold_the_first) as port:
        events, _ = await probe(loopback(port), Plan(2, 300 * MS, 150 * MS))
    assert events[0] == TimedOut(1)
    assert replies(events) == [(1, True, False), (2, False, False)]
    assert isinstance(events[2], Replied)
    assert events[2].flags.rtt_ns < 150 * MS


@pytest_twisted.ensureDeferred
async def test_replies_without_numbers_go_to_the_oldest_open_probe() -> None:
    """A server that says "pong": its silence about the first probe is not laid upon the second."""
    async with serving(lambda requests: [b"pong"] if len(requests) > 1 else []) as port:
        events, trace = await probe(loopback(port), Plan(3, 150 * MS, 100 * MS))
    assert events[0] == TimedOut(1)
    assert replies(events) == [(2, False, False), (3, False, False)]
    assert trace.matching is Matching.ORDER


@pytest_twisted.ensureDeferred
async def test_numbers_never_sent_are_no_replies() -> None:
    """Whatever they are, every probe stays unanswered, and they are counted as strays."""
    noise = [b"Ping 99 x", b"Ping 0", b"\x1b[2J Ping 3", b"Ping " + b"9" * 60_000]
    async with serving(lambda requests: noise) as port:
        events, trace = await probe(loopback(port), Plan(2, 20 * MS, 100 * MS))
    assert events == [TimedOut(1), TimedOut(2)]
    assert trace.strays == 8


@pytest_twisted.ensureDeferred
async def test_stamp_tells_the_times_of_the_server() -> None:
    """On real sockets T1 <= T2 <= T3 <= T4, as all four are times of one machine's kernel clock."""
    clocks = gate.Clocks(time.time_ns, time.monotonic_ns)
    reflector = classic(tongue=Stamp(time.monotonic_ns), clocks=clocks)
    port = listen(reflector, reactor, "127.0.0.1", 0)
    address = loopback(port.getHost().port)
    _, trace = await probe(address, Plan(5, 10 * MS, 2000 * MS), Sender(Random(1)))
    await port.stopListening()
    assert [reply.number for reply in trace.replies] == [0, 1, 2, 3, 4]
    for sent, reply in zip(trace.probes, trace.replies, strict=True):
        arrived_ns = sent.sent_wall_ns + reply.arrived_ns - sent.sent_ns
        assert reply.received_ns is not None
        assert reply.replied_ns is not None
        assert sent.sent_wall_ns <= reply.received_ns <= reply.replied_ns <= arrived_ns


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's times are Linux's")
@pytest_twisted.ensureDeferred
async def test_times_are_the_kernels() -> None:
    """A probe left after send() was called, and a reply was here before it was read."""
    async with serving(lambda requests: requests[-1:]) as port:
        _, trace = await probe(loopback(port), Plan(5, 10 * MS, 2000 * MS))
    assert (trace.stamps, trace.why_user) == (Stamps.KERNEL, "")
    assert all(p.wrote_ns < p.sent_ns < p.wrote_ns + 100 * MS for p in trace.probes)
    assert all(r.read_ns - 1000 * MS < r.arrived_ns < r.read_ns for r in trace.replies)


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_during_a_run_spoils_no_round_trip() -> None:
    """Set forward by an hour: the run counts by this program's own times, and says so."""
    hour_ns, asked = 3600 * 10**9, list[bytes]()

    def wall_ns() -> int:
        return time.time_ns() + (hour_ns if len(asked) > 1 else 0)

    def answer(requests: list[bytes]) -> list[bytes]:
        asked.append(requests[-1])
        return requests[-1:]

    clocks = Clocks(wall_ns=wall_ns)
    async with serving(answer) as port:
        _, trace = await probe(loopback(port), Plan(3, 20 * MS, 2000 * MS), clocks=clocks)
    assert trace.stamps is Stamps.USER
    assert "was set by +3600000" in trace.why_user
    assert all(p.sent_ns == p.wrote_ns for p in trace.probes)
    assert all(r.arrived_ns == r.read_ns for r in trace.replies)


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
        events, _ = await probe(loopback(port), Plan(3, 20 * MS, 2000 * MS))
    assert replies(events) == [(n, False, copy) for n in (1, 2, 3) for copy in (False, True)]


@pytest_twisted.ensureDeferred
async def test_icmp_ends_the_run_at_once() -> None:
    """Where nothing listens, the run fails long before the first deadline."""
    with pytest.raises(ConnectionRefusedError):
        await probe(loopback(free_port()), Plan(10, 10 * MS, 10**15))


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


def on_clock(
    clock: LateClock, server: socket.socket, plan: Plan, tell: Callable[[Event], None]
) -> Prober:
    """A prober that knows no other time."""
    clocks = Clocks(clock.now_ns, clock.now_ns)
    return Prober(loopback(server.getsockname()[1]), plan, Text(), tell, clock, clocks=clocks)


def test_what_came_before_icmp_is_still_told() -> None:
    """A server that answers and dies: its reply, queued behind the error, is read as well."""
    clock, events, ended = LateClock(), list[Event](), list[object]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        prober = on_clock(clock, server, Plan(2, 1000 * MS, 5000 * MS), events.append)
        prober.run().addErrback(lambda failure: ended.append(failure.type))
        reply, client = server.recvfrom(100)
        place = server.getsockname()
    clock.advance(1.1)  # the second probe meets a closed port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(place)
        server.sendto(reply, client)
    prober.doRead()
    assert [type(e) for e in events] == [Replied]
    assert ended == [ConnectionRefusedError]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux counts them")
def test_what_this_machine_dropped_unread_is_told() -> None:
    """More replies than the socket holds before anybody reads: a note says so."""
    clock = LateClock()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        prober = on_clock(clock, server, Plan(1, 1000 * MS, 1000 * MS), lambda _: None)
        prober.run()
        reply, client = server.recvfrom(100)
        for _ in range(5000):
            server.sendto(reply, client)
        prober.stop()
    assert any(re.match(r"This machine dropped \d+ replies unread", n) for n in prober.trace.notes)


@pytest_twisted.ensureDeferred
async def test_a_copy_of_the_last_reply_is_waited_for() -> None:
    """It comes as long after the reply as that took: the run is not over before."""

    class Slow(Server):
        def datagramReceived(self, datagram: bytes, addr: Any) -> None:
            assert self.transport is not None
            later: Any = reactor
            for delay_s in (0.1, 0.2):
                later.callLater(delay_s, self.transport.write, datagram, addr)

    port = reactor.listenUDP(0, Slow(list), interface="127.0.0.1")  # type: ignore[attr-defined]
    events, _ = await probe(loopback(port.getHost().port), Plan(1, 20 * MS, 2000 * MS))
    await port.stopListening()
    assert replies(events) == [(1, False, False), (1, False, True)]


def sent_at(clock: LateClock, plan: Plan, steps_s: list[float]) -> list[int]:
    """When the probes left, in ms, while the clock went forward by these steps."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.setblocking(False)
        prober = on_clock(clock, sink, plan, lambda _: None)
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
