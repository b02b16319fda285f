"""netlabsvc.chat.outlet: what waits for one client, on a real connection."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from netlabsvc.chat.outlet import Outlet, tune

reactor: Any = _reactor


class Server(Protocol):
    """A connection with an outlet."""

    transport: Any

    def __init__(self) -> None:
        self.made: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.outlet = Outlet(self.transport)
        assert self.outlet.sock is not None
        tune(self.outlet.sock, 64 * 1024)
        self.made.callback(None)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Outlet, Server, socket.socket]]:
    """An outlet, its connection, and the client's end as a blocking socket."""
    server = Server()
    port = reactor.listenTCP(0, Factory.forProtocol(lambda: server), interface="127.0.0.1")
    client = socket.create_connection(("127.0.0.1", port.getHost().port), 20)
    try:
        await server.made
        yield server.outlet, server, client
    finally:
        client.close()
        server.transport.abortConnection()
        await port.stopListening()


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(1 << 20), b""))


@pytest_twisted.ensureDeferred
async def test_everything_arrives_in_order_through_a_full_kernel() -> None:
    """Pieces of all sizes, far more than the kernel holds; then the end."""
    pieces = [bytes([n % 251]) * (n * 3701 % 200_000) for n in range(100)]
    async with connected() as (outlet, server, client):
        sank: list[int] = []
        outlet.sank = lambda: sank.append(outlet.queued_bytes)
        for piece in pieces:
            outlet.send(piece)
        assert outlet.queued_bytes > 1_000_000
        outlet.finish(server.transport.loseConnection)
        assert await deferToThread(read_all, client) == b"".join(pieces)
        assert outlet.queued_bytes == 0
        assert sank == sorted(sank, reverse=True)


@pytest_twisted.ensureDeferred
async def test_the_bytes_that_arrived_are_known_while_the_peer_does_not_read() -> None:
    """They stop growing, and what waits plus what arrived is what was sent."""
    async with connected() as (outlet, _, client):
        for _ in range(64):
            outlet.send(b"x" * 65536)
        before = -1
        while outlet.arrived_bytes() != before:
            before = outlet.arrived_bytes()
            await deferToThread(lambda: None)
        waiting = outlet.queued_bytes + outlet.unacknowledged_bytes()
        assert 0 < before < 64 * 65536
        assert abs(waiting + before - 64 * 65536) <= 65536  # one piece may be on its way
        assert client.fileno() > 0


@pytest_twisted.ensureDeferred
async def test_sending_to_a_peer_that_has_gone_raises_nothing() -> None:
    """And finishing afterwards calls nobody."""
    async with connected() as (outlet, server, client):
        client.close()
        for _ in range(100):
            outlet.send(b"x" * 65536)
        server.transport.abortConnection()
        await server.lost
        outlet.send(b"x")
        called: list[None] = []
        outlet.finish(lambda: called.append(None))
        assert outlet.unacknowledged_bytes() == 0
        assert not called


@pytest_twisted.ensureDeferred
async def test_a_connection_is_tuned() -> None:
    """No delay, keepalive 60/10/3 s, 60 s for unacknowledged bytes, urgent data in line."""
    async with connected() as (outlet, _, _client):
        assert outlet.sock is not None

        def option(level: int, name: int) -> int:
            assert outlet.sock is not None
            return outlet.sock.getsockopt(level, name)

        tcp, sol = socket.IPPROTO_TCP, socket.SOL_SOCKET
        assert option(tcp, socket.TCP_NODELAY)
        assert option(sol, socket.SO_KEEPALIVE)
        keepalive = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert [option(tcp, name) for name in keepalive] == [60, 10, 3]
        assert option(tcp, socket.TCP_USER_TIMEOUT) == 60_000
        assert option(sol, socket.SO_OOBINLINE)
        assert option(sol, socket.SO_SNDBUF) == 2 * 64 * 1024
