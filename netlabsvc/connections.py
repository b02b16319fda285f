"""The live connections of one listener: how many there are, and when the last one has gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred

P = TypeVar("P")


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
