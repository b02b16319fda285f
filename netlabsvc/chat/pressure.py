"""Back-pressure: who reads slowly makes those who write wait, who does not read is cut.

Without it a burst would pile up in memory. What waits for whom is decided in limits.py; here the
queues are looked at, and sessions are held (not read from) and released.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netlabsvc.chat.limits import Backlog, Bounds
from netlabsvc.chat.outlet import Outlet, nothing

#: How often the queues of readers that are behind are looked at.
WATCH_S = 0.05


class Flow(Protocol):
    """What back-pressure needs of a session."""

    outlet: Outlet

    def hold(self, why: str) -> None:
        """Do not read from the client."""

    def release(self, why: str) -> None:
        """Read from the client again, as far as this reason goes."""

    def cut(self, why: str) -> None:
        """End the connection now."""


class Pressure:
    """The queues of one room.

    :ivar full: whether those who write wait for those who read.
    """

    def __init__(self, bounds: Bounds, reactor: IReactorTime) -> None:
        self.full = False
        self._bounds = bounds
        self._reactor = reactor
        self._behind: dict[Flow, Backlog] = {}
        self._awaited: set[Flow] = set()  # the readers that those who write wait for
        self._waiting: set[Flow] = set()  # those who write
        self._watch: IDelayedCall | None = None

    def apply(self, bounds: Bounds) -> None:
        """Hold everyone to other bounds from now on, also those who are behind already."""
        self._bounds = bounds
        for backlog in self._behind.values():
            backlog.bounds = bounds

    def behind(self, session: Flow) -> None:
        """A session's queue is not empty: watch it until it is."""
        if session not in self._behind:
            self._behind[session] = Backlog(self._bounds, self._reactor.seconds())
            session.outlet.sank = partial(self._sank, session)
            if self._watch is None:
                self._watch = self._reactor.callLater(WATCH_S, self._look)
        if session.outlet.queued_bytes > self._bounds.high_bytes:
            # Who does not take what it is sent is not listened to either.
            session.hold("queue")

    def gone(self, session: Flow) -> None:
        """A session's connection is lost."""
        self._behind.pop(session, None)
        self._awaited.discard(session)
        self._waiting.discard(session)

    def wait(self, session: Flow) -> None:
        """A session has spoken while readers are behind: it is held until they are not."""
        self._waiting.add(session)
        session.hold("room")

    def weigh(self) -> None:
        """Decide whether those who write must wait; called at the end of each turn."""
        now = self._reactor.seconds()
        far = [s for s in self._behind if s.outlet.queued_bytes > self._bounds.low_bytes]
        for session in far:
            self._observe(session, self._behind[session], now)
        self.full = any(self._behind[s].pauses_others(now, self.full) for s in far)
        if self.full:
            self._awaited = {s for s in far if self._behind[s].pauses_others(now, True)}
        else:
            self._awaited.clear()
            waiting, self._waiting = self._waiting, set()
            for session in waiting:
                session.release("room")

    def _sank(self, session: Flow) -> None:
        """Let those who write go on as soon as the last reader has caught up.

        To wait for the next look would leave everyone idle for most of a burst.
        """
        if session.outlet.queued_bytes <= self._bounds.low_bytes:
            if session in self._behind:
                self._observe(session, self._behind[session], self._reactor.seconds())
            session.release("queue")
            if session in self._awaited:
                self._awaited.discard(session)
                if not self._awaited:
                    self.weigh()

    def _look(self) -> None:
        self._watch = None
        now = self._reactor.seconds()
        for session, backlog in list(self._behind.items()):
            if session not in self._behind:
                continue  # gone meanwhile, through what another's cut led to
            self._observe(session, backlog, now)
            if why := backlog.verdict(now):
                session.cut(why)
            elif not session.outlet.queued_bytes:
                del self._behind[session]
                session.outlet.sank = nothing
        self.weigh()
        if self._behind and self._watch is None:
            self._watch = self._reactor.callLater(WATCH_S, self._look)

    @staticmethod
    def _observe(session: Flow, backlog: Backlog, now: float) -> None:
        outlet = session.outlet
        blocked = outlet.unacknowledged_bytes() > 0
        backlog.observe(now, outlet.queued_bytes, outlet.arrived_bytes(), blocked)
