"""Who may read what only this machine should see by default: ``loopback``, ``all`` or ``off``."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address


def may_read(word: str, host: str | None) -> bool:
    """Whether a peer gets an answer.

    :param word: what the configuration says.
    :param host: its address; None on a Unix socket, which only this machine can open.
    """
    if word == "all" or host is None:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
