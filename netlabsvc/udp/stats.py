"""Everything that a run of probes says, in one value.

Delays are those of replies in time; late ones are told apart. Loss is a share of the probes whose
fate is known. It knows no text: `report`, `document` and `plot` put it into words and pictures.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netlabsvc.udp.clocks import OneWay, one_way
from netlabsvc.udp.directions import Directions, directions
from netlabsvc.udp.distribution import Distribution, distribution
from netlabsvc.udp.fates import Fate, Outcome, known, outcomes, stay_ns
from netlabsvc.udp.jitter import Variation, smoothed, steps, variation
from netlabsvc.udp.ordering import Reordering, reordering
from netlabsvc.udp.proportion import Share
from netlabsvc.udp.runs import Runs, runs
from netlabsvc.udp.trace import Stamps, Trace


@dataclass(frozen=True, slots=True)
class Tool:
    """How far this program is to be trusted."""

    lateness: Distribution | None
    """How long after its time each probe left."""
    send_gap: Distribution | None
    """From this program's send() to the kernel's T1; None without kernel stamps."""
    read_gap: Distribution | None
    """From the kernel's T4 to this program's reading; None without kernel stamps."""
    error_ns: int | None
    """How far this program may bend a round trip (p95); None where every stamp is the kernel's."""
    above_jitter: bool
    """That is more than the mean size of IPDV."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A run in figures. `sent` is the sum of `received`, `late`, `lost` and `open`."""

    outcomes: tuple[Outcome, ...]
    """By number: probe n is at n - 1."""
    sent: int
    received: int
    late: int
    lost: int
    open: int
    duplicates: int
    strays: int
    bad_stays: int
    """Replies whose T3 - T2 cannot be: their RTT holds the server's time."""
    loss: Share
    runs: Runs
    reordering: Reordering
    """In the order of arrival here, whatever the way; late ones too, duplicates not."""
    rtt: Distribution | None
    late_rtt: Distribution | None
    variation: Variation
    ipdv_size: Distribution | None
    """IPDV without its sign."""
    rtp_jitter_ns: int | None
    directions: Directions | None
    why_no_directions: str
    one_way: OneWay | None
    tool: Tool


def analyse(trace: Trace) -> Analysis:
    """Everything that a run says, at any time during it or after it."""
    told = outcomes(trace)
    ways = directions(trace, told)
    by_seq = {} if isinstance(ways, str) else ways.told
    for seq, way in by_seq.items():
        told[seq - 1] = told[seq - 1]._replace(lost_direction=way)
    replies = known(trace)
    arrived = list(dict.fromkeys(reply.seq for reply in replies))
    in_time = [o.rtt_ns if o.fate is Fate.OK else None for o in told]
    changes, sizes = variation(in_time), distribution([abs(step) for step in steps(in_time)])
    count = Counter(outcome.fate for outcome in told)
    return Analysis(
        outcomes=tuple(told),
        sent=len(told),
        received=count[Fate.OK],
        late=count[Fate.LATE],
        lost=count[Fate.LOST],
        open=count[Fate.OPEN],
        duplicates=len(replies) - len(arrived),
        strays=trace.strays + len(trace.replies) - len(replies),
        bad_stays=sum(_has_bad_stay(outcome) for outcome in told),
        loss=Share(count[Fate.LOST], len(told) - count[Fate.OPEN]),
        runs=runs(o.fate is Fate.LOST for o in told if o.fate is not Fate.OPEN),
        reordering=reordering(arrived),
        rtt=changes.delay,
        late_rtt=distribution([o.rtt_ns or 0 for o in told if o.fate is Fate.LATE]),
        variation=changes,
        ipdv_size=sizes,
        rtp_jitter_ns=smoothed(r for seq in arrived if (r := in_time[seq - 1]) is not None),
        directions=None if isinstance(ways, str) else ways,
        why_no_directions=ways if isinstance(ways, str) else "",
        one_way=one_way(trace, told),
        tool=_tool(trace, sizes),
    )


def _has_bad_stay(outcome: Outcome) -> bool:
    reply = outcome.reply
    if reply is None or reply.received_ns is None or reply.replied_ns is None:
        return False
    return stay_ns(reply, reply.arrived_ns - outcome.sent_ns) is None


def _tool(trace: Trace, jitter: Distribution | None) -> Tool:
    """What is the kernel's is in no round trip; what it did not stamp is off by as much as a gap.

    Without its stamps nobody knows the gaps. Who is woken late to send is woken as late to read.
    """
    lateness = distribution([probe.sent_ns - probe.due_ns for probe in trace.probes])
    send_gap = read_gap = None
    errors = [lateness]
    if trace.stamps is Stamps.KERNEL:
        send_gap, all_sent = _gap([p.sent_ns - p.wrote_ns for p in trace.probes])
        read_gap, all_read = _gap([r.read_ns - r.arrived_ns for r in trace.replies])
        errors = [None if all_sent else send_gap, None if all_read else read_gap]
    error_ns = max((error.p95_ns for error in errors if error is not None), default=None)
    above = error_ns is not None and jitter is not None and error_ns > jitter.mean_ns
    return Tool(lateness, send_gap, read_gap, error_ns, above)


def _gap(gaps_ns: list[int]) -> tuple[Distribution | None, bool]:
    """Between our time and the kernel's, and whether that stamped all: without a stamp it is 0."""
    stamped = [gap for gap in gaps_ns if gap]
    return distribution(stamped), len(stamped) == len(gaps_ns)
