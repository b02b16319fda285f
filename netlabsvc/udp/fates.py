"""What became of each probe, told by its first reply.

    | fate | first reply                                                          |
    |------|----------------------------------------------------------------------|
    | ok   | before the timeout                                                   |
    | late | later: no loss, but no part of the figures of round trips either     |
    | lost | none, and the timeout has passed                                     |
    | open | none yet, and the timeout has not passed: nothing is known of it     |

Any further reply of the same number is a duplicate (RFC 5560) and changes no fate. A reply is
reordered (RFC 4737) where one to a later probe came before it. The round trip is

    RTT = (T4 - T1) - (T3 - T2)

and T4 - T1 where the server does not tell both of its times, or tells nonsense: a stay of less
than nothing, or of more than all. Whether a reply is late is judged by T4 - T1.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from netlabsvc.udp.trace import Reply, Trace


class Fate(StrEnum):
    """What became of a probe."""

    OK = "ok"
    LATE = "late"
    LOST = "lost"
    OPEN = "open"


class Direction(StrEnum):
    """Of a path: the requests go up, the replies come down."""

    UP = "up"
    DOWN = "down"


class Flags(NamedTuple):
    """What is to be said of one reply as it comes."""

    rtt_ns: int
    late: bool
    duplicate: bool
    reordered: bool


class Outcome(NamedTuple):
    """What became of one probe."""

    seq: int
    sent_ns: int
    fate: Fate
    rtt_ns: int | None
    """Of its first reply, in time or late."""
    reply: Reply | None
    """The first."""
    duplicates: int
    reordered: bool
    lost_direction: Direction | None
    """Where a lost one was lost; None where that is not certain."""


def stay_ns(reply: Reply, whole_ns: int) -> int | None:
    """How long the server kept a probe, T3 - T2; None where it does not say so, or cannot have.

    :param whole_ns: T4 - T1.
    """
    if reply.received_ns is None or reply.replied_ns is None:
        return None
    stay = reply.replied_ns - reply.received_ns
    return stay if 0 <= stay <= whole_ns else None


class Running:
    """The replies of a run as they come: each is judged by those before it alone.

    :param trace: its probes may still grow.
    """

    def __init__(self, trace: Trace) -> None:
        self._probes, self._timeout_ns = trace.probes, trace.timeout_ns
        self._highest = 0
        #: Each probe that was answered: its first reply, what was said of it, how many more came.
        self.first: dict[int, tuple[Reply, Flags]] = {}
        self.copies: dict[int, int] = {}

    def arrived(self, reply: Reply) -> Flags:
        """Take note of a reply to a probe that has left.

        :raises IndexError: where no probe of this number has left.
        """
        seq = reply.seq
        whole_ns = reply.arrived_ns - self._probes[seq - 1].sent_ns
        rtt_ns = whole_ns - (stay_ns(reply, whole_ns) or 0)
        duplicate = seq in self.first
        reordered = seq < self._highest and not duplicate
        flags = Flags(rtt_ns, whole_ns >= self._timeout_ns, duplicate, reordered)
        if duplicate:
            self.copies[seq] = self.copies.get(seq, 0) + 1
        else:
            self.first[seq] = (reply, flags)
            self._highest = max(self._highest, seq)
        return flags


def known(trace: Trace) -> list[Reply]:
    """The replies to probes of this run, in the order of arrival."""
    sent = len(trace.probes)
    return [reply for reply in trace.replies if 0 < reply.seq <= sent]


def outcomes(trace: Trace) -> list[Outcome]:
    """What became of each probe, in the order of sending; no direction is told yet."""
    running = Running(trace)
    for reply in known(trace):
        running.arrived(reply)
    told = []
    for seq, probe in enumerate(trace.probes, 1):
        first = running.first.get(seq)
        if first is None:
            over = trace.ended_ns - probe.sent_ns >= trace.timeout_ns
            fate = Fate.LOST if over else Fate.OPEN
            told.append(Outcome(seq, probe.sent_ns, fate, None, None, 0, False, None))
            continue
        reply, flags = first
        fate, copies = (Fate.LATE if flags.late else Fate.OK), running.copies.get(seq, 0)
        told.append(
            Outcome(*(seq, probe.sent_ns, fate, flags.rtt_ns, reply, copies, flags.reordered, None))
        )
    return told
