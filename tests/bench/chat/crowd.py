"""A crowd of chat clients in one loop over epoll: the load that a hub is measured with.

It must take less time than the hub it measures: what arrives is read into one buffer and handed to
what listens on that client, in pieces as large as the kernel has them.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType

from .servers import Server

#: Called with the buffer and how many bytes of it have arrived.
Ear = Callable[[bytearray, int], None]
BUFFER_BYTES = 256 * 1024
_RESET = struct.pack("ii", 1, 0)


def deaf(buffer: bytearray, size: int) -> None:
    """An ear for what is of no interest."""


class Client:
    """One connection.

    :ivar heard: bytes that arrived.
    :ivar open: false when the server has ended it.
    """

    __slots__ = ("_unsent", "ear", "heard", "open", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.ear: Ear = deaf
        self.heard = 0
        self.open = True
        self._unsent = memoryview(b"")

    @property
    def sending(self) -> bool:
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Send, or keep what the kernel does not take; the crowd goes on with it."""
        self._unsent = memoryview(bytes(self._unsent) + data)
        self.push()

    def push(self) -> None:
        try:
            self._unsent = self._unsent[self.sock.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = memoryview(b"")  # the next read tells


class Crowd:
    """Clients of one server.

    :ivar heard_s: when something last arrived (monotonic).
    """

    def __init__(self, server: Server, port: int) -> None:
        self.clients: list[Client] = []
        self.heard_s = 0.0
        self._server = server
        self._address = ("127.0.0.1", port)
        self._epoll = select.epoll()
        self._by_descriptor: dict[int, Client] = {}
        self._buffer = bytearray(BUFFER_BYTES)

    def connect(self) -> Client:
        """Begin a connection; the server's greeting has not come when this returns."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect_ex(self._address)
        client = Client(sock)
        self._by_descriptor[sock.fileno()] = client
        self._epoll.register(sock, select.EPOLLIN)
        self.clients.append(client)
        if hello := self._server.hello(len(self.clients)):
            self.send(client, hello)
        return client

    def join(self, count: int, at_once: int = 1, patience_s: float = 30.0) -> list[Client]:
        """Connect clients, `at_once` at a time, each set when the one before is greeted.

        :raises TimeoutError: when that takes longer than `patience_s` for one set.
        """
        first = len(self.clients)
        while (done := len(self.clients) - first) < count:
            new = [self.connect() for _ in range(min(at_once, count - done))]
            if not self.run(partial(_greeted, new), patience_s):
                missing = sum(not c.heard for c in new)
                raise TimeoutError(f"{missing} of {len(new)} not greeted within {patience_s:g} s")
        return self.clients[first:]

    def send(self, client: Client, data: bytes) -> None:
        client.send(data)
        if client.sending:
            self._epoll.modify(client.sock, select.EPOLLIN | select.EPOLLOUT)

    def say(self, client: Client, text: bytes) -> None:
        """Say one line."""
        self.send(client, self._server.say(text))

    def turn(self, timeout_s: float) -> None:
        """Wait until something can be read or sent, and do it."""
        for descriptor, events in self._epoll.poll(timeout_s):
            client = self._by_descriptor[descriptor]
            if events & select.EPOLLOUT:
                client.push()
                if not client.sending:
                    self._epoll.modify(descriptor, select.EPOLLIN)
            if events & ~select.EPOLLOUT:
                self._read(client)

    def _read(self, client: Client) -> None:
        try:
            size = client.sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size:
            client.heard += size
            client.ear(self._buffer, size)
            self.heard_s = time.monotonic()
        else:
            client.open = False
            self._epoll.unregister(client.sock)

    def run(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Go on until `done`; false when that takes too long."""
        until_s = time.monotonic() + limit_s
        while not done():
            if time.monotonic() > until_s:
                return False
            self.turn(0.1)
        return True

    def settle(self, quiet_s: float = 0.5, limit_s: float = 60.0) -> bool:
        """Go on until nothing has arrived for some time; false when that takes too long."""
        self.heard_s = time.monotonic()
        return self.run(lambda: time.monotonic() - self.heard_s > quiet_s, limit_s)

    def ignore(self, client: Client) -> None:
        """Never read from a client again."""
        self._epoll.unregister(client.sock)

    def cut(self) -> int:
        """How many clients that are read from the server has ended."""
        return sum(not client.open for client in self.clients)

    def close(self) -> None:
        for client in self.clients:
            # Reset: no port stays behind in TIME_WAIT.
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.sock.close()
        self.clients.clear()
        self._epoll.close()

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _greeted(clients: list[Client]) -> bool:
    return all(client.heard for client in clients)


def ended(client: Client) -> bool:
    """Whether the server has ended a connection that nobody reads from."""
    poll = select.poll()
    poll.register(client.sock, 0)
    return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))
