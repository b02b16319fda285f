"""The composition: opens the sockets of every room and closes them again.

The one module that knows all rooms. Where rooms meet, it hands objects from one to the other.
"""

from __future__ import annotations

import errno
import resource
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import MultiService
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

import netlabsvc.chat.framing
import netlabsvc.chat.room
import netlabsvc.mail.sandbox
import netlabsvc.mail.store
import netlabsvc.udp.reflector
import netlabsvc.web.site
from netlabsvc import __version__
from netlabsvc.chat.transcript import Transcript
from netlabsvc.config import KEYS, Config
from netlabsvc.connections import Connections, host_port

#: A class comes in at once when the bell rings: Twisted's 50 would let some wait a second.
BACKLOG = 1024


class StartError(Exception):
    """Why the lab cannot start: one line that names the service, the value and the remedy."""


class Room(Protocol):
    """What the roof needs of a TCP room's factory, besides that it builds protocols."""

    connections: Connections[Any]

    def drain(self) -> Deferred[None]:
        """Say goodbye to everyone; fires when the last connection has gone."""

    def abort(self) -> None:
        """Cut every connection that is left."""


class Lab(MultiService):
    """All services of one daemon; each listens from the moment `build` returns."""

    def __init__(self, config: Config, reactor: Any) -> None:
        super().__init__()
        self.config = config
        self.reactor = reactor
        self.ports: dict[str, list[IListeningPort]] = {}
        self._rooms: list[Room] = []
        self._closers: list[Callable[[], Deferred[None] | None]] = []
        self._log = Logger()

    def listen(self, section: str, factory: Any, prefix: str = "") -> None:
        """Open the listeners that a section of the configuration names for a factory.

        :param prefix: ``raw_`` for the keys raw_port and raw_listen.
        :raises StartError: when one of them cannot be opened.
        """
        settings = getattr(self.config, section.rpartition(".")[2])
        strings, port = getattr(settings, f"{prefix}listen"), getattr(settings, f"{prefix}port")
        ports = self.ports.setdefault(f"{section}.{prefix}port", [])
        if strings:
            ports += [_listen_endpoint(self.reactor, section, text, factory) for text in strings]
        elif port is not None:
            host = self.config.daemon.host
            try:
                ports.append(self.reactor.listenTCP(port, factory, BACKLOG, host))
            except CannotListenError as error:
                raise _start_error(f"{section}.{prefix}port", error) from None

    def drain_at_end(self, room: Room) -> None:
        """Let this room say goodbye to its connections at the end."""
        self._rooms.append(room)

    def close_at_end(self, close: Callable[[], Deferred[None] | None]) -> None:
        """Call this when the last connection has gone, and wait for it."""
        self._closers.append(close)

    def startService(self) -> None:
        super().startService()
        self._log.info("netlab {version}", version=__version__)
        for line in start_lines(self.ports):
            self._log.info("{line}", line=line)
        self._log.info("ready")

    def stopService(self) -> Deferred[None]:
        """Close the listeners, let open transfers go on for `shutdown_grace_s`, then cut."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._log.info("stopping")
        closing = [p.stopListening() for ports in self.ports.values() for p in ports]
        drained = [room.drain() for room in self._rooms]
        cut = self.reactor.callLater(self.config.daemon.shutdown_grace_s, self.abort)
        await DeferredList([d for d in [*closing, *drained] if d is not None])
        if cut.active():
            cut.cancel()
        await DeferredList([maybeDeferred(close) for close in self._closers])
        await maybeDeferred(super().stopService)

    def abort(self) -> None:
        """Cut every connection now."""
        for room in self._rooms:
            room.abort()


def build(config: Config, reactor: Any) -> Lab:
    """Make the lab that a configuration describes, with all its sockets open.

    :raises StartError: in one line that names the service, the value and the remedy.
    """
    raise_descriptor_limit()
    lab = Lab(config, reactor)
    builders = {"chat": _chat, "udp": _udp, "web": _web, "mail": _mail}
    try:
        state_dir = make_state_dir(Path(config.daemon.state_dir))
        for name in config.daemon.services:
            builders[name](lab, state_dir)
    except StartError:
        for ports in lab.ports.values():
            for port in ports:
                port.stopListening()
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
    lab.drain_at_end(room)
    for prefix, framing in (("", "line"), ("raw_", "raw"), ("length_", "length")):
        lab.listen("chat", netlabsvc.chat.framing.Listener(room, framing), prefix)


def _udp(lab: Lab, state_dir: Path) -> None:
    settings = lab.config.udp
    seed = lab.config.daemon.seed
    if seed is None:
        seed = secrets.randbits(32)
        lab._log.info("seed {seed} drawn; --seed {seed} repeats it", seed=seed)
    reflector = netlabsvc.udp.reflector.Reflector(settings, seed)
    if settings.port is None:
        return
    try:
        port = reflector.listen(lab.reactor, lab.config.daemon.host, settings.port)
    except CannotListenError as error:
        raise _start_error("udp.port", error) from None
    lab.ports["udp.port"] = [port]


def _web(lab: Lab, state_dir: Path) -> None:
    settings = lab.config.web
    root = Path(settings.root) if settings.root else netlabsvc.web.site.packaged_root()
    try:
        site = netlabsvc.web.site.build(root, settings, {}, lab.reactor)
    except OSError as error:
        raise StartError(f"web: cannot serve {root}: {error.strerror}; see --www") from None
    lab.drain_at_end(site)
    lab.listen("web", site)


def _mail(lab: Lab, state_dir: Path) -> None:
    try:
        store = netlabsvc.mail.store.Store(
            state_dir, partial(deferToThreadPool, lab.reactor, lab.reactor.getThreadPool())
        )
    except netlabsvc.mail.store.StoreError as error:
        raise StartError(f"mail: {error}") from None
    lab.close_at_end(store.close)
    name = socket.gethostname()
    sandbox = netlabsvc.mail.sandbox.Factory(lab.config.sandbox, store, lab.reactor, name)
    lab.drain_at_end(sandbox)
    lab.listen("mail.sandbox", sandbox)


def _listen_endpoint(reactor: Any, section: str, text: str, factory: Factory) -> IListeningPort:
    """Listen on an endpoint string, now: an endpoint that cannot is an error of the start."""
    result: list[Any] = []
    try:
        serverFromString(reactor, text).listen(factory).addBoth(result.append)
    except Exception as error:
        raise StartError(f'{section}: listen = "{text}": {error}') from None
    if not result:
        raise StartError(f'{section}: listen = "{text}": this endpoint does not listen at once')
    if isinstance(result[0], Failure):
        raise StartError(f'{section}: listen = "{text}": {result[0].value}')
    port: IListeningPort = result[0]
    return port


def check_endpoints(config: Config, reactor: Any) -> Iterable[str]:
    """The mistakes in the endpoint strings of a configuration; opens nothing."""
    for path, setting in config.settings.items():
        for text in setting.value if path.endswith("listen") else ():
            try:
                serverFromString(reactor, text)
            except Exception as error:
                yield f'{setting.source}: {path} = "{text}": {error}'


def _start_error(key: str, error: CannotListenError) -> StartError:
    """Say in one line why a port cannot be had, and what to do.

    :param key: the key that asked for it.
    """
    flag, service = f"--{KEYS[key].flag}", key.partition(".")[0]
    reason = error.socketError
    number = reason.errno if isinstance(reason, OSError) else None
    remedies = {
        errno.EADDRINUSE: f"stop what uses it, or choose another with {flag}",
        errno.EACCES: f"ports below 1024 need privileges; {flag} chooses another",
        errno.EADDRNOTAVAIL: "no address of this machine; choose another with --host",
    }
    words = reason.strerror if isinstance(reason, OSError) else str(reason)
    remedy = remedies.get(number or 0, f"see --host and {flag}")
    where = host_port(str(error.interface or "0.0.0.0"), int(error.port))
    return StartError(f"{service}: cannot listen on {where}: {words}; {remedy}")


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
    return path


def raise_descriptor_limit() -> None:
    """Raise the soft limit of open files to the hard one: a class needs thousands."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


#: By the key of the port: the command that tries it.
_TRY = {
    "chat.port": "nc {host} {port}",
    "chat.raw_port": "nc {host} {port}   (each chunk is a message)",
    "chat.length_port": "a program that sends 4 bytes of length before each message",
    "udp.port": "netlab ping {where}",
    "web.port": "curl http://{where}/",
    "mail.sandbox.port": "netlab mail --server {where} --from ada@lab --to bob@lab --body hello",
}


def start_lines(ports: dict[str, list[IListeningPort]]) -> Iterable[str]:
    """For people: what listens where, and the command that tries it."""
    hosts = set()
    for key, listening in ports.items():
        name = key.partition(".")[0]
        if not listening and KEYS[key].default is not None:
            yield f"{name} is off: {key} is off"
        for port in listening:
            address = port.getHost()
            if isinstance(address, IPv4Address | IPv6Address):
                hosts.add(address.host)
                yield f"{name} listens on {_listener(key, address)}"
            else:
                yield f"{name} listens on {address}"
    if hosts <= {"127.0.0.1", "::1"}:
        yield "only this machine can connect; --host 0.0.0.0 (or ::) opens the lab to the network"


def _listener(key: str, address: IPv4Address | IPv6Address) -> str:
    """Where something listens, and the command that tries it."""
    # A wildcard is no address to connect to; its loopback is.
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)
    where = host_port(near, address.port)
    example = _TRY[key].format(host=near, port=address.port, where=where)
    return f"{host_port(address.host, address.port)}/{address.type.lower()}   try: {example}"
