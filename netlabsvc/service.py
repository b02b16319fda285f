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
from datetime import UTC, datetime
from functools import partial
from os import fsdecode
from pathlib import Path
from random import SystemRandom
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.internet.threads import deferToThreadPool

import netlabsvc.chat.framing
import netlabsvc.chat.operating
import netlabsvc.chat.room
import netlabsvc.control.api
import netlabsvc.control.socket
import netlabsvc.daemon
import netlabsvc.mail.answers
import netlabsvc.mail.arrivals
import netlabsvc.mail.certificate
import netlabsvc.mail.destination
import netlabsvc.mail.inbox
import netlabsvc.mail.logins
import netlabsvc.mail.operating
import netlabsvc.mail.queue
import netlabsvc.mail.queue_operating
import netlabsvc.mail.reporter
import netlabsvc.mail.sandbox
import netlabsvc.mail.schema
import netlabsvc.mail.settings
import netlabsvc.mail.spool
import netlabsvc.mail.store
import netlabsvc.udp.operating
import netlabsvc.udp.port
import netlabsvc.udp.room
import netlabsvc.web.settings
import netlabsvc.web.site
import netlabsvc.web.status
from netlabsvc import activation, listeners
from netlabsvc.chat.transcript import Transcript
from netlabsvc.config import Config
from netlabsvc.control.stream import Streams
from netlabsvc.lab import Lab
from netlabsvc.listeners import StartError
from netlabsvc.notify import Notifier
from netlabsvc.reloading import Unfit
from netlabsvc.state import control_socket
from netlabsvc.web import front


def build(config: Config, reactor: Any, environ: Mapping[str, str]) -> Lab:
    """Make the lab that a configuration describes, with all its sockets open.

    :param environ: of the process; a service manager says there what it opened and wants to hear.
    :raises StartError: in one line that names the service, the value and the remedy.
    """
    raise_descriptor_limit()
    lab = Lab(config, reactor, Notifier(environ, reactor))
    # The site comes last: it shows what the rooms before it have to show.
    builders = {"chat": _chat, "udp": _udp, "mail": _mail, "web": _web}
    try:
        lab.inherited = activation.inherited(config, environ)
        state_dir = make_state_dir(Path(config.daemon.state_dir))
        for name, make in builders.items():
            if name in config.daemon.services:
                make(lab, state_dir)
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
    roots = _web_roots(lab, lab.config.web)
    children = {**status, **lab.children}
    try:
        site = netlabsvc.web.site.build(roots, lab.config.web, children, lab.reactor)
    except OSError as error:
        raise StartError(
            f"web: cannot serve {fsdecode(error.filename)}: {error.strerror}; see --www"
        ) from None

    def prepare(settings: netlabsvc.web.settings.Settings) -> Callable[[], None]:
        try:
            return site.prepare(_web_roots(lab, settings), settings)
        except OSError as error:
            why = f"{fsdecode(error.filename)} cannot be served: {error.strerror}"
            raise Unfit("web.root", why) from None

    lab.live.follow("web", prepare)
    lab.drain_at_end(site)
    lab.health.sources.append(site.metrics)
    lab.listen("web", site)


def _web_roots(lab: Lab, settings: netlabsvc.web.settings.Settings) -> netlabsvc.web.site.Roots:
    hosts = {name: lab.directory / host.root for name, host in settings.hosts.items()}
    if settings.root:
        return netlabsvc.web.site.Roots(lab.directory / settings.root, hosts)
    return netlabsvc.web.site.Roots(
        netlabsvc.web.site.packaged_root(), hosts, partial(_front_page, lab)
    )


def _front_page(lab: Lab, called: str) -> bytes:
    """What runs where at this moment, for a visitor who calls this host so."""
    return front.render(
        (
            front.Listening(one["key"], one["host"], one["port"], one["protocol"], one["tls"])
            for one in listeners.described(lab.listeners)
            if "port" in one
        ),
        called,
        inbox=b"inbox" in lab.children,
    )


#: How often mails that are too old are looked for, beside each time that one comes.
_TIDY_S = 600.0


def _mail(lab: Lab, state_dir: Path) -> None:
    in_thread = partial(deferToThreadPool, lab.reactor, lab.reactor.getThreadPool())
    settings, name = lab.config.sandbox, socket.gethostname()
    try:
        bounds = netlabsvc.mail.sandbox.bounds(settings)
        soon = partial(lab.reactor.callLater, 0)
        store = netlabsvc.mail.store.Store(state_dir, in_thread, bounds, soon)
    except netlabsvc.mail.schema.StoreError as error:
        raise StartError(f"mail: {error}") from None
    lab.close_at_end(store.close)
    certificate = _certificate(lab, state_dir, name)
    logins = netlabsvc.mail.logins.Logins(in_thread, lab.directory)
    sandbox = netlabsvc.mail.sandbox.Factory(
        settings, store, lab.reactor, name, certificate.context, logins.check
    )

    def prepare(settings: netlabsvc.mail.settings.Sandbox) -> Callable[[], None]:
        if problem := logins.problem(settings):
            raise Unfit("mail.sandbox.users_file", problem)
        return partial(sandbox.apply, settings)

    if problem := logins.problem(settings):
        raise StartError(f"mail: users_file {problem}")
    tidying = LoopingCall(lambda: store.tidy(lab.reactor.seconds()))
    tidying.clock = lab.reactor
    tidying.start(_TIDY_S)
    lab.close_at_end(tidying.stop)
    lab.live.follow("mail.sandbox", prepare)
    lab.drain_at_end(sandbox)
    lab.health.sources.append(sandbox.metrics)
    lab.listen("mail.sandbox", sandbox)
    lab.listen("mail.sandbox", sandbox.inside_tls(), "tls_")
    lab.routes += netlabsvc.mail.operating.Operating(sandbox, state_dir, in_thread).routes()
    _queue(lab, store, state_dir, in_thread)
    if lab.config.sandbox.inbox != "off":
        _inbox(lab, store, state_dir, in_thread)


def _queue(
    lab: Lab, store: netlabsvc.mail.store.Store, state_dir: Path, in_thread: Callable[..., Any]
) -> None:
    """The queue of outgoing mail; what is in it from before goes on when the reactor runs."""
    random, reactor = SystemRandom(), lab.reactor

    def destination(settings: netlabsvc.mail.settings.Queue) -> Any:
        return netlabsvc.mail.destination.Destination(settings, lab.directory, reactor, random)

    try:
        spool = netlabsvc.mail.spool.Spool(state_dir, in_thread)
        reporter = netlabsvc.mail.reporter.Reporter(store, reactor, socket.gethostname())
        way = destination(lab.config.queue)
        queue = netlabsvc.mail.queue.Queue(way, spool, reporter, reactor, random)
    except netlabsvc.mail.spool.SpoolError as error:
        raise StartError(f"mail: {error}") from None
    except netlabsvc.mail.destination.Unusable as error:
        raise StartError(f"mail: [mail.queue] {error.key}: {error}") from None

    def prepare(settings: netlabsvc.mail.settings.Queue) -> Callable[[], None]:
        try:
            return partial(queue.redirect, destination(settings))
        except netlabsvc.mail.destination.Unusable as error:
            raise Unfit(f"mail.queue.{error.key}", str(error)) from None

    lab.live.follow("mail.queue", prepare)
    lab.close_at_end(spool.close)
    lab.drain_at_end(queue)
    lab.health.sources.append(queue.metrics)
    operating = netlabsvc.mail.queue_operating.QueueOperating(queue, spool, reactor, random)
    lab.routes += operating.routes()
    reactor.callWhenRunning(queue.start)


def _inbox(
    lab: Lab, store: netlabsvc.mail.store.Store, state_dir: Path, in_thread: Callable[..., Any]
) -> None:
    """The web inbox, which the site mounts; its streams end before the site waits for them."""
    arrivals = netlabsvc.mail.arrivals.Arrivals(lab.reactor)
    smtp = partial(listeners.first_address, lab.listeners, "mail.sandbox.port")
    answers = netlabsvc.mail.answers.Answers(state_dir, smtp)
    inbox = netlabsvc.mail.inbox.Inbox(
        lab.config.sandbox, answers, arrivals, in_thread, secrets.token_urlsafe(16)
    )
    store.added.append(inbox.arrived)
    lab.live.follow("mail.sandbox", lambda settings: partial(inbox.apply, settings))
    lab.drain_at_end(arrivals)
    lab.children[b"inbox"] = inbox


def _certificate(lab: Lab, state_dir: Path, name: str) -> netlabsvc.mail.certificate.Certificate:
    """The certificate of the configuration, or the one that is kept in the state directory."""
    settings = lab.config.sandbox
    try:
        if bool(settings.certificate_file) != bool(settings.key_file):
            given = "certificate_file" if settings.certificate_file else "key_file"
            raise StartError(f"mail: {given} is set alone; certificate and key belong together")
        if settings.certificate_file:
            paths = (lab.directory / one for one in (settings.certificate_file, settings.key_file))
            certificate = netlabsvc.mail.certificate.Certificate(*paths)
        else:
            now = datetime.fromtimestamp(lab.reactor.seconds(), UTC)
            certificate = netlabsvc.mail.certificate.kept_in(state_dir, name, now)
    except netlabsvc.mail.certificate.CertificateError as error:
        raise StartError(f"mail: {error}") from None
    text = "mail shows the certificate {path}, SHA-256 {fingerprint}"
    lab.log.info(text, path=str(certificate.path), fingerprint=certificate.fingerprint)
    return certificate


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
