"""The client's side: sends probes by a schedule and tells, at once, what came back.

Probe k leaves at start + k * interval, however late the ones before it were: lateness does not
add up. One connected socket: the kernel takes replies from the probed address only, and hands on
what ICMP says about it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import ECONNABORTED
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.connections import host_port
from netlabsvc.udp import stats
from netlabsvc.udp.probe import Arrival, Ledger, request

BUFFER_BYTES = 65536
#: How many replies are read before the schedule has its turn.
BATCH = 64
#: A sender further behind than this, and than an interval, was asleep. It sends no burst.
ASLEEP_NS = 100_000_000


@dataclass(frozen=True)
class Plan:
    """How many probes, how far apart, and how long each may take."""

    count: int
    interval_ns: int
    timeout_ns: int


@dataclass(frozen=True)
class Address:
    """An address to probe, as `socket.getaddrinfo` gives it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        """``127.0.0.1:12000``, ``[::1]:12000``."""
        return host_port(self.sockaddr[0], self.sockaddr[1])


@dataclass(frozen=True)
class TimedOut:
    """No reply to this probe before its deadline; one that comes later will be told as late."""

    seq: int


Event: TypeAlias = Arrival | TimedOut


@implementer(IReadDescriptor)
class Prober:
    """One run of probes to one address.

    :param tell: called with each event as it happens; an OSError it raises ends the run.
    :param reactor: IReactorTime and IReactorFDSet.
    :param now_ns: a monotonic clock, in nanoseconds.
    :param wall_ns: nanoseconds since the Unix epoch, written into the probes.
    """

    def __init__(
        self,
        address: Address,
        plan: Plan,
        tell: Callable[[Event], None],
        reactor: Any,
        now_ns: Callable[[], int] = time.monotonic_ns,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._address, self._plan, self._tell = address, plan, tell
        self._reactor, self._now_ns, self._wall_ns = reactor, now_ns, wall_ns
        self._ledger = Ledger(plan.timeout_ns)
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
        self._start_ns = 0
        self._ended_ns: int | None = None
        self._timer: IDelayedCall | None = None
        self._done: Deferred[None] = Deferred()

    def run(self) -> Deferred[None]:
        """Fires when every probe is answered or has timed out, or after `stop`.

        Fails with the OSError that ended it: ConnectionRefusedError when ICMP says that nothing
        listens there, others when there is no way to the host.
        """
        self._socket.setblocking(False)
        try:
            self._socket.connect(self._address.sockaddr)
        except OSError as error:
            self._end(error)
            return self._done
        self._start_ns = self._now_ns()
        self._reactor.addReader(self)
        self._tick()
        return self._done

    def stop(self) -> None:
        """End now; what was sent so far stays in the summary."""
        self._end(None)

    def summary(self) -> stats.Summary:
        """The figures of what was sent so far."""
        now_ns = self._now_ns() if self._ended_ns is None else self._ended_ns
        return stats.summary(self._ledger.probes, self._plan.timeout_ns, now_ns)

    def _tick(self) -> None:
        self._timer = None
        try:
            for seq in self._ledger.expire(self._now_ns()):
                self._tell(TimedOut(seq))
            self._send_if_due()
        except OSError as error:
            self._end(error)
        else:
            self._wait()

    def _due_ns(self) -> int | None:
        """When the next probe is due; None when all have left."""
        k = len(self._ledger.probes)
        return self._start_ns + k * self._plan.interval_ns if k < self._plan.count else None

    def _send_if_due(self) -> None:
        due_ns, now_ns = self._due_ns(), self._now_ns()
        if due_ns is None or now_ns < due_ns:
            return
        if now_ns - due_ns > max(self._plan.interval_ns, ASLEEP_NS):
            self._start_ns += now_ns - due_ns
        self._socket.send(request(self._ledger.send(now_ns), self._wall_ns()))

    def _wait(self) -> None:
        """Sleep until a probe is due or expires; end when neither can happen any more."""
        moments = [m for m in (self._due_ns(), self._ledger.next_deadline_ns()) if m is not None]
        if not moments:
            self._end(None)
        elif self._timer is None:
            wait_ns = max(0, min(moments) - self._now_ns())
            self._timer = self._reactor.callLater(wait_ns / 1e9, self._tick)

    def _end(self, error: OSError | None) -> None:
        if self._ended_ns is not None:
            return
        self._ended_ns = self._now_ns()
        if self._timer is not None:
            self._timer.cancel()
        self._reactor.removeReader(self)
        self._socket.close()
        if error is None:
            self._done.callback(None)
        else:
            self._done.errback(error)

    def _replies(self) -> Iterator[bytes]:
        """What has come; after it, as an OSError, what ICMP says."""
        refused: OSError | None = None
        for _ in range(BATCH):
            try:
                yield self._socket.recv(BUFFER_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                refused = error  # the kernel tells it first; replies may be queued behind it
        if refused is not None:
            raise refused

    def doRead(self) -> None:
        """Replies have come."""
        try:
            for reply in self._replies():
                arrival = self._ledger.receive(reply, self._now_ns())
                if arrival is not None:
                    self._tell(arrival)
        except OSError as error:
            self._end(error)
        else:
            self._wait()

    def connectionLost(self, reason: Failure) -> None:
        """An error is pending on the socket: epoll takes that for the end of a connection."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or ECONNABORTED
        self._end(OSError(code, os.strerror(code)))

    def fileno(self) -> int:
        """The socket's descriptor; -1 when it is closed."""
        return self._socket.fileno()

    def logPrefix(self) -> str:
        """The name of this descriptor in Twisted's log."""
        return "ping"
