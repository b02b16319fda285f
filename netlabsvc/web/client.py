"""What `netlab get` does: one connection, one request, one response.

The parser is our own, over a plain endpoint, and not twisted.web's Agent: it takes what servers by
beginners send, its bytes can be shown as they went over the wire, and what is missing has a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.web import response, trust
from netlabsvc.web.asking import Request
from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.response import BadResponse, Body, End, Remark, Response, Truncated

CONNECT_S = 30
#: A server that sends nothing for so long is given up, unless there is a limit for the whole.
SILENCE_S = 60


@dataclass(frozen=True)
class Fact:
    """Something that happened to the connection, for who wants to watch."""

    text: str


@dataclass(frozen=True)
class Sent:
    """The request as it went out."""

    data: bytes


Event = response.Event | Fact | Sent
Take = Callable[[Event], None]


async def fetch(
    reactor: Any,
    request: Request,
    take: Take,
    *,
    trusted: trust.Trust = trust.Trust(),  # noqa: B008 - it is frozen
    end_s: float | None = None,
) -> None:
    """Send a request and hand over each event as it comes.

    :param take: what it raises ends the fetch and is raised here.
    :param end_s: when to give up, by the reactor's clock.
    :raises Failed: nothing came, or not all of it.
    """
    url, start_s = request.url, reactor.seconds()
    exchange = Exchange(reactor, request, take, trusted, end_s)
    factory = Factory.forProtocol(lambda: exchange)
    factory.noisy = False
    seconds = CONNECT_S if end_s is None else min(CONNECT_S, max(0.0, end_s - start_s))
    endpoint: Any = HostnameEndpoint(reactor, url.host, url.port)
    if url.scheme == "https":
        endpoint = wrapClientTLS(trusted.creator(url.host), endpoint)
    connecting = endpoint.connect(factory)
    late = reactor.callLater(seconds, connecting.cancel)
    try:
        await connecting
    except Exception as error:
        raise _unconnected(url.host, url.authority, error, seconds) from error
    finally:
        if late.active():
            late.cancel()
    await exchange.over


def _unconnected(host: str, where: str, error: Exception, seconds: float) -> Exception:
    """Why no connection came about."""
    if isinstance(error, DNSLookupError | ValueError):
        why = f"cannot resolve {host}: no such name is known; its address would do"
        return Failed(Status.COULDNT_RESOLVE_HOST, why)
    if isinstance(error, TimeoutError | ConnectingCancelledError | CancelledError):
        why = f"no connection to {where} in {seconds:.3g} s: it is down, or a firewall is silent"
        return Failed(Status.OPERATION_TIMEDOUT, why)
    if isinstance(error, ConnectError):
        why = str(error.args[-1] if error.args else error).rstrip(".")
        refused = isinstance(error, ConnectionRefusedError)
        hint = "; nothing listens there: is the server started?" if refused else ""
        return Failed(Status.COULDNT_CONNECT, f"cannot connect to {where}: {why}{hint}")
    return error


@implementer(IHandshakeListener)
class Exchange(Protocol):
    """The connection: it sends the request and feeds the response."""

    transport: Any

    def __init__(
        self, reactor: Any, request: Request, take: Take, trusted: trust.Trust, end_s: float | None
    ) -> None:
        self._reactor = reactor
        self._request = request
        self._where = request.url.authority
        self._take = take
        self._trusted = trusted
        self._end_s = end_s
        self._response = Response(request.method)
        self._count = self._body_bytes = 0
        self._since_s = reactor.seconds()
        self._agreed = request.url.scheme == "http"
        self._limit: IDelayedCall | None = None
        self._failed: BaseException | None = None
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        left = SILENCE_S if self._end_s is None else max(0.0, self._end_s - self._reactor.seconds())
        self._limit = self._reactor.callLater(left, self._too_late)
        peer = self.transport.getPeer()
        host = f"[{peer.host}]" if ":" in peer.host else peer.host
        self._tell(f"connected to {host}:{peer.port} in {self._lap_ms()}")
        if self._agreed:
            self._send()

    def handshakeCompleted(self) -> None:
        self._agreed = True
        if self._failed is None:
            facts = "\n".join(trust.facts(self.transport))
            self._tell(f"TLS agreed in {self._lap_ms()}: {facts}")
            self._tell(self._trusted.words(self._request.url.host))
            self._send()

    def dataReceived(self, data: bytes) -> None:
        if self._failed is not None:
            return
        if not self._count:
            self._tell(f"first byte after {self._lap_ms()}")
        self._count += len(data)
        try:
            self._hand_over(self._response.feed(data))
        except BadResponse as error:
            self._fail(Failed(error.status, f"{self._where} sent {error}"))
        except Exception as error:  # of `take`: the caller's own, for the caller
            self._fail(error)
        # After the bytes were taken: that may have lasted.
        if self._end_s is None and self._limit and self._limit.active():
            self._limit.reset(SILENCE_S)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        if self._failed is None and not self._response.complete:
            self._failed = self._ended(reason)
        self._finish(self._failed)

    def _send(self) -> None:
        data = self._request.encode()
        self._tell(Sent(data))
        if self._failed is None:
            self.transport.write(data)

    def _tell(self, event: str | Sent) -> None:
        """Hand over what the taker may fail on, such as a terminal that has gone."""
        try:
            self._take(Fact(event) if isinstance(event, str) else event)
        except Exception as error:
            self._fail(error)

    def _lap_ms(self) -> str:
        """How long it took since the last lap."""
        since_s, self._since_s = self._since_s, self._reactor.seconds()
        return f"{1000 * (self._since_s - since_s):.1f} ms"

    def _too_late(self) -> None:
        what = "no bytes" if not self._count else f"{self._count} bytes"
        why = f"nothing more for {SILENCE_S} s" if self._end_s is None else "the time is up"
        error = f"{self._where}: {why}; {what} received"
        self._fail(Failed(Status.OPERATION_TIMEDOUT, error))

    def _hand_over(self, events: Iterable[response.Event]) -> None:
        for event in events:
            if isinstance(event, Body):
                self._body_bytes += len(event.data)
            elif isinstance(event, Remark):
                event = Remark(f"{self._where} {event.text}")
            elif isinstance(event, End):
                self._take(Fact(f"{self._body_bytes} bytes of body, whole after {self._lap_ms()}"))
            self._take(event)
        if self._response.complete:
            if self._response.excess_bytes:
                self._take(Remark(f"{self._where} {self._excess()}"))
            self._finish(None)
            self.transport.loseConnection()

    def _excess(self) -> str:
        dropped = f"{self._response.excess_bytes} bytes or more after its response were dropped"
        if not self._body_bytes:
            return f"sent a body where there is none: {dropped}"
        why = "does its Content-Length count characters instead of bytes?"
        return f"sent more than it announced: {dropped}; {why}"

    def _finish(self, failed: BaseException | None) -> None:
        """Say how it ended, once; a peer that does not close holds nobody up."""
        if self._limit and self._limit.active():
            self._limit.cancel()
        if self.over.called:
            return
        if failed is None:
            self.over.callback(None)
        else:
            self.over.errback(Failure(failed))

    def _fail(self, failed: BaseException) -> None:
        self._failed = self._failed or failed
        self.transport.abortConnection()

    def _ended(self, reason: Failure) -> BaseException | None:
        """What a connection that ended says of the response."""
        where = self._where
        if found := trust.failure(where, reason.value, agreed=self._agreed):
            return found
        if not reason.check(ConnectionDone):
            why = "the connection broke (reset by the server, or the network)"
            return Failed(Status.RECV_ERROR, f"{where}: {why} after {self._count} bytes")
        if not self._count:
            why = f"{where} closed without an answer; did its program end with an error?"
            return Failed(Status.GOT_NOTHING, why)
        try:
            self._hand_over(self._response.end())
        except Truncated as error:
            return Failed(error.status, f"{where} closed too early: {error}")
        except Exception as error:
            return error
        return None
