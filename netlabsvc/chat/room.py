"""One hub in one reactor: it ends each turn, writes the log and the transcript, and shuts the door.

What all listeners of the chat share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from netlabsvc.chat.hub import HISTORY_LINES, Hub
from netlabsvc.chat.limits import Bounds
from netlabsvc.chat.message import Record
from netlabsvc.chat.pressure import Pressure
from netlabsvc.chat.settings import Settings
from netlabsvc.chat.transcript import Transcript
from netlabsvc.connections import Connections
from netlabsvc.logs import Batch, OnceAMinute

#: How often a crowd's comings and goings are summed up.
SUM_UP_S = 1.0
FAREWELL = "the server is going down{}; goodbye"


class Room:
    """The hub, its connections, and what is written down of it."""

    def __init__(
        self,
        settings: Settings,
        reactor: IReactorTime,
        wall: Callable[[], float],
        transcript: Transcript | None = None,
    ) -> None:
        """:param wall: wall clock time in seconds since the epoch, for what people read."""
        self.settings = settings
        self.reactor = reactor
        self.hub = Hub(self._wake, wall, settings.mode)
        self.pressure = Pressure(Bounds.of(settings.queue, settings.stall_s), reactor)
        self.connections: Connections[Any] = Connections()
        self.nameless: set[Any] = set()  # those who are asked for a name
        self._wall = wall
        self._summing_up = False
        self._transcript = transcript
        self._complaints = OnceAMinute()
        self._log = Logger()
        if transcript is not None:
            self.hub.history.extend(transcript.history(HISTORY_LINES))

    def apply(self, settings: Settings) -> None:
        """Go on with other settings; those who are here follow them, and none is cut for it.

        A mode that an operator has set stays, unless the configured one is another now.
        """
        old, self.settings = self.settings, settings
        self.pressure.apply(Bounds.of(settings.queue, settings.stall_s))
        if settings.mode not in (old.mode, self.hub.mode):
            self.hub.set_mode(settings.mode)
        for session in self.connections:
            session.apply(settings)

    def refusal(self, peer: str) -> str | None:
        """Why a client that has just connected cannot come in."""
        most = self.settings.max_clients
        if most is not None and len(self.hub.seats) + len(self.nameless) >= most:
            return f"the hub is full ({most} of {most}); try again later"
        return self.ban(peer)

    def ban(self, peer: str) -> str | None:
        """What a client is told whose address is kept out."""
        return "your address is kept out" if self.hub.bans.cover(peer) else None

    def note(self, peer: str, what: str) -> None:
        """Log what happened to a client that has no seat in the hub."""
        self._log.info("{peer} {what}", event="noted", peer=peer, what=what)

    def forget(self, session: Any) -> None:
        """A session's connection is lost."""
        self.nameless.discard(session)
        self.pressure.gone(session)
        self.connections.discard(session)

    def drain(self, reason: str = "") -> Deferred[None]:
        """Say goodbye to everyone, and why; fires when the last connection has gone."""
        farewell = FAREWELL.format(f": {reason}" if reason else "")
        self.hub.shut(farewell)
        for session in tuple(self.nameless):
            session.dismiss(farewell, "shutdown")
        self._end_turn()
        return self.connections.all_gone()

    def abort(self) -> None:
        """Cut every connection that is left."""
        for session in self.connections:
            session.transport.abortConnection()

    def _wake(self) -> None:
        self.reactor.callLater(0, self._end_turn)

    def _end_turn(self) -> None:
        messages = self.hub.flush()
        records = [record for message in messages for record in message.records()]
        if records:
            self._log.info("{batch}", batch=Batch(records))
            self._write_down(records)
        self.pressure.weigh()
        if self.hub.crowded and not self._summing_up:
            self._summing_up = True
            self.reactor.callLater(SUM_UP_S, self._sum_up)

    def _write_down(self, records: list[Record]) -> None:
        if self._transcript is None:
            return
        now = self._wall()
        try:
            self._transcript.write(records, now)
        except OSError as error:
            if self._complaints.allows(now):
                self._log.error("the transcript cannot be written: {why}", why=error.strerror)

    def _sum_up(self) -> None:
        self._summing_up = False
        self.hub.sum_up()
