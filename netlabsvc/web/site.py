"""The web site: the files, what is mounted beside them, and every connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import IResource, Resource

import netlabsvc
from netlabsvc.connections import Connections, peer_name
from netlabsvc.logs import Batch
from netlabsvc.metrics import Metric, gauge
from netlabsvc.web import access, hosts, target
from netlabsvc.web.access import Told, Who, who
from netlabsvc.web.answer import answer, answer_empty, answer_error, answer_not_allowed
from netlabsvc.web.channel import MAX_BODY_BYTES, Channel
from netlabsvc.web.files import METHODS, Files, Serving
from netlabsvc.web.lane import Lane, Source
from netlabsvc.web.memory import Memory
from netlabsvc.web.preconditions import http_date
from netlabsvc.web.settings import Settings
from netlabsvc.web.tally import METHODS as KNOWN_METHODS
from netlabsvc.web.tally import Tally
from netlabsvc.web.tree import Tree

SERVER = b"netlab/" + netlabsvc.__version__.encode("ascii")


def packaged_root() -> Path:
    """The directory of the site that comes with the package."""
    return Path(netlabsvc.__file__).parent / "data" / "site"


Front = Callable[[str], bytes]


@dataclass(frozen=True)
class Roots:
    """The directories that are served.

    :ivar hosts: by the name in the URL; `main` for all others.
    :ivar front: makes the front page of `main` where that has no index.html.
    """

    main: Path
    hosts: Mapping[str, Path] = field(default_factory=dict)
    front: Front | None = None


def build(
    roots: Path | Roots,
    settings: Settings,
    children: Mapping[bytes, IResource],
    reactor: IReactorTime,
) -> Site:
    """The factory of the site's connections.

    :param roots: the directory that is served, or several.
    :param children: what stands at ``/name`` beside the files, and before a file of that name.
    :raises OSError: a root is no directory that can be read.
    """
    memory = Memory(settings.memory)
    top = Top(_offer(roots, settings, memory, reactor))
    for name, child in children.items():
        top.putChild(name, child)
    return Site(top, settings, memory, reactor)


class Offer(NamedTuple):
    """The files of the site, and those of other names."""

    files: Files
    hosts: Mapping[bytes, Files]


def _offer(roots: Path | Roots, settings: Settings, memory: Memory, reactor: IReactorTime) -> Offer:
    """:raises OSError: a root is no directory that can be read."""
    if isinstance(roots, Path):
        roots = Roots(roots)
    policy = settings.added()

    def files(root: Path, front: Front | None = None) -> Files:
        tree = Tree(root, hidden=settings.hidden, links=settings.symlinks)
        return Files(Serving(tree, settings.listing, policy, front), memory, reactor)

    hosts = {name.encode("ascii"): files(root) for name, root in roots.hosts.items()}
    return Offer(files(roots.main, roots.front), hosts)


class Top(Resource):
    """The root of all paths: the mounted children first, and for the rest the files.

    :ivar offer: from the next request on it may be another.
    """

    def __init__(self, offer: Offer) -> None:
        super().__init__()
        self.offer = offer

    def getChild(self, path: bytes, request: server.Request) -> Files:
        """Hand the name back, for the files look at whole paths."""
        assert isinstance(request, Request)
        request.prepath = list(request.mount)
        request.postpath = [path, *(request.postpath or ())]
        return self._files(request)

    def render(self, request: server.Request) -> int:
        """The path of the site without its slash."""
        return self._files(request).render(request)

    def _files(self, request: server.Request) -> Files:
        assert isinstance(request, Request)
        return hosts.pick(self.offer.hosts, self.offer.files, request.authority)


class Request(server.Request):
    """A request whose target and Host are held against RFC 9112 before a resource sees it."""

    channel: Channel
    site: Site
    transport: Any
    #: The names of `[web] prefix` on the way to the site.
    mount: Sequence[bytes] = ()
    #: Host and port that were asked for.
    authority = b""
    #: What the answer is made of, where it may be repeated for the same head.
    source: Source | None = None
    _body_bytes = 0

    def handleContentChunk(self, data: bytes) -> None:
        if self._body_bytes + len(data) > MAX_BODY_BYTES:
            self.channel.refuse(413, f"A body has at most {MAX_BODY_BYTES} bytes here.")
        else:
            self._body_bytes += len(data)
            super().handleContentChunk(data)

    def process(self) -> None:
        self.site = self.channel.site
        for name, value in self.site.headers(secure=self.isSecure()):
            self.responseHeaders.addRawHeader(name, value)
        if self.method not in KNOWN_METHODS:
            answer_error(self, 501, "No such method is known here.")
            return
        if self.method == b"CONNECT":  # its target is a host and port, and this no proxy
            answer_not_allowed(self, METHODS)
            return
        star = self.uri == b"*" and self.method == b"OPTIONS"
        try:
            self._check_headers()
            where = target.parse(b"/" if star else self.uri)
        except target.BadTarget as error:
            answer_error(self, 400, f"Not understood: {error}.")
            return
        mount = self.site.mount
        if where.segments[: len(mount)] != mount and not star:
            answer_error(self, 404, f"The site begins at {target.join(mount, True).decode()}.")
            return
        self._route(where, mount)

    def _route(self, where: target.Target, mount: tuple[bytes, ...]) -> None:
        """Find the resource below the mount and let it answer."""
        self.authority = where.authority or self.getHeader(b"Host") or b""
        self.mount = mount
        self.prepath = list(mount)
        below = where.segments[len(mount) :]
        self.postpath = [*below, *([b""] if where.directory else [])]
        try:
            self.render(self.site.getResourceFor(self))
        except Exception:
            self.processingFailed(Failure())

    def _check_headers(self) -> None:
        """:raises BadTarget: no server may answer such a request with more than a 400."""
        target.check_host(self.requestHeaders.getRawHeaders(b"Host", []), self.clientproto)
        coded = self.requestHeaders.hasHeader(b"Transfer-Encoding")
        if coded and self.clientproto == b"HTTP/1.0":
            raise target.BadTarget("HTTP/1.0 has no Transfer-Encoding")

    def render(self, resrc: IResource) -> None:
        try:
            body = resrc.render(self)
        except UnsupportedMethod as error:
            allowed = b", ".join(dict.fromkeys([*error.allowedMethods, b"OPTIONS"]))
            if self.method == b"OPTIONS":
                self.setHeader(b"Allow", allowed)
                answer_empty(self, 204)
            else:
                answer_not_allowed(self, allowed)
            return
        if body != server.NOT_DONE_YET:
            answer(self, body)

    def processingFailed(self, reason: Failure) -> Failure:
        """A mistake of ours: the log gets all of it, the peer a 500."""
        self._log.failure("web {target}: our mistake", reason, target=self.uri)
        if self.startedWriting:
            self.transport.abortConnection()
        else:
            answer_error(self, 500, "That is a mistake of the server, which its log describes.")
        return reason

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self.startedWriting and not self.finished:
            self.site.log(self)


class Site(server.Site):
    """The factory: it counts its connections, ends them when it is told to, and logs requests."""

    noisy = False
    protocol = Channel  # type: ignore[assignment]
    requestFactory = Request
    _log = Logger()

    def __init__(self, top: Top, settings: Settings, memory: Memory, reactor: IReactorTime) -> None:
        # The channel has deadlines of its own, so twisted.web's timeout is off.
        super().__init__(top, timeout=None, parsePOSTFormSubmission=False, reactor=reactor)
        self.connections: Connections[Channel] = Connections()
        self.tally = Tally()
        self.access = access.Log("off", lambda call: reactor.callLater(0, call), self._write)
        #: For connections without TLS, and with it: answers may differ by that.
        self.lanes = (Lane(memory), Lane(memory))
        self._memory = memory
        self._date = (0, b"")
        self._top = top
        self._admitted = 0
        self._draining = False
        self._follow(settings)

    def _follow(self, settings: Settings) -> None:
        self._max_connections = settings.max_connections
        self._policy = settings.added()
        self.mount = tuple(filter(None, settings.prefix.encode("ascii").split(b"/")))
        self.access.flush()
        self.access.form = settings.access_log
        self._memory.limit(settings.memory)
        for lane in self.lanes:
            lane.clear()

    def prepare(self, roots: Path | Roots, settings: Settings) -> Callable[[], None]:
        """Other settings, checked; what is returned puts them into force from the next request on.

        :raises OSError: a root is no directory that can be read.
        """
        offer = _offer(roots, settings, self._memory, self.reactor)

        def apply() -> None:
            self._top.offer = offer
            self._follow(settings)

        return apply

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may agree on: HTTP/2 would replace the channel, and its deadlines with it."""
        return [b"http/1.1"]

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a request body goes; the channel keeps it small enough for memory."""
        return BytesIO()

    def headers(self, *, secure: bool) -> list[tuple[bytes, bytes]]:
        """What every answer carries; over TLS (`secure`) it may be more."""
        return [
            (b"Server", SERVER),
            (b"Date", self.date(self.reactor.seconds())),
            (b"X-Content-Type-Options", b"nosniff"),
            *self._policy.everywhere(secure=secure),
        ]

    def date(self, now_s: float) -> bytes:
        """The value of Date; it is made once a second."""
        second, date = self._date
        if second != int(now_s):
            self._date = (int(now_s), date := http_date(now_s))
        return date

    # The connections

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A channel; none, which closes the socket, where even refusals would be too many."""
        if self._draining or len(self.connections) >= 2 * self._max_connections:
            self.tally.dropped += 1
            return None
        return super().buildProtocol(addr)

    def admit(self, channel: Channel) -> bool:
        """Count a new connection; False when there are too many to serve it."""
        self.connections.add(channel)
        self.tally.connections += 1
        if self._admitted >= self._max_connections:
            return False
        self._admitted += 1
        return True

    def forget(self, channel: Channel) -> None:
        self._admitted -= channel.admitted
        self.connections.discard(channel)

    def drain(self, reason: str = "") -> Deferred[None]:
        """Close what is idle and let answers under way finish; fires when no connection is left."""
        self._draining = True
        for channel in self.connections:
            channel.drain()
        return self.connections.all_gone()

    def abort(self) -> None:
        """Cut every connection that is left."""
        for channel in self.connections:
            channel.abort()

    def metrics(self) -> Iterator[Metric]:
        """What there is to tell in figures."""
        yield gauge("netlab_web_open_connections", "Connections open now.", len(self.connections))
        yield from self.tally.metrics()

    # The access log. twisted.web would write it to a file, and wake each second for its date.

    def startFactory(self) -> None:
        pass

    def stopFactory(self) -> None:
        pass

    def log(self, request: http.Request) -> None:
        """One line for each request; twisted.web calls it when the answer has been written."""
        told = self.told(request, request.sentLength)
        self.log_answer(who(request.getClientAddress()), told, self.reactor.seconds())

    def told(self, request: http.Request, body_bytes: int) -> Told:
        """What the log tells of an answer with a body of that size."""
        return Told(
            request.method,
            b" ".join((request.method, request.uri, request.clientproto)),
            request.code,
            body_bytes,
            request.getHeader(b"Referer"),
            request.getHeader(b"User-Agent"),
            request.channel is None,
        )

    def log_answer(self, peer: Who, told: Told, now_s: float) -> None:
        """Count an answer, and log it."""
        self.tally.answered(told.method, told.status, told.body_bytes)
        self.access.add(peer, now_s, told)

    def log_refused(self, peer: Any, status: int, why: str, body_bytes: int) -> None:
        """The line of what never became a request."""
        self.tally.refused(status)
        self._log.debug("web {peer} {status}: {why}", peer=peer_name(peer), status=status, why=why)
        told = Told(b"", b"", status, body_bytes, why=why)
        self.access.add(who(peer), self.reactor.seconds(), told)

    def _write(self, form: str, lines: Sequence[str]) -> None:
        batch = Batch(((line, {}) for line in lines), bare=True, json=form == "json")
        self._log.info("{batch}", batch=batch)
