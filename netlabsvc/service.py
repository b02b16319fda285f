"""The composition: opens the sockets of every room and closes them again.

The one module that knows all rooms. Where rooms meet, it hands objects from one to the other.
"""

from __future__ import annotations

import os
import resource
import secrets
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, globalLogPublisher

import netlabsvc.chat.framing
import netlabsvc.chat.operating
import netlabsvc.chat.room
import netlabsvc.control.api
import netlabsvc.control.socket
import netlabsvc.daemon
import netlabsvc.mail.operating
import netlabsvc.mail.sandbox
import netlabsvc.mail.store
import netlabsvc.udp.operating
import netlabsvc.udp.port
import netlabsvc.udp.room
import netlabsvc.web.settings
import netlabsvc.web.site
import netlabsvc.web.status
from netlabsvc import __version__, activation, listeners, reloading
from netlabsvc.chat.transcript import Transcript
from netlabsvc.config import KEYS, Config
from netlabsvc.connections import Connections
from netlabsvc.control.events import Journal
from netlabsvc.control.stream import Streams
from netlabsvc.control.witness import Witness
from netlabsvc.health import Health
from netlabsvc.listeners import Listener, StartError
from netlabsvc.logs import NOT_OURS, Observer
from netlabsvc.notify import Notifier
from netlabsvc.reloading import Live, Reload, Unfit
from netlabsvc.routes import Route
from netlabsvc.state import control_socket


class Room(Protocol):
    """What the roof needs of a TCP room's factory, besides that it builds protocols."""

    connections: Connections[Any]

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


def build(config: Config, reactor: Any, environ: Mapping[str, str]) -> Lab:
    """Make the lab that a configuration describes, with all its sockets open.

    :param environ: of the process; a service manager says there what it opened and wants to hear.
    :raises StartError: in one line that names the service, the value and the remedy.
    """
    raise_descriptor_limit()
    lab = Lab(config, reactor, Notifier(environ, reactor))
    builders = {"chat": _chat, "udp": _udp, "web": _web, "mail": _mail}
    try:
        lab.inherited = activation.inherited(config, environ)
        state_dir = make_state_dir(Path(config.daemon.state_dir))
        for name in config.daemon.services:
            builders[name](lab, state_dir)
        _control(lab, state_dir)
    except StartError:
        lab.stop_listening()
        activation.close(lab.inherited)
        raise
    return lab


def _chat(lab: Lab, state_dir: Path) -> None:
    settings = lab.config.chat
    transcript = None
    if settings.transcript:
        try:
            transcript = Transcript(state_dir, settings.transcript_size)
        except OSError as error:
            raise StartError(f"chat: cannot write the transcript: {error}") from None
        lab.close_at_end(transcript.close)
    room = netlabsvc.chat.room.Room(settings, lab.reactor, time.time, transcript)
    lab.live.follow("chat", lambda settings: partial(room.apply, settings))
    lab.drain_at_end(room)
    lab.health.sources.append(room.metrics)
    history = transcript.history if transcript else None
    operating = netlabsvc.chat.operating.Operating(room.hub, history)
    lab.routes += operating.routes()
    lab.streams = Streams(operating.attach)
    for prefix, framing in (("", "line"), ("raw_", "raw"), ("length_", "length")):
        lab.listen("chat", netlabsvc.chat.framing.Listener(room, framing), prefix)


#: The key of each reflector's port.
_REFLECTORS = {"classic": "udp.port", "stamp": "udp.stamp.port", "irtt": "udp.irtt.port"}


def _udp(lab: Lab, state_dir: Path) -> None:
    config, settings = lab.config, lab.config.settings
    lab.listeners |= {key: [] for key in _REFLECTORS.values()}
    wanted = {
        name: lab.inherited.pop(key, ())
        for name, key in _REFLECTORS.items()
        if settings[key].value is not None or key in lab.inherited
    }
    if not wanted:
        return
    seed = config.daemon.seed
    if seed is None:
        seed = secrets.randbits(32)
        lab.log.info("seed {seed} drawn; --seed {seed} repeats it", seed=seed)
    try:
        room = netlabsvc.udp.room.Room(_udp_wanted(lab, config), seed, lab.reactor)
        lab.close_at_end(room.close)
        for name, inherited in wanted.items():
            _reflect(lab, room, name, inherited)
    except OSError as error:
        path = config.udp.decisions
        why = f"{error.strerror}; choose another file with --udp-decisions"
        raise StartError(f"udp: cannot write {path}: {why}") from None
    except ValueError as error:
        raise StartError(f"udp: {error}") from None
    lab.health.sources.append(room.metrics)
    for section in ("udp", "udp.stamp", "udp.irtt"):
        lab.live.follow(section, partial(_prepare_udp, lab, room, section))
    lab.routes += netlabsvc.udp.operating.Operating(room).routes()


def _reflect(
    lab: Lab, room: netlabsvc.udp.room.Room, name: str, inherited: Sequence[socket.socket]
) -> None:
    """Open a reflector.

    :raises StartError: when its port cannot be had; but whoever starts a second lab on ports of
        its own need not know of those of STAMP and irtt: it runs without them, and says so.
    """
    key = _REFLECTORS[name]
    try:
        lab.listeners[key] = listeners.listen_udp(
            lab.config, key, room.make(name), lab.reactor, inherited
        )
    except StartError as error:
        if name == "classic" or lab.config.settings[key].source != "default":
            raise
        room.reflectors.pop(name)
        del lab.listeners[key]
        lab.log.warn("{why} ({name} is off)", name=name, why=str(error))


def _udp_wanted(lab: Lab, config: Config) -> netlabsvc.udp.room.Wanted:
    return netlabsvc.udp.room.Wanted(config.udp, config.stamp, config.irtt, lab.directory)


def _prepare_udp(
    lab: Lab, room: netlabsvc.udp.room.Room, section: str, settings: Any
) -> Callable[[], None]:
    try:
        return room.prepare(section, settings)
    except ValueError as error:
        raise Unfit("udp.fate", str(error)) from None


def _web(lab: Lab, state_dir: Path) -> None:
    health = lab.health
    status = netlabsvc.web.status.resources(lab.config.web.status, health.metrics, health.unready)
    root = _web_root(lab, lab.config.web)
    try:
        site = netlabsvc.web.site.build(root, lab.config.web, status, lab.reactor)
    except OSError as error:
        raise StartError(f"web: cannot serve {root}: {error.strerror}; see --www") from None

    def prepare(settings: netlabsvc.web.settings.Settings) -> Callable[[], None]:
        try:
            return site.prepare(_web_root(lab, settings), settings)
        except OSError as error:
            raise Unfit("web.root", f"cannot be served: {error.strerror}") from None

    lab.live.follow("web", prepare)
    lab.drain_at_end(site)
    lab.health.sources.append(site.metrics)
    lab.listen("web", site)


def _web_root(lab: Lab, settings: netlabsvc.web.settings.Settings) -> Path:
    if settings.root:
        return lab.directory / settings.root
    return netlabsvc.web.site.packaged_root()


def _mail(lab: Lab, state_dir: Path) -> None:
    in_thread = partial(deferToThreadPool, lab.reactor, lab.reactor.getThreadPool())
    try:
        store = netlabsvc.mail.store.Store(state_dir, in_thread)
    except netlabsvc.mail.store.StoreError as error:
        raise StartError(f"mail: {error}") from None
    lab.close_at_end(store.close)
    name = socket.gethostname()
    sandbox = netlabsvc.mail.sandbox.Factory(lab.config.sandbox, store, lab.reactor, name)
    lab.live.follow("mail.sandbox", lambda settings: partial(sandbox.apply, settings))
    lab.drain_at_end(sandbox)
    lab.health.sources.append(sandbox.metrics)
    lab.listen("mail.sandbox", sandbox)
    lab.routes += netlabsvc.mail.operating.Operating(state_dir, in_thread).routes()


def _control(lab: Lab, state_dir: Path) -> None:
    wanted = lab.config.daemon.control
    if wanted is None:
        return
    routes = [*netlabsvc.daemon.Operating(lab).routes(), *lab.routes]
    api = netlabsvc.control.api.Api(routes, lab.reactor)
    path = Path(wanted or control_socket(os.environ, str(state_dir)))
    try:
        port = netlabsvc.control.socket.listen(path, api, lab.reactor)
    except netlabsvc.control.socket.SocketError as error:
        if wanted:
            raise StartError(f"control: {error}; choose another with --control, or off") from None
        # Whoever starts a second daemon on other ports need not know of control sockets.
        lab.log.warn("control is off: {why}; --control PATH gives it its own", why=str(error))
        return
    lab.control = str(path)
    lab.close_at_end(lab.streams.finish)
    lab.close_at_end(partial(netlabsvc.control.socket.close, port, path))
    lab.close_at_end(api.close)


def make_state_dir(path: Path) -> Path:
    """Make the state directory, for its owner only, when it is missing.

    :raises StartError: when it cannot be made or written.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"state_dir: cannot make {path}: {error.strerror}; choose another with --state-dir"
        ) from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(f"state_dir: cannot write in {path}; choose another with --state-dir")
    return path


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one: a class needs thousands."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
