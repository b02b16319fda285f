"""The door to `twisted.mail.smtp`, which cannot be walked in by without two side effects.

When imported it asks the resolver for this host's name and encodes that as ASCII (an ImportError
on a host called küche, seconds of waiting where DNS is away), and it imports, that is installs,
the default reactor. Both serve parts that are not used here: `DNSNAME`, and a default argument of
`sendmail`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from twisted import internet

__all__ = ["ESMTPClient"]


@contextmanager
def _no_side_effects() -> Iterator[None]:
    """Give what the import asks for, and take it away again."""
    getfqdn = socket.getfqdn
    installed = hasattr(internet, "reactor")
    socket.getfqdn = lambda name="": "localhost"
    if not installed:
        vars(internet)["reactor"] = None
    try:
        yield
    finally:
        socket.getfqdn = getfqdn
        if not installed:
            del vars(internet)["reactor"]


with _no_side_effects():
    from twisted.mail.smtp import ESMTPClient
