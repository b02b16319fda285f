"""One hub in one reactor: it ends each turn, watches the queues and writes the log.

What all listeners of the chat share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from netlabsvc.chat.hub import Hub
from netlabsvc.chat.limits import Backlog, Bounds
from netlabsvc.chat.message import Message, Record
from netlabsvc.chat.settings import Settings
from netlabsvc.connections import Connections
from netlabsvc.logs import Batch

#: How often the queues of readers that are behind are looked at.
WATCH_S = 0.05
FAREWELL = "the server is going down; goodbye"


class Room:
    """The hub, its connections, and the back-pressure between them."""

    def __init__(
        self, settings: Settings, reactor: IReactorTime, wall: Callable[[], float]
    ) -> None:
        """:param wall: wall clock time in seconds since the epoch, for what people read."""
        self.settings = settings
        self.reactor = reactor
        self.hub = Hub(self._wake, wall)
        self.bounds = Bounds()
        self.connections: Connections[Any] = Connections()
        self.full = False  # writers wait for readers
        self._behind: dict[Any, Backlog] = {}
        self._waiting: set[Any] = set()
        self._watch: IDelayedCall | None = None
        self._log = Logger()

    def behind(self, session: Any) -> None:
        """A session's queue is not empty: watch it until it is."""
        if session not in self._behind:
            self._behind[session] = Backlog(self.bounds, self.reactor.seconds())
            if self._watch is None:
                self._watch = self.reactor.callLater(WATCH_S, self._look)

    def gone(self, session: Any) -> None:
        """A session's connection is lost."""
        self._behind.pop(session, None)
        self._waiting.discard(session)

    def wait(self, session: Any) -> None:
        """A session has spoken while readers are behind: it is held until they are not."""
        self._waiting.add(session)
        session.hold("room")

    def drain(self) -> Deferred[None]:
        """Say goodbye to everyone; fires when the last connection has gone."""
        self.hub.shut(FAREWELL)
        for session in self.connections:
            session.release_all()
        return self.connections.all_gone()

    def abort(self) -> None:
        """Cut every connection that is left."""
        for session in self.connections:
            session.transport.abortConnection()

    def _wake(self) -> None:
        self.reactor.callLater(0, self._end_turn)

    def _end_turn(self) -> None:
        messages = self.hub.flush()
        if messages:
            self._log.info("{batch}", batch=Batch(_records(messages)))
        if self._behind:
            self._weigh()

    def _look(self) -> None:
        self._watch = None
        now = self.reactor.seconds()
        for session in list(self._behind):
            if session not in self._behind:
                continue  # cut meanwhile, by what follows from another's cut
            self._observe(session, now)
            if why := self._behind[session].verdict(now):
                session.cut(why)
            elif not session.outlet.queued_bytes:
                del self._behind[session]
        self._weigh()
        if self._behind:
            self._watch = self.reactor.callLater(WATCH_S, self._look)

    def _observe(self, session: Any, now: float) -> None:
        outlet = session.outlet
        self._behind[session].observe(now, outlet.queued_bytes, outlet.arrived_bytes())

    def _weigh(self) -> None:
        """Decide whether those who write must wait for those who read."""
        now = self.reactor.seconds()
        mark = self.bounds.low_bytes
        for session in self._behind:
            if session.outlet.queued_bytes > mark:
                self._observe(session, now)
        self.full = any(b.pauses_others(now, self.full) for b in self._behind.values())
        if not self.full:
            waiting, self._waiting = self._waiting, set()
            for session in waiting:
                session.release("room")


def _records(messages: list[Message]) -> Iterator[Record]:
    for message in messages:
        yield from message.records()
