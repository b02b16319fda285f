"""What every TCP room needs of its connections: who is still there, what they are called, and how
much has reached them.
"""

from __future__ import annotations

import socket
import struct
import termios
from collections.abc import Iterator
from contextlib import suppress
from fcntl import ioctl
from typing import Any, Generic, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred

P = TypeVar("P")
#: struct tcp_info of linux/tcp.h: tcpi_bytes_acked stands at byte 120 (since Linux 4.1).
_BYTES_ACKED = struct.Struct("=120xQ")
_INT = struct.Struct("=i")


class Connections(Generic[P]):
    """A set of protocols. Each adds itself when it is made and discards itself when it is lost."""

    def __init__(self) -> None:
        self._live: dict[P, None] = {}
        self._waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[P]:
        """Every live connection, oldest first; they may leave while one iterates."""
        return iter(tuple(self._live))

    def add(self, connection: P) -> None:
        self._live[connection] = None

    def discard(self, connection: P) -> None:
        self._live.pop(connection, None)
        if not self._live:
            waiting, self._waiting = self._waiting, []
            for gone in waiting:
                gone.callback(None)

    def all_gone(self) -> Deferred[None]:
        """Fires when no connection is left; at once when there is none."""
        gone: Deferred[None] = Deferred()
        if self._live:
            self._waiting.append(gone)
        else:
            gone.callback(None)
        return gone


def host_port(host: str, port: int) -> str:
    """``10.0.0.5:41766`` or ``[fe80::1]:41766``; an IPv4 address mapped into IPv6 shows as IPv4."""
    host = host.removeprefix("::ffff:") if "." in host else host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def peer_name(address: Any) -> str:
    """The address of a peer for people: ``10.0.0.5:41766``; ``unix`` for a Unix socket's."""
    if isinstance(address, IPv4Address | IPv6Address):
        return host_port(address.host, address.port)
    return "unix"


def host_of(address: Any) -> str:
    """The address without its port: ``10.0.0.5``; ``unix`` for a Unix socket's."""
    if isinstance(address, IPv4Address | IPv6Address):
        return address.host.removeprefix("::ffff:") if "." in address.host else address.host
    return "unix"


def plain_socket(transport: Any) -> socket.socket | None:
    """The socket below a transport, also below TLS; None where it is closed, or never was one."""
    while transport is not None:
        try:
            handle = transport.getHandle()
        except AttributeError:  # what Twisted's transports raise when they are closed
            return None
        if isinstance(handle, socket.socket):
            return handle
        transport = getattr(transport, "transport", None)
    return None


def unsent_bytes(transport: Any) -> int:
    """What one of Twisted's TCP transports has been given and not yet handed to the kernel.

    It has no public name for that. Who writes to its socket must know that nothing is before him.
    """
    return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)


def acknowledged_bytes(sock: socket.socket | None) -> int | None:
    """How many bytes the peer's kernel has taken in all; None where that cannot be known.

    Our own buffers say nothing of a peer: they are as full for one that reads slowly as for one
    that stopped. This count grows as long as the peer reads.
    """
    try:
        if sock is None or sock.fileno() < 0:
            return None
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED.size)
        return int(_BYTES_ACKED.unpack(info)[0])
    except (OSError, struct.error):
        return None


def unacknowledged_bytes(sock: socket.socket | None) -> int:
    """What our kernel holds for the peer (TIOCOUTQ)."""
    with suppress(OSError):
        if sock is not None and sock.fileno() >= 0:
            return int(_INT.unpack(ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0])
    return 0
