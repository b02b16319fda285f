"""The fetcher where time passes, names are unknown, or the caller fails."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.web.asking import Request
from netlabsvc.web.client import SILENCE_S, Exchange, fetch
from netlabsvc.web.failure import Failed
from netlabsvc.web.response import Head
from netlabsvc.web.trust import Trust
from netlabsvc.web.url import parse

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"


def failure_of(fetching: Deferred[Any]) -> Failed:
    """The failure of something that must have failed by now."""
    caught: list[Failure] = []
    fetching.addErrback(caught.append)
    assert caught
    error = caught[0].value
    assert isinstance(error, Failed)
    return error


def ignore(event: object) -> None:
    """Take an event for nothing."""


def connected(clock: Any, take: Any) -> tuple[Exchange, StringTransport]:
    exchange = Exchange(clock, Request(parse("lab/x")), take, Trust(), None)
    transport = StringTransport()
    exchange.makeConnection(transport)
    return exchange, transport


@implementer(IHostnameResolver, IHostResolution)
class Nobody:
    """A resolver that knows no name."""

    name = "lab"

    def resolveHostName(
        self,
        resolutionReceiver: Any,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Any = None,
        transportSemantics: str = "TCP",
    ) -> Nobody:
        resolutionReceiver.resolutionBegan(self)
        resolutionReceiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        """There is nothing under way."""


def test_an_unknown_name() -> None:
    """A name without an address is curl's 6."""
    reactor = MemoryReactorClock()
    reactor.installNameResolver(Nobody())
    error = failure_of(Deferred.fromCoroutine(fetch(reactor, Request(parse("lab")), ignore)))
    assert (error.status, str(error)) == (
        6,
        "cannot resolve lab: no such name is known; its address would do",
    )


def test_a_host_that_does_not_answer() -> None:
    """A connection that does not come about is given up after 30 s, as curl's 28."""
    reactor = MemoryReactorClock()
    fetching = Deferred.fromCoroutine(fetch(reactor, Request(parse("192.0.2.1")), ignore))
    reactor.advance(29)
    assert not fetching.called
    reactor.advance(1)
    assert failure_of(fetching).status == 28


def test_a_silent_server() -> None:
    """Each byte starts the wait anew; then a server that says nothing is given up."""
    clock = MemoryReactorClock()
    exchange, transport = connected(clock, ignore)
    for byte in HEAD[:3]:
        clock.advance(SILENCE_S - 1)
        exchange.dataReceived(bytes([byte]))
    clock.advance(SILENCE_S - 1)
    assert not transport.disconnected
    clock.advance(1)
    assert transport.disconnected
    exchange.connectionLost(Failure(ConnectionDone()))
    assert failure_of(exchange.over).status == 28


def test_a_connection_that_breaks() -> None:
    """A reset in the middle of a body is told from an early end: curl's 56."""
    exchange, _ = connected(MemoryReactorClock(), ignore)
    exchange.dataReceived(HEAD + b"1234")
    exchange.connectionLost(Failure(ConnectionLost()))
    assert failure_of(exchange.over).status == 56


def test_the_caller_s_own_error_comes_back() -> None:
    """What the taker of the events raises ends the fetch, and is what it raises."""

    def full(event: object) -> None:
        if isinstance(event, Head):
            raise OSError("no space left")

    exchange, transport = connected(MemoryReactorClock(), full)
    exchange.dataReceived(HEAD)
    assert transport.disconnected
    exchange.connectionLost(Failure(ConnectionDone()))
    caught: list[Any] = []
    exchange.over.addErrback(caught.append)
    with pytest.raises(OSError, match="no space"):
        caught[0].raiseException()


def test_the_request() -> None:
    """The request is whole, names the host, and asks for a close."""
    _, transport = connected(MemoryReactorClock(), ignore)
    lines = transport.value().split(b"\r\n")
    assert lines[:2] == [b"GET /x HTTP/1.1", b"Host: lab"]
    assert b"Connection: close" in lines
    assert lines[-2:] == [b"", b""]
