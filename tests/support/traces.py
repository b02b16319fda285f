"""Traces of runs: recorded by hand, or made by a path of which the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netlabsvc.udp.trace import Probe, Reply, Trace

MS = 1_000_000
#: The wall clock where the monotonic one is 0: not in whole milliseconds, as of a coarse clock.
WALL_NS = 1_700_000_000_123_456_789
#: For each packet of a direction, by its number: the delay in ms of each copy; none: it is lost.
Way = Callable[[int], Iterable[float]]


def sent(count: int, *, interval_ms: float = 10, timeout_ms: float = 1000) -> Trace:
    """A run of so many probes, sent on time, that has ended; no reply came."""
    trace = Trace(round(timeout_ms * MS), "stamp")
    for n in range(count):
        at_ns = round(n * interval_ms * MS)
        trace.probes.append(Probe(n + 1, at_ns, at_ns, WALL_NS + at_ns, at_ns, 44))
    trace.ended_ns = round(count * interval_ms * MS) + trace.timeout_ns
    return trace


def recorded(count: int, *replies: tuple[int, ...], timeout_ms: float = 1000) -> Trace:
    """Replies as (probe, server's number) in the order of arrival, 1 ms apart, after all probes."""
    trace = sent(count, interval_ms=1, timeout_ms=timeout_ms)
    trace.stateful = True
    for n, (seq, number) in enumerate(replies):
        trace.replies.append(Reply(seq, (count + n) * MS, 44, number=number))
    return trace


@dataclass
class Truth:
    """What a path did."""

    lost_up: set[int]
    """Probes of which no copy reached the server."""
    lost_replies: int
    """Numbers of the server of which no copy came back."""
    copies_up: int
    copies_down: int


def once(delay_ms: float = 1) -> Way:
    """A way on which each packet takes as long as any other."""
    return lambda _: (delay_ms,)


def through(trace: Trace, up: Way, down: Way, *, offset_ns: int = 0, stay_ns: int = 0) -> Truth:
    """Send the probes of a run through a path; the server is stateful and counts from 0.

    :param offset_ns: the server's clock less ours.
    """
    trace.stateful = True
    there = [(p.sent_ns + round(d * MS), p.seq) for p in trace.probes for d in up(p.seq)]
    here: list[tuple[int, int, Reply]] = []
    lost = copies = 0
    for number, (at_ns, seq) in enumerate(sorted(there)):
        leaves_ns, delays = at_ns + stay_ns, list(down(number))
        lost += not delays
        copies += max(0, len(delays) - 1)
        stamps = (WALL_NS + at_ns + offset_ns, WALL_NS + leaves_ns + offset_ns)
        for delay in delays:
            back_ns = leaves_ns + round(delay * MS)
            here.append((back_ns, len(here), Reply(seq, back_ns, 44, 64, *stamps, number, back_ns)))
    trace.replies = [reply for *_, reply in sorted(here, key=lambda item: item[:2])]
    arrived = [seq for _, seq in there]
    lost_up = {p.seq for p in trace.probes} - set(arrived)
    return Truth(lost_up, lost, len(arrived) - len(set(arrived)), copies)
