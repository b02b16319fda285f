"""The web site: the files, what is mounted beside them, and every connection to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
from netlabsvc.metrics import Metric, gauge
from netlabsvc.web import target
from netlabsvc.web.answer import answer, answer_error, answer_not_allowed
from netlabsvc.web.channel import MAX_BODY_BYTES, Channel
from netlabsvc.web.files import Files
from netlabsvc.web.lane import Lane, Source
from netlabsvc.web.memory import Memory
from netlabsvc.web.preconditions import http_date
from netlabsvc.web.settings import Settings
from netlabsvc.web.tally import Tally
from netlabsvc.web.tree import Tree

SERVER = b"netlab/" + netlabsvc.__version__.encode("ascii")


def packaged_root() -> Path:
    """The directory of the site that comes with the package."""
    return Path(netlabsvc.__file__).parent / "data" / "site"


def build(
    root: Path, settings: Settings, children: Mapping[bytes, IResource], reactor: IReactorTime
) -> Site:
    """The factory of the site's connections.

    :param root: the directory that is served.
    :param children: what stands at ``/name`` beside the files, and before a file of that name.
    :raises OSError: the root is no directory that can be read.
    """
    memory = Memory(settings.memory)
    files = Files(Tree(root), memory, listing=settings.listing, reactor=reactor)
    top = Top(files)
    for name, child in children.items():
        top.putChild(name, child)
    return Site(top, files, memory, settings.max_connections, reactor)


class Top(Resource):
    """The root of all paths: the mounted children first, and for the rest the files."""

    def __init__(self, files: Files) -> None:
        super().__init__()
        self._files = files

    def getChild(self, path: bytes, request: server.Request) -> Files:
        """Hand the name back, for the files look at whole paths."""
        request.prepath = []
        request.postpath = [path, *(request.postpath or ())]
        return self._files


class Request(server.Request):
    """A request whose target and Host are held against RFC 9112 before a resource sees it."""

    channel: Channel
    site: Site
    transport: Any
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
        for name, value in self.site.headers():
            self.setHeader(name, value)
        try:
            self._check_headers()
            star = self.uri == b"*" and self.method == b"OPTIONS"
            where = target.parse(b"/" if star else self.uri)
        except target.BadTarget as error:
            answer_error(self, 400, f"Not understood: {error}.")
            return
        self.prepath = []
        self.postpath = [*where.segments, *([b""] if where.directory else [])]
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
            answer_not_allowed(self, b", ".join(error.allowedMethods))
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


class Told(NamedTuple):
    """What the log tells of an answer."""

    method: bytes
    target: bytes
    status: int
    body_bytes: int


class Site(server.Site):
    """The factory: it counts its connections, ends them when it is told to, and logs requests."""

    noisy = False
    protocol = Channel  # type: ignore[assignment]
    requestFactory = Request
    _log = Logger()

    def __init__(
        self, top: Top, files: Files, memory: Memory, max_connections: int, reactor: IReactorTime
    ) -> None:
        # The channel has deadlines of its own, so twisted.web's timeout is off.
        super().__init__(top, timeout=None, parsePOSTFormSubmission=False, reactor=reactor)
        self.connections: Connections[Channel] = Connections()
        self.tally = Tally()
        #: For connections without TLS, and with it: answers may differ by that.
        self.lanes = (Lane(memory), Lane(memory))
        self._files = files
        self._memory = memory
        self._date = (0, b"")
        self._max_connections = max_connections
        self._admitted = 0
        self._draining = False

    def prepare(self, root: Path, settings: Settings) -> Callable[[], None]:
        """Other settings, checked; what is returned puts them into force from the next request on.

        :raises OSError: the root is no directory that can be read.
        """
        tree = Tree(root)

        def apply() -> None:
            self._files.root = tree
            self._files.listing = settings.listing
            self._max_connections = settings.max_connections
            self._memory.limit(settings.memory)
            for lane in self.lanes:
                lane.clear()

        return apply

    def acceptableProtocols(self) -> list[bytes]:
        """What TLS may agree on: HTTP/2 would replace the channel, and its deadlines with it."""
        return [b"http/1.1"]

    def getContentFile(self, length: int | None) -> BytesIO:
        """Where a request body goes; the channel keeps it small enough for memory."""
        return BytesIO()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """What every answer carries."""
        return [
            (b"Server", SERVER),
            (b"Date", self.date(self.reactor.seconds())),
            (b"X-Content-Type-Options", b"nosniff"),
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
        cut = " cut off" if request.channel is None else ""
        self.log_answer(request.getClientAddress(), self.told(request, request.sentLength), cut)

    def told(self, request: http.Request, body_bytes: int) -> Told:
        """What the log will tell of an answer with a body of that size."""
        return Told(request.method, request.uri, request.code, body_bytes)

    def log_answer(self, peer: object, answer: Told, cut: str = "") -> None:
        """One line for an answer."""
        method, target, status, size = answer
        self.tally.answered(method, status, size)
        self._log.info(
            "web {peer} {method} {target} {status} {size}{cut}",
            peer=peer_name(peer),
            method=method.decode("latin-1"),
            target=target.decode("latin-1"),
            status=status,
            size=size,
            cut=cut,
        )

    def log_refused(self, peer: object, status: int, why: str) -> None:
        """The line of what never became a request."""
        self.tally.refused(status)
        self._log.info("web {peer} {status}: {why}", peer=peer_name(peer), status=status, why=why)
