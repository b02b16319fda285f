"""The lab: what all rooms hang on, from the first listener to the last goodbye.

It knows no room. Each one registers here what it needs to happen at the end, on a reload, and when
somebody asks for figures; `service.py` makes them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger, globalLogPublisher

from netlabsvc import __version__, activation, listeners, reloading
from netlabsvc.config import KEYS, Config
from netlabsvc.control.events import Journal
from netlabsvc.control.stream import Streams
from netlabsvc.control.witness import Witness
from netlabsvc.health import Health
from netlabsvc.listeners import Listener
from netlabsvc.logs import NOT_OURS, Observer
from netlabsvc.notify import Notifier
from netlabsvc.reloading import Live, Reload
from netlabsvc.routes import Route


class Room(Protocol):
    """What the roof needs of whatever has connections."""

    def drain(self, reason: str = "") -> Deferred[None]:
        """Say goodbye to everyone, and why; fires when the last connection has gone."""

    def abort(self) -> None:
        """Cut every connection that is left."""


class Lab(MultiService):
    """All services of one daemon; each listens from the moment `build` returns."""

    def __init__(self, config: Config, reactor: Any, notifier: Notifier) -> None:
        super().__init__()
        self.log = Logger()
        self.live = Live(config, self.log)
        self.live.follow(
            "", lambda daemon: reloading.prepare_log(self.config, self.observer, daemon)
        )
        #: The daemon's log; None where twistd's --syslog has taken it over.
        self.observer: Observer | None = None
        self.reactor = reactor
        self.notifier = notifier
        #: What a service manager opened and no room has taken yet, by the key of the port.
        self.inherited: activation.Sockets = {}
        #: Where the daemon was started: relative paths of the configuration begin there.
        self.directory = Path.cwd()
        #: By the key of their port; those of a room that has none are an empty list.
        self.listeners: dict[str, list[Listener]] = {}
        self.started_s = time.time()
        self.stopping = False
        self.health = Health(self, reactor)
        self.reason = ""  # of the shutdown, if an operator gave one
        self.journal = Journal(self.started_s)
        self.streams = Streams()
        self.control = ""  # the socket of the control API, where there is one
        self._witness = Witness(self.journal)
        self.routes: list[Route] = []
        #: What the site shows of other rooms, by the name of its path.
        self.children: dict[bytes, Any] = {}
        self._rooms: list[Room] = []
        self._closers: list[Callable[[], Deferred[None] | None]] = []

    @property
    def config(self) -> Config:
        """What is in force, as far as it was configured; an operator may have changed a mode."""
        return self.live.config

    def reload(self) -> Reload:
        """Read the configuration again and change what can change; see `Live.reload`.

        :raises ConfigError: with every mistake; nothing has changed then.
        """
        self.notifier.reloading()
        try:
            return self.live.reload()
        finally:
            self.notifier.ready(listeners.summary(self.listeners))

    @property
    def log_level(self) -> str | None:
        """The least that the log shows; None where twistd's --syslog has taken it over."""
        return None if self.observer is None else self.observer.level

    @log_level.setter
    def log_level(self, word: str) -> None:
        """:raises ValueError: when it is no level, or the log is not ours."""
        if self.observer is None:
            raise ValueError(NOT_OURS)
        self.observer.level = KEYS["log_level"].value(word)

    def listen(self, section: str, factory: Any, prefix: str = "") -> None:
        """Open the listeners that a section of the configuration names for a factory.

        :param prefix: ``raw_`` for the keys raw_port and raw_listen.
        :raises StartError: when one of them cannot be opened.
        """
        key = f"{section}.{prefix}port"
        self.listeners[key] = listeners.listen(
            self.config, section, prefix, factory, self.reactor, self.inherited.pop(key, ())
        )

    def drain_at_end(self, room: Room) -> None:
        """Let this room say goodbye to its connections at the end."""
        self._rooms.append(room)

    def close_at_end(self, close: Callable[[], Deferred[None] | None]) -> None:
        """Call this when the last connection has gone, and wait for it."""
        self._closers.append(close)

    def shutdown(self, reason: str) -> None:
        """End the daemon; clients are told why."""
        self.reason = self.reason or reason
        if not self.stopping:
            self.reactor.callLater(0, self.reactor.stop)

    def startService(self) -> None:
        super().startService()
        self.health.pulse.start()
        globalLogPublisher.addObserver(self._witness)
        self.log.info("netlab {version}", version=__version__)
        for line in listeners.start_lines(self.listeners):
            self.log.info("{line}", line=line)
        if self.control:
            self.log.info("control listens on {path}   try: netlab ctl status", path=self.control)
        # Not before: until the reactor runs, a signal would end the process on the spot.
        self.reactor.callWhenRunning(self.log.info, "ready", event="ready")
        self.reactor.callWhenRunning(self.notifier.ready, listeners.summary(self.listeners))

    def stopService(self) -> Deferred[None]:
        """Close the listeners, let open transfers go on for `shutdown_grace_s`, then cut."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.stopping = True
        why = f": {self.reason}" if self.reason else ""
        self.log.info("stopping{why}", event="stopping", why=why, reason=self.reason)
        grace_s = self.config.daemon.shutdown_grace_s
        self.notifier.stopping(f"stopping{why}; connections may go on for {grace_s:g} s")
        closing = self.stop_listening()
        drained = [room.drain(self.reason) for room in self._rooms]
        cut = self.reactor.callLater(grace_s, self.abort)
        await DeferredList([d for d in [*closing, *drained] if d is not None])
        if cut.active():
            cut.cancel()
        self.health.pulse.stop()
        await DeferredList([maybeDeferred(close) for close in self._closers])
        self.notifier.close()
        await maybeDeferred(super().stopService)
        globalLogPublisher.removeObserver(self._witness)

    def stop_listening(self) -> list[Deferred[None] | None]:
        """Take no new connection; each Deferred fires when a listener is closed."""
        return [one.port.stopListening() for some in self.listeners.values() for one in some]

    def abort(self) -> None:
        """Cut every connection now."""
        for room in self._rooms:
            room.abort()
