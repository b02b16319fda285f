"""An endpoint whose connections a test makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from zope.interface import implementer


@implementer(IStreamClientEndpoint)
class Server:
    """An endpoint; a test says when an attempt to connect succeeds, and when it is over.

    :ivar attempts: one for each time that somebody wanted to connect.
    """

    def __init__(self, transport: Callable[[], StringTransport] = StringTransport) -> None:
        """:param transport: makes the transport of each connection."""
        self.transport = transport
        self.attempts: list[Deferred[IProtocol]] = []
        self._factories: list[IProtocolFactory] = []

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        self.attempts.append(Deferred())
        self._factories.append(factory)
        return self.attempts[-1]

    def accept(self) -> Any:
        protocol = self._factories[-1].buildProtocol(IPv4Address("TCP", "127.0.0.1", 12000))
        assert isinstance(protocol, Protocol)
        protocol.makeConnection(self.transport())
        self.attempts[-1].callback(protocol)
        return protocol

    def refuse(self) -> None:
        self.attempts[-1].errback(ConnectionRefusedError())
