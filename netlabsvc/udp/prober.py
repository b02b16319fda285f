"""The client's side: sends probes by a schedule and tells, at once, what came back.

Each probe leaves at its own due time, however late the ones before it were: lateness does not add
up, and is written down. Times are the kernel's where it tells them. Those are on the wall clock,
which somebody may set during a run; all that was measured then falls back to this program's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import ECONNABORTED
from random import Random
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.udp.endpoint import Address, Endpoint
from netlabsvc.udp.kernel import clock_quality
from netlabsvc.udp.ledger import MOST_COPIES, Event, Ledger, Replied
from netlabsvc.udp.probe import Dialect
from netlabsvc.udp.schedule import FLOOR_NS, Schedule, offsets
from netlabsvc.udp.timer import Timer, timer
from netlabsvc.udp.trace import Stamps, Trace

#: A sender further behind than this, and than an interval, was asleep: what it missed is not sent
#: in a burst. One that is less behind catches up.
ASLEEP_NS = 1_000_000_000
#: A wall clock that moved by more, against the monotonic one, was set.
STEP_NS = 1_000_000
#: After the last answer copies of it are awaited: twice the longest round trip, at least this.
LINGER_NS = 10_000_000


@dataclass(frozen=True)
class Plan:
    """How many probes, how far apart, and how long each may take."""

    count: int
    interval_ns: int
    timeout_ns: int
    schedule: Schedule = Schedule.PERIODIC
    floor_ns: int = FLOOR_NS


class Clocks(NamedTuple):
    """What a prober reads times from."""

    monotonic_ns: Callable[[], int] = time.monotonic_ns
    #: Since the Unix epoch.
    wall_ns: Callable[[], int] = time.time_ns

    def apart_ns(self) -> int:
        """Wall clock minus monotonic clock: of five readings the one that was least disturbed."""
        best: tuple[int, int] | None = None
        for _ in range(5):
            before_ns = self.monotonic_ns()
            wall_ns = self.wall_ns()
            after_ns = self.monotonic_ns()
            reading = (after_ns - before_ns, wall_ns - (before_ns + after_ns) // 2)
            best = reading if best is None else min(best, reading)
        assert best is not None
        return best[1]


@implementer(IReadDescriptor)
class Prober:
    """One run of probes to one address.

    :param dialect: what the probes say.
    :param tell: called with each event as it happens; an OSError it raises ends the run.
    :param reactor: IReactorTime and IReactorFDSet.
    :param chance: draws a poisson schedule.
    :param clocks: with another monotonic clock than the system's, the kernel's times go unused.
    :ivar trace: what was seen so far; complete when `run` has fired.
    """

    def __init__(
        self,
        address: Address,
        plan: Plan,
        dialect: Dialect,
        tell: Callable[[Event], None],
        reactor: Any,
        chance: Random | None = None,
        clocks: Clocks | None = None,
    ) -> None:
        self._plan, self._dialect, self._tell, self._reactor = plan, dialect, tell, reactor
        self._clocks = clocks or Clocks()
        system = self._clocks.monotonic_ns is time.monotonic_ns
        self._endpoint = Endpoint(address, stamps=system)
        self._apart_ns = 0
        self.trace = Trace(plan.timeout_ns, dialect.protocol)
        self._ledger = Ledger(self.trace)
        self._offsets = offsets(plan.schedule, plan.interval_ns, chance or Random(), plan.floor_ns)
        self._start_ns = self._next_ns = self._longest_ns = 0
        self._stamped = 0
        self._linger_ns: int | None = None
        self._timer: Timer | None = None
        self._done: Deferred[None] = Deferred()

    def run(self) -> Deferred[None]:
        """Fires when every probe is answered or has timed out, or after `stop`.

        Fails with the OSError that ended it: ConnectionRefusedError when ICMP says that nothing
        listens there, others when there is no way to the host.
        """
        try:
            self._endpoint.connect()
        except OSError as error:
            self._end(error)
            return self._done
        self.trace.stamps = Stamps.USER if self._endpoint.why else Stamps.KERNEL
        self.trace.why_user = self._endpoint.why
        self._apart_ns = self._clocks.apart_ns()
        self._start_ns = self._clocks.monotonic_ns() - next(self._offsets)
        self._next_ns = self._start_ns
        self._timer = timer(self._reactor, self._tick, self._clocks.monotonic_ns)
        self._reactor.addReader(self)
        self._tick()
        return self._done

    def stop(self) -> None:
        """End now; what was sent so far stays in the trace."""
        self._end(None)

    def doRead(self) -> None:
        """Replies have come, or times of what has left."""
        self._turn(self._read)

    def _tick(self) -> None:
        """A probe is due, or one has waited long enough."""
        self._turn(self._keep_time)

    def _turn(self, work: Callable[[], None]) -> None:
        if self.trace.ended_ns:
            return
        try:
            work()
        except OSError as error:
            self._end(error)
        else:
            self._wait()

    def _keep_time(self) -> None:
        self._read()  # what is here already is not late for having waited
        for event in self._ledger.expire(self._clocks.monotonic_ns()):
            self._tell(event)
        self._send_if_due()

    def _send_if_due(self) -> None:
        due_ns, now_ns = self._due_ns(), self._clocks.monotonic_ns()
        if due_ns is None or now_ns < due_ns:
            return
        late_ns = now_ns - due_ns
        if late_ns > max(self._plan.interval_ns, ASLEEP_NS):
            self._start_ns += late_ns
            due_ns = now_ns
            self.trace.notes.append(
                f"This machine was asleep or busy for {late_ns / 1e9:.1f} s before probe"
                f" {len(self.trace.probes) + 1}; the schedule went on from there."
            )
        seq, wall_ns = len(self.trace.probes) + 1, self._clocks.wall_ns()
        data = self._dialect.request(seq, wall_ns)
        probe = self._ledger.send(due_ns, self._clocks.monotonic_ns(), wall_ns)
        probe.size_bytes = len(data)
        self._next_ns = self._start_ns + next(self._offsets)
        self._endpoint.send(data)
        self._note_departures()

    def _note_departures(self) -> None:
        for number, at_ns in self._endpoint.left():
            if self.trace.stamps is Stamps.KERNEL and number < len(self.trace.probes):
                self._stamped += 1
                self._ledger.left(number + 1, at_ns - self._apart_ns, at_ns)

    def _read(self) -> None:
        self._note_departures()
        for event in self._events():
            self._longest_ns = max(self._longest_ns, event.flags.rtt_ns)
            self._tell(event)

    def _events(self) -> Iterator[Replied]:
        for datagram in self._endpoint.came():
            now_ns, wall_ns = self._clocks.monotonic_ns(), self._clocks.wall_ns()
            self._watch_the_clock(wall_ns - now_ns)
            kernel = datagram.at_ns and self.trace.stamps is Stamps.KERNEL
            at_ns = datagram.at_ns - self._apart_ns if kernel else now_ns
            answer = self._dialect.answer(datagram.data, len(self.trace.probes), wall_ns)
            event = self._ledger.receive(answer, at_ns, now_ns, len(datagram.data), datagram.ttl)
            if event is not None:
                yield event

    def _watch_the_clock(self, apart_ns: int) -> None:
        """Fall back to this program's own times when the wall clock has been set."""
        if abs(apart_ns - self._apart_ns) <= STEP_NS:
            return
        moved_ns = self._clocks.apart_ns() - self._apart_ns  # the reading itself may be disturbed
        if abs(moved_ns) > STEP_NS:
            self._apart_ns += moved_ns
            said = f"this machine's clock was set by {moved_ns / 1e6:+.3f} ms during the run"
            self._ledger.distrust_kernel(said)
            self.trace.notes.append(f"{said.capitalize()}: the clock offset means nothing.")

    def _due_ns(self) -> int | None:
        """When the next probe is due; None when all have left."""
        return self._next_ns if len(self.trace.probes) < self._plan.count else None

    def _wait(self) -> None:
        """Sleep until a probe is due or expires; end when neither can happen any more."""
        moments = [m for m in (self._due_ns(), self._ledger.next_deadline_ns()) if m is not None]
        if moments:
            self._linger_ns = None
        else:
            now_ns = self._clocks.monotonic_ns()
            if self._linger_ns is None:
                longest_ns = max(LINGER_NS, 2 * self._longest_ns) if self.trace.replies else 0
                self._linger_ns = now_ns + min(longest_ns, self._plan.timeout_ns)
            if now_ns >= self._linger_ns:
                self._end(None)
                return
            moments = [self._linger_ns]
        assert self._timer is not None
        self._timer.set(min(moments))

    def _end(self, error: OSError | None) -> None:
        if self.trace.ended_ns:
            return
        self.trace.ended_ns = self._clocks.monotonic_ns() or 1
        if self._timer is not None:
            self._timer.close()
            self._reactor.removeReader(self)
            self._conclude()
        self._endpoint.close()
        if error is None:
            self._done.callback(None)
        else:
            self._done.errback(error)

    def _conclude(self) -> None:
        """What can be said of the whole run only at its end."""
        self._watch_the_clock(self._clocks.apart_ns())
        probes = self.trace.probes
        if self.trace.stamps is Stamps.KERNEL and self._stamped * 2 < len(probes):
            self._ledger.distrust_kernel("the driver of the network does not tell when probes left")
        if self.trace.surplus:
            self.trace.notes.append(
                f"{self.trace.surplus} more copies came of probes that had {MOST_COPIES} already;"
                " they are told here only."
            )
        if (drops := self._endpoint.drops()) > 0:
            self.trace.notes.append(
                f"This machine dropped {drops} replies unread, as they came faster than it could"
                " read: a probe that is lost may be one of them."
            )
        synchronised, error_ns = clock_quality()
        self.trace.clock_error_ns = error_ns if synchronised else None
        self._dialect.conclude(self.trace)

    def connectionLost(self, reason: Failure) -> None:
        """An error is pending on the socket: a reactor takes that for the end of a connection."""
        code = self._endpoint.error() or ECONNABORTED
        self._end(OSError(code, os.strerror(code)))

    def fileno(self) -> int:
        """What the reactor watches; -1 when it is closed."""
        return self._endpoint.fileno()

    def logPrefix(self) -> str:
        """The name of this descriptor in Twisted's log."""
        return "ping"
