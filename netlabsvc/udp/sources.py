"""Which sources are never answered, whatever they send, and which may have more than others.

A forged source address makes a reflector send where the forger likes. Two of those targets would
answer the reply and so keep both busy for ever: a service that answers anything, and another
reflector. A third would multiply it: a group address.

Sources come as the kernel writes them (raw socket addresses), because a batch has many of them and
mostly the same: what there is to know of each is worked out once.

    IPv4, 16 bytes   family 2 | port 2 | address 4 | zero 8
    IPv6, 28 bytes   family 2 | port 2 | flow 4 | address 16 | scope 4       family, scope: native
"""

from __future__ import annotations

import socket
from collections.abc import Container
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from struct import Struct
from typing import Any

from netlabsvc.udp.tongue import Refusal

#: Services that answer whatever reaches them (IANA's names): echo, daytime, qotd, chargen, time,
#: domain, tftp, sunrpc, ntp, netbios-ns, snmp, ldap, rip, ssdp, irtt, ws-discovery, mdns,
#: memcached. Port 0 can be no one's. 862 (TWAMP, STAMP) is missing on purpose: senders use it.
ANSWERING_PORTS = frozenset(
    (0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 2112, 3702, 5353, 11211)
)
NAME_BYTES = {socket.AF_INET: 16, socket.AF_INET6: 28}
#: With which our replies leave. Hosts begin at 64, 128 or 255, and paths are shorter than 32 hops:
#: what comes with a little less has left a reflector of ours, and is no request.
REPLY_TTL = 191
_FARTHEST_HOPS = 31

_BROADCAST = IPv4Address("255.255.255.255")
#: RFC 1918, RFC 3927; RFC 4193, RFC 4291.
_PRIVATE = [
    *map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")),
    *map(ip_network, ("fc00::/7", "fe80::/10")),
]
_FAMILY = Struct("=H")
_IPV4 = Struct("=2s2s4s8x")
_IPV6 = Struct("=2s2sI16sI")


def unpacked(name: bytes) -> tuple[Any, ...]:
    """The address that `socket.sendto` takes, of a raw one."""
    if len(name) == NAME_BYTES[socket.AF_INET]:
        _, port, host = _IPV4.unpack(name)
        return socket.inet_ntop(socket.AF_INET, host), int.from_bytes(port, "big")
    _, port, flow, host, scope = _IPV6.unpack(name)
    text = socket.inet_ntop(socket.AF_INET6, host)
    return text, int.from_bytes(port, "big"), socket.ntohl(flow), scope


def packed(address: tuple[Any, ...]) -> bytes:
    """The raw address of one that `socket.recvfrom` gave."""
    host = ip_address(address[0].partition("%")[0])
    port = address[1].to_bytes(2, "big")
    if isinstance(host, IPv4Address):
        return _IPV4.pack(_FAMILY.pack(socket.AF_INET), port, host.packed)
    family = _FAMILY.pack(socket.AF_INET6)
    return _IPV6.pack(family, port, socket.htonl(address[2]), host.packed, address[3])


def is_reflected(ttl: int) -> bool:
    """Whether a datagram has left a reflector of ours, by the TTL it came with; 0 tells nothing.

    Nothing in an echoed payload tells who sent it: this ends a loop of two `echo` reflectors.
    """
    return REPLY_TTL - _FARTHEST_HOPS <= ttl <= REPLY_TTL


def _plain(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def is_unicast(host: str) -> bool:
    """Whether an address is that of one host, as far as the address alone tells.

    The broadcast address of a subnet looks like any other; the kernel refuses to send to it.

    :param host: an IPv4 or IPv6 address; IPv4 may come mapped into IPv6.
    """
    address = _plain(host)
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)


class Source:
    """One source, as far as its address tells.

    :ivar address: for `socket.sendto`.
    :ivar refusal: why it is never answered, if it is not.
    :ivar free: whether it may ask at any rate: this machine.
    :ivar may_grow: whether a reply may be longer than its request, within the bounds of the
        protocol: this machine and private networks, and others where that is configured.
    :ivar six: whether it speaks IPv6.
    :ivar block: what its packets are counted by: an IPv4 address, 64 bits of an IPv6 address.
    """

    __slots__ = ("address", "block", "free", "host", "may_grow", "port", "refusal", "six")

    def __init__(self, name: bytes, refused_ports: Container[int], all_may_grow: bool) -> None:
        """:param refused_ports: services that answer anything, and ports of our own."""
        self.address = unpacked(name)
        self.host: str = self.address[0]
        self.port: int = self.address[1]
        plain = _plain(self.host)
        self.six = isinstance(plain, IPv6Address)
        self.refusal: Refusal | None = None
        if self.port in refused_ports:
            self.refusal = Refusal.REFUSED_PORT
        elif not is_unicast(self.host):
            self.refusal = Refusal.REFUSED_ADDRESS
        self.free = plain.is_loopback and self.refusal is None
        near = plain.is_loopback or any(plain in network for network in _PRIVATE)
        self.may_grow = near or all_may_grow
        self.block = plain.packed[:8]
