"""The control API: HTTP and JSON for whoever may open the socket (see socket.py).

What can be done stands in the rooms' routes; here a request becomes a call, and what comes back an
answer: JSON, a problem document (RFC 9457), or a stream of events (stream.py).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import Resource

from netlabsvc import __version__
from netlabsvc.connections import Connections
from netlabsvc.control.router import Router
from netlabsvc.control.stream import Stream
from netlabsvc.escape import json_text
from netlabsvc.routes import Problem, Route, refusals

#: How long a connection may be idle, or take for its request.
IDLE_S = 60.0
#: How long whoever asked may take to read an answer when the daemon ends.
GOODBYE_S = 1.0


class Call(Resource):
    """Every path of the API."""

    isLeaf = True
    _log = Logger()

    def __init__(self, router: Router) -> None:
        super().__init__()
        self._router = router

    def render(self, request: Request) -> int:
        """Answer now or later; never raises."""
        called = maybeDeferred(self._call, request)
        called.addCallbacks(self._answer, self._refuse, (request,), {}, (request,))
        called.addErrback(self._blame, request)
        return server.NOT_DONE_YET

    def _call(self, request: Request) -> Any:
        """:raises Problem: says why not."""
        if request.getHeader(b"origin") is not None:
            # No browser can reach the socket; but if something carried a page's request here, its
            # Origin would tell (Fetch standard, 3.2).
            raise Problem(403, "a web page may not use the control API")
        path, _, query = request.uri.decode("latin-1").partition("?")
        found = self._router.find(request.method.decode("latin-1"), path)
        given: dict[str, object] = {**_query(query), **found.arguments}
        if found.route.has_body:
            given.update(_body(request, found.route.body_bytes))
        last_id = request.getHeader(b"last-event-id")
        if last_id is not None and "last_event_id" in found.route.arguments:
            given["last_event_id"] = last_id.decode("latin-1")
        result = found.route.call(given)
        return Deferred.fromCoroutine(_awaited(result)) if inspect.isawaitable(result) else result

    def _answer(self, result: Any, request: Request) -> None:
        if isinstance(result, Stream):
            result.start(request)
        else:
            _finish(request, 200, "application/json", result)

    def _refuse(self, failure: Failure, request: Request) -> Failure | None:
        problem = failure.value
        if not isinstance(problem, Problem):
            return failure
        if problem.allow:
            request.setHeader(b"Allow", ", ".join(problem.allow).encode())
        _finish(request, problem.status, "application/problem+json", problem.document())
        return None

    def _blame(self, failure: Failure, request: Request) -> None:
        """A mistake of ours: the log gets all of it."""
        self._log.failure("control {uri}: our mistake", failure, uri=request.uri)
        problem = Problem(500, "that is a mistake of the daemon, which its log describes")
        if not request.startedWriting:
            _finish(request, 500, "application/problem+json", problem.document())


class Request(server.Request):
    """A request whose body has a bound."""

    channel: Any
    too_long = False
    gone = False

    def handleContentChunk(self, data: bytes) -> None:
        assert self.content is not None
        if self.content.tell() + len(data) > self.channel.site.body_bytes:
            self.too_long = True
        else:
            super().handleContentChunk(data)

    def connectionLost(self, reason: Failure) -> None:
        self.gone = True
        super().connectionLost(reason)


class Channel(http.HTTPChannel):
    """One connection."""

    site: Api

    def connectionMade(self) -> None:
        super().connectionMade()
        self.site.connections.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.site.connections.discard(self)
        super().connectionLost(reason)


class Api(server.Site):
    """The factory of the socket's connections."""

    noisy = False
    requestFactory = Request
    protocol = Channel  # type: ignore[assignment]

    def __init__(self, routes: Iterable[Route], reactor: IReactorTime) -> None:
        routes = list(routes)
        self.router = Router(routes)
        #: No request has more; many have to have less.
        self.body_bytes = max((route.body_bytes for route in routes), default=0)
        self.connections: Connections[Channel] = Connections()
        self._reactor = reactor
        super().__init__(Call(self.router), timeout=IDLE_S, reactor=reactor)

    def log(self, request: http.Request) -> None:
        """Nothing: what the operator does is logged by the room where it is done."""

    def close(self) -> Deferred[None]:
        """Let answers that are written reach whoever asked; fires when all have gone."""
        for channel in self.connections:
            channel.loseConnection()
        cut = self._reactor.callLater(GOODBYE_S, self._abort)
        gone = self.connections.all_gone()
        gone.addCallback(lambda _: cut.cancel() if cut.active() else None)
        return gone

    def _abort(self) -> None:
        for channel in self.connections:
            channel.forceAbortClient()


def _finish(request: Request, status: int, kind: str, value: Any) -> None:
    if request.gone:
        return
    data = json_text(value).encode() + b"\n"
    request.setResponseCode(status)
    request.setHeader(b"Server", f"netlab/{__version__}".encode())
    request.setHeader(b"Content-Type", kind.encode())
    request.setHeader(b"Content-Length", b"%d" % len(data))
    request.setHeader(b"Cache-Control", b"no-store")
    if request.method != b"HEAD":
        request.write(data)
    request.finish()


async def _awaited(result: Any) -> Any:
    with refusals():
        return await result


def _query(text: str) -> dict[str, str]:
    """:raises Problem: for a name that comes twice, or what cannot be decoded."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise Problem(400, f"the query {text!r} is not of the form name=value&...") from None
    query = dict(pairs)
    if len(query) < len(pairs):
        raise Problem(400, "the query names an argument twice")
    return query


def _body(request: Request, most: int) -> dict[str, object]:
    """:raises Problem: when it is no JSON object."""
    assert request.content is not None
    data = request.content.read(most + 1)
    if request.too_long or len(data) > most:
        raise Problem(413, f"a body has at most {most} bytes here")
    if not data.strip():
        return {}
    kind = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise Problem(415, "the body must be JSON: Content-Type: application/json")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, 'the body must be a JSON object: {"name": "value"}')
    return body
