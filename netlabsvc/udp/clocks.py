"""What can be said of the two clocks, and of one way alone.

    T1 the probe leaves, T2 it arrives there, T3 the reply leaves there, T4 it arrives here

    up   = T2 - T1 = the way up + offset        offset = the server's clock less ours
    down = T4 - T3 = the way down - offset

No way takes less than nothing, so the offset lies between -down and up of each reply: that is
((T2 - T1) + (T3 - T4)) / 2 give or take half of its RTT. The reply with the smallest RTT says it
best. Where two replies contradict each other, the clocks moved against each other. What a server
tells in coarse steps is that much less certain. Differences of one way do not hold the offset.

It knows the stamps of a trace and reads no clock. Negative values are what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from netlabsvc.udp.distribution import Distribution
from netlabsvc.udp.fates import Fate, Outcome
from netlabsvc.udp.jitter import Variation, variation
from netlabsvc.udp.trace import Reply, Trace


@dataclass(frozen=True, slots=True)
class OneWay:
    """The two ways apart."""

    offset_ns: int
    """The server's clock less ours, if both ways took the same time."""
    bound_ns: int
    """It is at most so far from that, whatever the ways took."""
    moved_ns: int
    """How far the clocks moved against each other during the run, at least; 0: not seen."""
    resolution_ns: int
    """The steps in which the server tells its time."""
    synchronised: bool
    """Both clocks claim to be right, and nothing contradicts them."""
    contradicted: bool
    """Both claim it, and the offset shows that it cannot be."""
    up: Distribution | None
    """The delay, give or take `error_ns`; None where the clocks moved further than the bound."""
    down: Distribution | None
    error_ns: int
    up_variation: Variation
    down_variation: Variation


class _Ways(NamedTuple):
    """One reply: T2 - T1, T4 - T3, and T4 - T1."""

    up: int
    down: int
    whole: int


def resolution(stamps_ns: Iterable[int]) -> int:
    """The largest power of ten, up to a second, that divides all of them."""
    steps = 1_000_000_000
    for stamp in stamps_ns:
        while stamp % steps:
            steps //= 10
    return steps


def _stamps(reply: Reply) -> tuple[int, int] | None:
    """T2 and T3; where only one is told, it stands for both, which breaks no bound."""
    received, replied = reply.received_ns, reply.replied_ns
    if received is None:
        return None if replied is None else (replied, replied)
    return received, received if replied is None else replied


def one_way(trace: Trace, outcomes: Sequence[Outcome]) -> OneWay | None:
    """What is known of each way; None where no reply in time tells the server's time."""
    ways: list[_Ways | None] = []
    steps: list[int] = []
    for outcome in outcomes:
        reply, probe = outcome.reply, trace.probes[outcome.seq - 1]
        stamps = _stamps(reply) if reply and outcome.fate is Fate.OK else None
        if reply is None or stamps is None:
            ways.append(None)
            continue
        steps += stamps
        whole_ns = reply.arrived_ns - probe.sent_ns
        up_ns = stamps[0] - probe.sent_wall_ns
        ways.append(_Ways(up_ns, probe.sent_wall_ns + whole_ns - stamps[1], whole_ns))
    return _told(trace, ways, resolution(steps)) if steps else None


def _told(trace: Trace, ways: Sequence[_Ways | None], step_ns: int) -> OneWay:
    there = [way for way in ways if way is not None]
    # A stamp cut to a coarse step is up to one step too small.
    slack_ns = step_ns if step_ns > 1 else 0
    # Nonsense between T2 and T3 must not pass for the quickest round trip.
    best = min([way for way in there if 0 <= way.up + way.down <= way.whole] or there, key=_rtt)
    offset_ns = (best.up - best.down) // 2
    bound_ns = abs(-(-_rtt(best) // 2)) + slack_ns
    lowest, highest = max(-way.down for way in there), min(way.up for way in there) + slack_ns
    went_back_ns = max(_rtt(way) - way.whole for way in there)  # from T2 to T3
    moved_ns = max(0, lowest - highest, went_back_ns)
    steady = moved_ns <= bound_ns
    ours, theirs = trace.clock_error_ns, trace.server_clock_error_ns
    claimed_ns = None if ours is None or theirs is None else ours + theirs
    contradicted = claimed_ns is not None and abs(offset_ns) > claimed_ns + bound_ns
    synchronised = claimed_ns is not None and not contradicted and steady
    up, down = (variation([way and way[n] for way in ways]) for n in (0, 1))
    shift_ns = 0 if synchronised else offset_ns
    error_ns = bound_ns if claimed_ns is None or not synchronised else claimed_ns + slack_ns
    return OneWay(
        offset_ns=offset_ns,
        bound_ns=bound_ns,
        moved_ns=moved_ns,
        resolution_ns=step_ns,
        synchronised=synchronised,
        contradicted=contradicted,
        up=up.delay.less(shift_ns) if steady and up.delay else None,
        down=down.delay.less(-shift_ns) if steady and down.delay else None,
        error_ns=error_ns + moved_ns,
        up_variation=up,
        down_variation=down,
    )


def _rtt(way: _Ways) -> int:
    return way.up + way.down
