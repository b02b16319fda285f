"""Which probes have left, what came back, and which reply belongs to which probe.

    | the server sends back | a reply belongs to                                     |
    |-----------------------|--------------------------------------------------------|
    | numbers               | the probe whose number it carries, however late        |
    | no numbers            | the oldest probe that is open: neither answered nor    |
    |                       | given up, as nothing else can be known                 |

The first reply decides for the run. One with a number decides for good: from then on a reply
without belongs to no probe, and what was given to probes by order before is taken back. So where
there are numbers, no late reply is ever taken for another's. It fills a `Trace`; it knows no
packets and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from netlabsvc.udp.fates import Flags, Running
from netlabsvc.udp.probe import Answer
from netlabsvc.udp.trace import Matching, Probe, Reply, Stamps, Trace


@dataclass(frozen=True, slots=True)
class Replied:
    """A reply that belongs to a probe, and what can be said of it when it comes."""

    reply: Reply
    flags: Flags


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No reply to this probe before its deadline; one that comes later will be told as late."""

    seq: int


Event: TypeAlias = Replied | TimedOut
#: So many copies of one probe's reply are kept: a server that never stops must not fill the memory.
MOST_COPIES = 100


class Ledger:
    """The book of one run; `trace` is what it has written so far."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._decided = False
        #: Deadlines of those neither answered nor given up, by number: the oldest first.
        self._open: dict[int, int] = {}
        self._running = Running(trace)

    def send(self, due_ns: int, now_ns: int, wall_ns: int) -> Probe:
        """Write down that the next probe leaves now."""
        probes = self.trace.probes
        probe = Probe(len(probes) + 1, due_ns, now_ns, wall_ns, wrote_ns=now_ns)
        probes.append(probe)
        self._open[probe.seq] = now_ns + self.trace.timeout_ns
        return probe

    def left(self, seq: int, sent_ns: int, wall_ns: int) -> None:
        """The kernel knows better when a probe left."""
        probe = self.trace.probes[seq - 1]
        probe.sent_ns, probe.sent_wall_ns = sent_ns, wall_ns
        if seq in self._open:
            self._open[seq] = sent_ns + self.trace.timeout_ns

    def receive(
        self, answer: Answer | None, arrived_ns: int, read_ns: int, size_bytes: int, ttl: int = 0
    ) -> Replied | None:
        """Write down a datagram; None for one that belongs to no probe, or is one copy too many.

        :param answer: what it says; None where it is no reply to this run.
        """
        seq = self._probe_of(answer)
        if answer is None or seq is None:
            self.trace.strays += 1
            return None
        if self._running.copies.get(seq, 0) >= MOST_COPIES:
            self.trace.surplus += 1
            return None
        reply = Reply(
            seq,
            arrived_ns,
            size_bytes,
            ttl,
            answer.received_ns,
            answer.replied_ns,
            answer.number,
            read_ns,
        )
        self.trace.replies.append(reply)
        self._open.pop(seq, None)
        return Replied(reply, self._running.arrived(reply))

    def _probe_of(self, answer: Answer | None) -> int | None:
        if answer is None:
            return None
        if answer.seq is not None:
            if self.trace.matching is Matching.ORDER:
                self._take_back()
            self._decided = True
            return answer.seq
        if self._decided and self.trace.matching is Matching.NUMBER:
            return None
        oldest = next(iter(self._open), None)
        if oldest is not None:
            self._decided, self.trace.matching = True, Matching.ORDER
        return oldest

    def _take_back(self) -> None:
        """The server does send numbers: what was given away by order was something else."""
        trace = self.trace
        trace.notes.append(
            f"{len(trace.replies)} replies without a number came before the first with one; they"
            " were shown, and then taken back."
        )
        trace.strays += len(trace.replies)
        for seq in self._running.first:
            self._open[seq] = trace.probes[seq - 1].sent_ns + trace.timeout_ns
        self._open = dict(sorted(self._open.items()))
        trace.replies.clear()
        self._running = Running(trace)
        trace.matching = Matching.NUMBER

    def expire(self, now_ns: int) -> list[TimedOut]:
        """Those whose deadline has come without an answer; each is told once."""
        expired = []
        while (deadline_ns := self.next_deadline_ns()) is not None and deadline_ns <= now_ns:
            expired.append(TimedOut(next(iter(self._open))))
            del self._open[expired[-1].seq]
        return expired

    def next_deadline_ns(self) -> int | None:
        """When the oldest open probe will be given up; None where none is open."""
        return next(iter(self._open.values()), None)

    def distrust_kernel(self, why: str) -> None:
        """Count by this program's own times, all of the run: the kernel's are of no use.

        :param why: for people, a clause.
        """
        trace = self.trace
        trace.stamps, trace.why_user = Stamps.USER, why
        for probe in trace.probes:
            probe.sent_ns = probe.wrote_ns
        trace.replies[:] = [replace(reply, arrived_ns=reply.read_ns) for reply in trace.replies]
        for seq in self._open:
            self._open[seq] = trace.probes[seq - 1].sent_ns + trace.timeout_ns
