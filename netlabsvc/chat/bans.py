"""The addresses from which nobody may come in."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address


class Bans:
    """A set of addresses, each as peers show it."""

    def __init__(self) -> None:
        self._addresses: set[str] = set()

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._addresses))

    def add(self, address: str) -> None:
        """:raises ValueError: when it is no address."""
        self._addresses.add(_canonical(address))

    def remove(self, address: str) -> None:
        """:raises ValueError: when it is no address; :raises LookupError: when it is not banned."""
        if _canonical(address) not in self._addresses:
            known = ", ".join(self) or "there are none"
            raise LookupError(f"{address} is not kept out; bans: {known}")
        self._addresses.discard(_canonical(address))

    def cover(self, peer: str) -> bool:
        """Whether a peer, ``10.0.0.5:41766`` or ``[::1]:41766``, is kept out."""
        return peer.rpartition(":")[0].strip("[]") in self._addresses


def _canonical(address: str) -> str:
    """An address as peers show it: shortened, and IPv4 mapped into IPv6 as IPv4."""
    try:
        ip = ip_address(address)
    except ValueError:
        raise ValueError(f"{address} is no address; one is 10.0.0.5 or ::1") from None
    return str(getattr(ip, "ipv4_mapped", None) or ip)
