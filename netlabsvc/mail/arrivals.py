"""What is new, told to every page that listens: server-sent events (WHATWG HTML, section 9.2).

    : netlab                                         at the start, and each 15 s
    event: mail      data: {"id": 7, ...}            a mail was kept or refused
    event: gone      data: {"ids": [7]}              mails were deleted here
    event: missed    data: {}                        more than was told: read the list again

A page that reads too slowly is owed one thing only, to be told that it has missed something; one
that has read nothing between two heartbeats is cut. So no page fills the memory.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from netlabsvc.escape import json_text

HEARTBEAT_S = 15.0
MOST = 200


@implementer(IPushProducer)
class Listener:
    """One page that listens."""

    def __init__(self, arrivals: Arrivals, request: Any) -> None:
        self._arrivals = arrivals
        self._request = request
        self._behind = False
        self._missed = False
        self._stuck = False

    def start(self, last_id: bytes | None) -> None:
        """Begin the answer.

        :param last_id: what the page heard last, on a connection before this one.
        """
        request = self._request
        request.setHeader(b"Content-Type", b"text/event-stream; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"X-Accel-Buffering", b"no")
        request.notifyFinish().addBoth(lambda _: self._arrivals.forget(self))
        request.registerProducer(self, True)
        request.write(b"retry: 2000\n: netlab\n\n")
        if last_id:
            request.write(_event("missed", {}))

    def tell(self, event: bytes) -> None:
        if self._behind:
            self._missed = True
        else:
            self._request.write(event)

    def beat(self) -> None:
        """Show that the stream lives; cut who took nothing since the last time."""
        if self._behind and self._stuck:
            self._request.transport.abortConnection()
        elif self._behind:
            self._stuck = True
        else:
            self._request.write(b": netlab\n\n")

    def finish(self) -> None:
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        self._behind = True

    def resumeProducing(self) -> None:
        self._behind = self._stuck = False
        if self._missed:
            self._missed = False
            self._request.write(_event("missed", {}))

    def stopProducing(self) -> None:
        """The connection is gone: `Arrivals.forget` is called for it."""


class Arrivals:
    """All pages that listen."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._listeners: dict[Listener, None] = {}
        self._heart: IDelayedCall | None = None
        self._draining = False

    @property
    def full(self) -> bool:
        """Whether one more page would be too many, or the daemon ends."""
        return self._draining or len(self._listeners) >= MOST

    def listen(self, request: Any, last_id: bytes | None = None) -> None:
        """Answer a request with what comes from now on."""
        listener = Listener(self, request)
        self._listeners[listener] = None
        listener.start(last_id)
        if self._heart is None:
            self._heart = self._reactor.callLater(HEARTBEAT_S, self._beat)

    def forget(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)
        if not self._listeners and self._heart is not None:
            self._heart.cancel()
            self._heart = None

    def tell(self, kind: str, data: dict[str, object], event_id: int | None = None) -> None:
        """Tell every page at once."""
        if self._listeners:
            event = _event(kind, data, event_id)
            for listener in tuple(self._listeners):
                listener.tell(event)

    def drain(self, reason: str = "") -> Deferred[None]:
        """End every stream: a page connects anew when the daemon is back."""
        self._draining = True
        for listener in tuple(self._listeners):
            listener.finish()
        return succeed(None)

    def abort(self) -> None:
        """Nothing: the site cuts its own connections."""

    def _beat(self) -> None:
        self._heart = self._reactor.callLater(HEARTBEAT_S, self._beat)
        for listener in tuple(self._listeners):
            listener.beat()


def _event(kind: str, data: dict[str, object], event_id: int | None = None) -> bytes:
    number = f"id: {event_id}\n" if event_id is not None else ""
    return f"{number}event: {kind}\ndata: {json_text(data)}\n\n".encode()
