"""The text probe, and which reply belongs to which probe.

    request   Ping <n> <time>     n from 1, without leading zeros; seconds since the epoch, six
                                  decimals: "Ping 7 1700000000.123456"

A reply belongs to the probe whose ``Ping <n>`` it carries, anywhere and in either case: servers
put a time stamp before the payload, cut off its end, or turn it into capitals. It knows no socket
and reads no clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netlabsvc.udp.stats import Probe

# Ten digits at most: a hostile reply must not cost the conversion of sixty thousand.
_NUMBER = re.compile(rb"ping ([1-9][0-9]{0,9})(?![0-9])", re.IGNORECASE)


def request(seq: int, now_ns: int) -> bytes:
    """The probe of a number.

    :param now_ns: nanoseconds since the Unix epoch.
    """
    seconds, ns = divmod(now_ns, 1_000_000_000)
    return b"Ping %d %d.%06d" % (seq, seconds, ns // 1000)


def number(reply: bytes, sent: int) -> int | None:
    """The number of the probe that a reply belongs to, or None where it belongs to none.

    A number at the very end may have lost digits to a server that cuts: "Ping 1" is no reply to
    the first probe any more once the tenth has left.

    :param sent: the highest number sent so far.
    """
    found = _NUMBER.search(reply)
    if found is None:
        return None
    seq = int(found[1])
    maybe_cut = found.end() == len(reply) and seq * 10 <= sent
    return seq if seq <= sent and not maybe_cut else None


@dataclass(frozen=True)
class Arrival:
    """A reply that belongs to a probe."""

    seq: int
    size_bytes: int
    rtt_ns: int
    late: bool
    duplicate: bool


class Ledger:
    """Which probes have left, and what came back for each."""

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self.probes: list[Probe] = []
        #: The deadlines of those without an answer, by number: the oldest first.
        self._open: dict[int, int] = {}

    def send(self, now_ns: int) -> int:
        """Write down that the next probe leaves now; returns its number."""
        seq = len(self.probes) + 1
        self.probes.append(Probe(seq, now_ns))
        self._open[seq] = now_ns + self._timeout_ns
        return seq

    def receive(self, reply: bytes, now_ns: int) -> Arrival | None:
        """Write down a reply; None for one that belongs to no probe."""
        seq = number(reply, len(self.probes))
        if seq is None:
            return None
        probe = self.probes[seq - 1]
        duplicate = bool(probe.arrivals_ns)
        probe.arrivals_ns.append(now_ns)
        self._open.pop(seq, None)
        rtt_ns = now_ns - probe.sent_ns
        return Arrival(seq, len(reply), rtt_ns, rtt_ns >= self._timeout_ns, duplicate)

    def expire(self, now_ns: int) -> list[int]:
        """The numbers whose deadline has come without an answer; each is told once."""
        expired = []
        while (deadline_ns := self.next_deadline_ns()) is not None and deadline_ns <= now_ns:
            expired.append(next(iter(self._open)))
            del self._open[expired[-1]]
        return expired

    def next_deadline_ns(self) -> int | None:
        """When the oldest probe that is neither answered nor expired will expire."""
        return next(iter(self._open.values()), None)
