"""Who may look into the inbox, and from which page: Host, Origin and Sec-Fetch-Site (RFC 9110).

    a name in Host that is not ours     a stranger's page made its name point here (DNS rebinding)
    an Origin that is not the Host's    a stranger's page sends our forms, or listens to our events

A page's form says ``Origin: null`` where Referrer-Policy is no-referrer (Fetch standard), so each
form of ours carries a token that no other page can read. It knows no sockets.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from ipaddress import IPv6Address, ip_address


def bare_host(host: str) -> str:
    """The name or address in a Host header, in lower case, without port, brackets, last dot."""
    name = host.strip().casefold()
    if name.startswith("["):
        address, _, rest = name[1:].partition("]")
        return address if not rest or rest.startswith(":") else name
    return name.rpartition(":")[0].rstrip(".") if ":" in name else name.rstrip(".")


def host_is_ours(host: str, local: str, names: Collection[str]) -> bool:
    """Whether Host names this machine.

    :param host: the header's value.
    :param local: the address on which the connection arrived, "" on a Unix socket.
    :param names: more names that are ours, as configured; ``*`` takes every name.
    """
    name = bare_host(host)
    if "*" in names or name == "localhost" or name.endswith(".localhost"):
        return True
    if name in map(bare_host, names):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or _plain(name) == _plain(local)


def origin_is_ours(origin: str | None, fetch_site: str | None, host: str, *, secure: bool) -> bool:
    """Whether a request that listens may have been made by a page of ours, or by no page at all.

    :param origin: the header, None without one.
    :param fetch_site: the header Sec-Fetch-Site, which no page can forge.
    """
    if origin is not None and origin != "null":
        scheme = "https" if secure else "http"
        return origin.casefold() == f"{scheme}://{host.strip().casefold()}"
    return fetch_site in (("same-origin",) if origin else ("same-origin", "none", None))


def form_is_ours(origin: str | None, host: str, token: str, secret: str, *, secure: bool) -> bool:
    """Whether a form was one of our pages': by its Origin, or else by its token."""
    if origin is not None and origin != "null":
        return origin_is_ours(origin, None, host, secure=secure)
    return hmac.compare_digest(token.encode("utf-8", "replace"), secret.encode())


def _plain(address: str) -> str:
    """An address in one way of writing: without zone, an IPv4-mapped one as IPv4."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
