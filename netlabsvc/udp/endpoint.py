"""A connected UDP socket that knows when its datagrams left and came.

Connected, so that the kernel takes replies from the probed address only and hands on what ICMP
says about it. Where the kernel tells times, they are on its wall clock; where it does not, there
are none, and `why` says so.

The reactor watches an epoll descriptor with the socket in it: a socket with time stamps in its
error queue reports an error, which Twisted would take for the end of a connection.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from netlabsvc.connections import host_port
from netlabsvc.udp import kernel

BUFFER_BYTES = 65536
#: What may wait to be read, as the kernel counts it.
RECEIVE_BYTES = 1 << 20
#: How many replies are read before the schedule has its turn.
BATCH = 64


@dataclass(frozen=True)
class Address:
    """An address to probe, as `socket.getaddrinfo` gives it."""

    family: socket.AddressFamily
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        """``127.0.0.1:12000``, ``[::1]:12000``."""
        return host_port(self.sockaddr[0], self.sockaddr[1])


class Datagram(NamedTuple):
    """One that came."""

    data: bytes
    #: When, in Unix nanoseconds; 0 where the kernel does not tell.
    at_ns: int
    #: 0 where that is not known.
    ttl: int


class Endpoint:
    """The socket.

    :param stamps: whether to ask the kernel for times.
    :ivar why: why the kernel's times are not to be had, a clause for people; empty where they are.
    """

    def __init__(self, address: Address, stamps: bool = True) -> None:
        self._address = address
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        with suppress(OSError):  # as much as the system allows
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        self.why = "this system's kernel tells no times"
        if stamps and kernel.ask(self._socket) and kernel.ask_departures(self._socket):
            self.why = ""
        self._epoll: Any = None
        if hasattr(select, "epoll"):
            self._epoll = select.epoll()
            self._epoll.register(self._socket, select.EPOLLIN | select.EPOLLERR)

    def connect(self) -> None:
        """Choose the peer.

        :raises OSError: when there is no way to it.
        """
        self._socket.connect(self._address.sockaddr)

    def send(self, data: bytes) -> None:
        """Send one datagram.

        :raises OSError: when it cannot be sent, or ICMP has refused an earlier one.
        """
        self._socket.send(data)

    def left(self) -> Iterator[tuple[int, int]]:
        """Number (from 0) and time (Unix nanoseconds) of what has left since it was last asked."""
        return kernel.departures(self._socket)

    def came(self) -> Iterator[Datagram]:
        """What has come, a batch at most.

        :raises OSError: at its end, when ICMP refuses: the kernel tells that first, though replies
            may be queued behind it.
        """
        refused: OSError | None = None
        for _ in range(BATCH):
            try:
                data, messages, _, _ = self._socket.recvmsg(BUFFER_BYTES, kernel.SINGLE_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                refused = error
                continue
            yield Datagram(data, *kernel.arrival(messages))
        if refused is not None:
            raise refused

    def drops(self) -> int:
        """How many replies were lost in this machine, as they came faster than they were read."""
        return kernel.drops(self._socket)

    def error(self) -> int:
        """The number of the error that is pending on the socket; 0 where none is."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def fileno(self) -> int:
        """What the reactor is to watch; -1 when it is closed."""
        return int((self._epoll or self._socket).fileno())

    def close(self) -> None:
        """Let go of it."""
        if self._epoll is not None:
            self._epoll.close()
        self._socket.close()
