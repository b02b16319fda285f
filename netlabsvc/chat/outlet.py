"""What waits to be sent to one client, and how much of it has arrived.

The queue holds references to bytes that all clients of a room share: a slow reader costs memory
for a list, not for a copy. While nothing waits, bytes go to the socket at once instead of at the
next turn of the reactor: that takes a third of the time. The kernel's part of the queue counts:
Linux holds up to some MB for a peer that stopped reading.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IPushProducer, ISSLTransport
from zope.interface import implementer

from netlabsvc.connections import acknowledged_bytes, plain_socket, unacknowledged_bytes

#: How much is handed to the transport at a time.
PIECE_BYTES = 64 * 1024


def tune(sock: socket.socket, send_buffer_bytes: int) -> None:
    """Set what a chat connection needs: no delay, dead peers noticed, a bounded kernel queue."""
    tcp = socket.IPPROTO_TCP
    options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)]
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        options += [
            (tcp, socket.TCP_NODELAY, 1),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (tcp, socket.TCP_KEEPIDLE, 60),
            (tcp, socket.TCP_KEEPINTVL, 10),
            (tcp, socket.TCP_KEEPCNT, 3),
            (tcp, socket.TCP_USER_TIMEOUT, 60_000),
            # telnet's synch sends its DM as urgent data, which else would be lost.
            (socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
        ]
    for level, name, value in options:
        with suppress(OSError):  # the peer may be gone already
            sock.setsockopt(level, name, value)


@implementer(IPushProducer)
class Outlet:
    """The sending side of one connection.

    :ivar queued_bytes: what is not in the kernel yet.
    :ivar rose: called whenever `queued_bytes` has become more.
    :ivar sank: called whenever `queued_bytes` has become less.
    """

    __slots__ = (
        "_busy",
        "_direct",
        "_finish",
        "_free",
        "_handed",
        "_left_bytes",
        "_queue",
        "_transport",
        "queued_bytes",
        "rose",
        "sank",
        "sock",
    )

    def __init__(self, transport: Any) -> None:
        self.sock = plain_socket(transport)
        self.queued_bytes = 0
        self.rose: Callable[[], None] = nothing
        self.sank: Callable[[], None] = nothing
        self._transport = transport
        self._direct = self.sock is not None and not ISSLTransport.providedBy(transport)
        self._queue: deque[bytes | memoryview] | None = None
        self._busy = False
        self._free = self._direct  # nothing waits: what comes goes to the socket at once
        self._handed = 0
        self._left_bytes = 0
        self._finish: Callable[[], None] | None = None
        # Over TCP the transport asks for more whenever it has sent all (a pull producer). Over TLS
        # it says when it has enough: pulling would keep Twisted's TLS busy with asking.
        transport.registerProducer(self, not self._direct)

    def send(self, data: bytes | memoryview) -> None:
        """Send, or queue; never raises. After `finish` nothing is taken any more.

        Every copy of every message comes through here: it is as short as it can be.
        """
        if self._free:
            try:
                sent = self.sock.send(data)  # type: ignore[union-attr]
            except BlockingIOError:
                sent = 0
            except OSError:
                # The connection is gone. Who is held is not read from, so nobody else would notice.
                self._transport.abortConnection()
                return
            if sent == len(data):
                return
            self._left_bytes += sent
            data = memoryview(data)[sent:]
        if self._finish is None:
            self._free = False
            if self._queue is None:
                self._queue = deque()
            self._queue.append(data)
            self.queued_bytes += len(data)
            self._pump()
            if self.queued_bytes:
                self.rose()

    def finish(self, then: Callable[[], None]) -> None:
        """Send what waits, then call `then`, once; a connection that is lost calls nothing."""
        if self._finish is None:
            self._finish = then
            self._free = False
            if not self.queued_bytes:
                self._transport.unregisterProducer()
                then()

    def unacknowledged_bytes(self) -> int:
        """What the kernel holds for the peer."""
        return unacknowledged_bytes(self.sock)

    def arrived_bytes(self) -> int:
        """How many bytes have arrived, or where that cannot be known have left for the kernel.

        It grows while something is queued and the peer reads.
        """
        acknowledged = acknowledged_bytes(self.sock)
        return self._left_bytes if acknowledged is None else acknowledged

    def _pump(self) -> None:
        """Hand pieces to the transport while it takes them."""
        while self._queue and not self._busy:
            piece = self._take(PIECE_BYTES)
            self._handed = len(piece)
            self._busy = self._direct  # until the transport has sent it and asks for more
            self._transport.write(piece)
            if not self._direct:
                self._account()

    def _account(self) -> None:
        """What was handed over has left."""
        self.queued_bytes -= self._handed
        self._left_bytes += self._handed
        self._handed = 0

    def _take(self, limit: int) -> bytes:
        """Take up to `limit` bytes off the queue."""
        assert self._queue
        parts: list[bytes | memoryview] = []
        room = limit
        while self._queue and room > 0:
            part = self._queue.popleft()
            if len(part) > room:
                view = memoryview(part)
                self._queue.appendleft(view[room:])
                part = view[:room]
            parts.append(part)
            room -= len(part)
        return b"".join(parts)

    def resumeProducing(self) -> None:
        """The transport has sent what it was handed, or can take more."""
        self._busy = False
        self._account()
        self._pump()
        if self._finish is not None and not self.queued_bytes:
            self._transport.unregisterProducer()
            self._finish()
        self._free = self._direct and not self._busy and not self._queue and not self._finish
        # Last: whoever is released by it may send again.
        self.sank()

    def pauseProducing(self) -> None:
        """The transport has enough for now."""
        self._busy = True

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._finish = nothing
        self._free = False
        self._queue = None
        self.queued_bytes = 0


def nothing() -> None:
    """What is done when nobody asked, or when a connection was lost before its last bytes left."""
