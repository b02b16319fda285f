"""A sandbox on a real socket, and a peer that says what a test tells it to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import reactor as default_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory as ProtocolFactory
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.record import Verdict
from netlabsvc.mail.sandbox import Factory
from netlabsvc.mail.settings import Sandbox
from netlabsvc.mail.store import Store

reactor: Any = default_reactor


@dataclass
class Running:
    """A sandbox that listens, and its mail."""

    factory: Factory
    port: int
    directory: Path

    def messages(self) -> list[bytes]:
        """All messages in the store, the oldest first; attempts have none."""
        with Mailbox(self.directory) as mailbox:
            page = reversed(mailbox.page(limit=1000))
            return [mailbox.source(entry.id) for entry in page if entry.verdict is Verdict.KEPT]


@asynccontextmanager
async def sandbox(directory: Path, clock: Any = reactor, **settings: Any) -> AsyncIterator[Running]:
    """Listen on a free port of 127.0.0.1 until the block ends; time is that of `clock`."""
    in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    store = Store(directory, in_thread, soon=partial(reactor.callLater, 0))
    factory = Factory(Sandbox(**settings), store, clock, "lab.example")
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
    try:
        yield Running(factory, port.getHost().port, directory)
    finally:
        await port.stopListening()
        factory.abort()
        await factory.connections.all_gone()
        await store.close()


class Peer(Protocol):
    """Keeps what it hears; what was not heard yet can be waited for."""

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.gone: Deferred[None] = Deferred()
        self._awaited: tuple[bytes, Deferred[bytes]] | None = None

    def say(self, data: bytes) -> None:
        self.transport.write(data)

    def hears(self, end: bytes) -> Deferred[bytes]:
        """Everything up to and with `end`, as soon as it is there."""
        found: Deferred[bytes] = Deferred()
        found.addTimeout(10, reactor)
        self._awaited = end, found
        self._look()
        return found

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._look()

    def _look(self) -> None:
        if self._awaited and self._awaited[0] in self.heard:
            (end, found), self._awaited = self._awaited, None
            place = self.heard.index(end) + len(end)
            told, self.heard = self.heard[:place], self.heard[place:]
            found.callback(told)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


async def connect(port: int) -> Peer:
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    peer: Peer = await connectProtocol(endpoint, Peer())
    return peer


@asynccontextmanager
async def listening(
    *script: Any, heard: list[bytes] | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """A server for one connection that plays a script; gives its port.

    Bytes are said, text is waited for from the client, None closes.

    :param heard: gets all that the client says.
    """

    async def play(peer: Peer) -> None:
        for step in script:
            if isinstance(step, bytes):
                peer.say(step)
            elif step is None:
                peer.transport.loseConnection()
            else:
                await peer.hears(step.encode())

    peers: list[Peer] = []

    class Playing(Peer):
        def connectionMade(self) -> None:
            peers.append(self)
            Deferred.fromCoroutine(play(self)).addErrback(lambda failure: None)

        def dataReceived(self, data: bytes) -> None:
            if heard is not None:
                heard.append(data)
            super().dataReceived(data)

    endpoint = TCP4ServerEndpoint(reactor, port, interface=host)
    listener = await endpoint.listen(ProtocolFactory.forProtocol(Playing))
    try:
        yield listener.getHost().port
    finally:
        await listener.stopListening()
        for peer in peers:
            peer.transport.abortConnection()
