"""Which sources are never answered, whatever they send.

A forged source address makes a reflector send where the forger likes. Two of those targets would
answer the reply and so keep both busy for ever: a service that answers anything, and another
reflector. A third would multiply it: a group address.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

#: Services that answer whatever reaches them (IANA's names): echo, daytime, qotd, chargen, time,
#: domain, tftp, sunrpc, ntp, netbios-ns, snmp, ldap, rip, ssdp, irtt, ws-discovery, mdns,
#: memcached. Port 0 can be no one's. 862 (TWAMP, STAMP) is missing on purpose: senders use it.
ANSWERING_PORTS = frozenset(
    (0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137, 161, 389, 520, 1900, 2112, 3702, 5353, 11211)
)

_BROADCAST = IPv4Address("255.255.255.255")


@lru_cache(maxsize=4096)
def is_unicast(host: str) -> bool:
    """Whether an address is that of one host, as far as the address alone tells.

    The broadcast address of a subnet looks like any other; the kernel refuses to send to it.

    :param host: an IPv4 or IPv6 address as the kernel writes it; IPv4 may come mapped into IPv6.
    """
    address = ip_address(host)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)
