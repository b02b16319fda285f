"""The classic reply: the server's clock, one space, and the payload as it came.

    +------------------------------------------------+-------+---------------------+
    | milliseconds since the Unix epoch, ASCII digits | 0x20  | payload, never cut  |
    +------------------------------------------------+-------+---------------------+

It knows bytes and a time. Who asked, and whether one should answer, is no business of its own.
"""

from __future__ import annotations

import re

#: The most that one datagram carries: 65535 bytes less the headers of UDP (8) and, on IPv4 whose
#: length field counts it, of IP (20). RFC 768, RFC 791, RFC 8200.
MAX_IPV4_BYTES = 65507
MAX_IPV6_BYTES = 65527

_TWO_STAMPS = re.compile(rb"(?:[0-9]{13,19} ){2}")


def reply(payload: bytes, now_ns: int, limit_bytes: int) -> bytes | None:
    """The reply to a payload, or None where it does not fit into one datagram.

    :param now_ns: nanoseconds since the Unix epoch.
    """
    stamped = b"%d %s" % (now_ns // 1_000_000, payload)
    return stamped if len(stamped) <= limit_bytes else None


def bounced(payload: bytes) -> bool:
    """Whether a payload has been through two reflectors: it begins with two of their stamps.

    One forged packet would otherwise keep two reflectors on different ports answering each other.
    """
    return _TWO_STAMPS.match(payload) is not None
