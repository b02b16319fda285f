"""The classic reflector: the server's clock and the payload, or the payload alone.

    +---------------------------------------------+-------+---------------------+
    | time since the Unix epoch, ASCII digits     | 0x20  | payload, never cut  |
    +---------------------------------------------+-------+---------------------+
      timestamp     13 digits, milliseconds
      timestamp-us  16 digits, microseconds
      timestamp-ns  19 digits, nanoseconds

    echo            the payload alone (RFC 862)
    upper           the payload alone, ASCII letters in upper case (the textbooks' server)

It knows bytes and a time. Who asked, and whether one should answer, is no business of its own. A
reflection of `echo` or `upper` looks like any request: only rules about sources (its TTL is one of
them) end such a loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from netlabsvc.udp.tongue import Refusal, Tongue

#: The most that one datagram carries: 65535 bytes less the headers of UDP (8) and, on IPv4 whose
#: length field counts it, of IP (20). RFC 768, RFC 791, RFC 8200.
MAX_IPV4_BYTES = 65507
MAX_IPV6_BYTES = 65527
#: The most by which a reply is longer than its request, for centuries.
GROWTH_BYTES = 21

_TWO_STAMPS = re.compile(rb"(?:[0-9]{13,20} ){2}")


class Form(StrEnum):
    """What a reply consists of."""

    TIMESTAMP = "timestamp"
    TIMESTAMP_US = "timestamp-us"
    TIMESTAMP_NS = "timestamp-ns"
    ECHO = "echo"
    UPPER = "upper"


#: Nanoseconds in the unit of a form's time stamp.
_UNIT_NS = {Form.TIMESTAMP: 10**6, Form.TIMESTAMP_US: 10**3, Form.TIMESTAMP_NS: 1}


def bounced(payload: bytes) -> bool:
    """Whether a payload has been through two reflectors: it begins with two of their stamps.

    One forged packet would otherwise keep two reflectors on different ports answering each other.
    """
    return _TWO_STAMPS.match(payload) is not None


class Classic(Tongue):
    """The classic reflector.

    :param limit_bytes: what fits into one datagram: `MAX_IPV4_BYTES` or `MAX_IPV6_BYTES`.
    """

    def __init__(self, form: Form, limit_bytes: int) -> None:
        self.form = form
        self.limit_bytes = limit_bytes
        self._unit_ns = _UNIT_NS.get(form, 0)

    @property
    def stamps(self) -> bool:
        """Whether a reply shows that it is one."""
        return bool(self._unit_ns)

    def prefix(self, now_ns: int) -> bytes | None:
        """What stands before the payload; None where the payload itself changes.

        For one who sends the payload from where it was received. Such a one asks `bounced` and
        minds `limit_bytes` as `reply` does.
        """
        if self._unit_ns:
            return b"%d " % (now_ns // self._unit_ns)
        return b"" if self.form is Form.ECHO else None

    def reply(
        self,
        data: bytes,
        host: str,
        port: int,
        ttl: int,
        received_ns: int,
        now_ns: Callable[[], int],
        may_grow: bool,
    ) -> bytes | Refusal | None:
        """The reply to a payload; see `Tongue.reply`."""
        unit_ns = self._unit_ns
        if not unit_ns:
            return data if self.form is Form.ECHO else data.upper()
        if _TWO_STAMPS.match(data) is not None:
            return Refusal.LOOP_SUSPECT
        if not may_grow:
            return Refusal.WOULD_GROW
        stamped = b"%d %s" % (now_ns() // unit_ns, data)
        return stamped if len(stamped) <= self.limit_bytes else Refusal.REPLY_TOO_LONG
