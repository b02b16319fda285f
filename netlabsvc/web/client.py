"""What `netlab get` does: one connection, one request, one response.

The parser is our own, over a plain endpoint, and not twisted.web's Agent: it takes what servers by
beginners send, its bytes can be shown as they went over the wire, and what is missing has a name.
Failures carry curl's exit status, so that scripts can be moved from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error as TLSError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import optionsForClientTLS
from twisted.python.failure import Failure

import netlabsvc
from netlabsvc.web.response import BadResponse, End, Event, Response, Truncated
from netlabsvc.web.url import Url

CONNECT_S = 30
#: A server that sends nothing for so long is given up; `--max-time` limits the whole.
SILENCE_S = 60

UNSUPPORTED_SCHEME = 1
MALFORMED_URL = 3
CANNOT_RESOLVE = 6
CANNOT_CONNECT = 7
BAD_RESPONSE = 8
PARTIAL_FILE = 18
WRITE_ERROR = 23
TIMEOUT = 28
TLS_HANDSHAKE = 35
EMPTY_REPLY = 52
RECEIVE_ERROR = 56
TLS_CERTIFICATE = 60


class Failed(Exception):
    """Why a URL could not be fetched: a sentence, and curl's exit status for it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


async def fetch(
    reactor: Any, url: Url, take: Callable[[Event], None], *, max_time_s: float | None = None
) -> None:
    """Send a GET and hand over each event of the response as it comes.

    :param take: gets `Head`, `Body` and `End`; what it raises ends the fetch and is raised here.
    :param max_time_s: for all of it, resolving and connecting too.
    :raises Failed: nothing came, or not all of it.
    """
    end = None if max_time_s is None else reactor.seconds() + max_time_s
    exchange = Exchange(reactor, url, take)
    factory = Factory.forProtocol(lambda: exchange)
    factory.noisy = False
    seconds = CONNECT_S if max_time_s is None else min(CONNECT_S, max_time_s)
    connecting = _endpoint(reactor, url).connect(factory)
    late = reactor.callLater(seconds, connecting.cancel)
    try:
        await connecting
    except DNSLookupError as error:
        raise Failed(CANNOT_RESOLVE, f"cannot resolve {url.host}") from error
    except (TimeoutError, ConnectingCancelledError, CancelledError) as error:
        raise Failed(TIMEOUT, f"no connection to {url.authority} in {seconds:g} s") from error
    except ConnectError as error:
        why = str(error.args[-1] if error.args else error).rstrip(".")
        raise Failed(CANNOT_CONNECT, f"cannot connect to {url.authority}: {why}") from error
    finally:
        if late.active():
            late.cancel()
    if end is not None:
        exchange.deadline(max(0.0, end - reactor.seconds()), f"not done after {max_time_s:g} s")
    await exchange.over


def _endpoint(reactor: Any, url: Url) -> Any:
    endpoint = HostnameEndpoint(reactor, url.host, url.port)
    if url.scheme == "http":
        return endpoint
    return wrapClientTLS(optionsForClientTLS(url.host), endpoint)


class Exchange(Protocol):
    """The connection: it sends the request and feeds the response."""

    transport: Any

    def __init__(self, reactor: Any, url: Url, take: Callable[[Event], None]) -> None:
        self._reactor = reactor
        self._url = url
        self._take = take
        self._response = Response()
        self._count = 0
        self._calls: list[IDelayedCall] = []
        self._failed: BaseException | None = None
        self.over: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._silence = self.deadline(SILENCE_S, f"nothing came for {SILENCE_S} s")
        agent = f"netlab/{netlabsvc.__version__}"
        self.transport.write(self._url.request(("User-Agent", agent), ("Accept", "*/*")))

    def dataReceived(self, data: bytes) -> None:
        if self._failed is not None:
            return
        self._count += len(data)
        self._silence.reset(SILENCE_S)
        try:
            self._hand_over(self._response.feed(data))
        except BadResponse as error:
            self._fail(Failed(BAD_RESPONSE, f"{self._url.authority} sent {error}"))
        except Exception as error:  # of `take`: the caller's own, for the caller
            self._fail(error)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        for call in self._calls:
            if call.active():
                call.cancel()
        if self._failed is None and not self._response.complete:
            self._failed = self._ended(reason)
        if self._failed is None:
            self.over.callback(None)
        else:
            self.over.errback(Failure(self._failed))

    def deadline(self, seconds: float, why: str) -> IDelayedCall:
        """End the exchange after some seconds."""
        failed = Failed(TIMEOUT, f"{self._url.authority}: {why}, {self._count} bytes received")
        call: IDelayedCall = self._reactor.callLater(seconds, self._fail, failed)
        self._calls.append(call)
        return call

    def _hand_over(self, events: list[Event]) -> None:
        for event in events:
            self._take(event)
            if isinstance(event, End):
                self.transport.loseConnection()

    def _fail(self, failed: BaseException) -> None:
        self._failed = failed
        self.transport.abortConnection()

    def _ended(self, reason: Failure) -> BaseException | None:
        """What a connection that ended says of the response."""
        where = self._url.authority
        if isinstance(reason.value, TLSError):
            return _tls_failure(where, reason.value)
        clean = reason.check(ConnectionDone, ConnectionLost)
        if not self._count:
            if clean:
                return Failed(EMPTY_REPLY, f"{where} closed without an answer")
            return Failed(RECEIVE_ERROR, f"{where}: {reason.getErrorMessage()}")
        try:
            self._hand_over(self._response.end())
        except Truncated as error:
            return Failed(PARTIAL_FILE, f"{where} closed too early: {error}")
        except Exception as error:
            return error
        return None


def _tls_failure(where: str, error: BaseException) -> Failed:
    """OpenSSL's list of (library, function, reason), in a sentence."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    why = "; ".join(str(entry[-1]) for entry in entries if entry[-1]) or "the handshake failed"
    status = TLS_CERTIFICATE if "certificate verify failed" in why else TLS_HANDSHAKE
    return Failed(status, f"TLS with {where}: {why}")
