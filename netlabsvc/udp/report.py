"""A run in words: a line for each reply as it comes, and the report at its end.

Every time is in milliseconds with microseconds. It shows numbers and words of our own, and what
the caller passes as `target`: never a byte of a reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlabsvc.udp.clocks import OneWay
from netlabsvc.udp.directions import Way
from netlabsvc.udp.distribution import P99_FROM, Distribution
from netlabsvc.udp.fates import Flags
from netlabsvc.udp.jitter import Variation
from netlabsvc.udp.proportion import Share, sentence
from netlabsvc.udp.stats import Analysis, Tool
from netlabsvc.udp.trace import Matching, Reply, Stamps, Trace

#: The steps of a sparkline from quick to slow, and what stands for a lost probe.
BLOCKS = "▁▂▃▄▅▆▇█×"
#: The same for a terminal that has no blocks.
ASCII = "_.-~=+*#x"


def ms(time_ns: int | None) -> str:
    """Milliseconds with microseconds, rounded; ``-`` where there is nothing to tell."""
    if time_ns is None:
        return "-"
    us = (time_ns + 500) // 1000
    return f"{'-' if us < 0 else ''}{abs(us) // 1000}.{abs(us) % 1000:03d}"


def reply_line(reply: Reply, flags: Flags, target: str) -> str:
    """``16 bytes from 127.0.0.1:12000: seq=3 rtt=0.123 ms ttl=64 late duplicate reordered``."""
    ttl = f" ttl={reply.ttl}" if reply.ttl else ""
    said = " late" * flags.late + " duplicate" * flags.duplicate + " reordered" * flags.reordered
    where = f"{reply.size_bytes} bytes from {target}"
    return f"{where}: seq={reply.seq} rtt={ms(flags.rtt_ns)} ms{ttl}{said}"


def sparkline(rtts_ns: Sequence[int | None], width: int = 40, signs: str = BLOCKS) -> str:
    """The last round trips as one line, a sign for each, from the quickest to the slowest of them.

    :param rtts_ns: the oldest first; None for a probe that was lost.
    :param signs: the steps, and last what stands for a lost one.
    """
    steps, lost = signs[:-1], signs[-1]
    shown = rtts_ns[-width:] if width > 0 else ()
    there = [rtt for rtt in shown if rtt is not None]
    least, span = min(there, default=0), max(there, default=0) - min(there, default=0)
    top = len(steps) - 1
    return "".join(
        lost if rtt is None else steps[(rtt - least) * top // span if span else 0] for rtt in shown
    )


def report(trace: Trace, analysis: Analysis, target: str) -> str:
    """The whole run, without a line end at its end.

    :param target: whom it went to, safe to be shown.
    """
    lines = [f"--- {target}, {trace.protocol}", *_losses(trace, analysis)]
    lines += [*_round_trips(analysis), *_jitter(analysis), *_ways(analysis)]
    lines += [*_clocks(analysis), *_tool(trace, analysis.tool)]
    return "\n".join(lines)


def _losses(trace: Trace, analysis: Analysis) -> Iterator[str]:
    a = analysis
    still_open = f", {a.open} still open" if a.open else ""
    yield (
        f"{a.sent} sent, {a.received} received, {a.lost} lost, {a.late} late,"
        f" {a.duplicates} duplicates, {a.reordering.reordered} reordered{still_open}"
    )
    if a.loss.of:
        yield f"loss: {_share(a.loss)}"
    yield sentence(a.loss)
    runs = a.runs
    if runs.number:
        yield (
            f"loss runs: {runs.number}, mean {runs.mean:.1f}, longest {runs.longest};"
            f" Gilbert p {_ratio(runs.p)}, r {_ratio(runs.r)}"
        )
    if a.reordering.reordered:
        yield f"reordering: {_reordering(a.reordering.ratio, a.reordering.max_extent)}"
    if trace.matching is Matching.ORDER:
        yield (
            "note: the server sends no number back: each reply was given to the oldest open probe,"
            " so a lost one can be taken for the next"
        )
    if a.strays:
        yield f"note: {a.strays} replies belong to no probe of this run"
    if a.bad_stays:
        yield (
            f"note: {a.bad_stays} replies name impossible server times; their RTT holds the"
            " server's own time"
        )
    yield from (f"note: {note}" for note in trace.notes)


def _round_trips(analysis: Analysis) -> Iterator[str]:
    rtt, late = analysis.rtt, analysis.late_rtt
    if rtt is None:
        yield "rtt: no reply came in time"
    else:
        figures = (rtt.min_ns, rtt.mean_ns, rtt.median_ns, rtt.p99_ns, rtt.max_ns, rtt.stddev_ns)
        few = f" (p99 takes {P99_FROM} replies)" if rtt.p99_ns is None else ""
        yield f"rtt: min/avg/median/p99/max/stddev = {'/'.join(map(ms, figures))} ms{few}"
    if late is not None:
        slowest = f"rtt min/max = {ms(late.min_ns)}/{ms(late.max_ns)} ms"
        yield f"late: {late.count}, {slowest}, no part of the figures above and below"


def _jitter(analysis: Analysis) -> Iterator[str]:
    told = analysis.variation
    if told.ipdv is None or analysis.ipdv_size is None:
        yield "jitter: takes two replies in a row"
    else:
        size, signed = analysis.ipdv_size, told.ipdv
        yield (
            f"jitter: ipdv mean/p95 = {ms(size.mean_ns)}/{ms(size.p95_ns)} ms,"
            f" from {ms(signed.min_ns)} to {ms(signed.max_ns)} ms"
        )
    if told.pdv is not None and told.pdv.count > 1:
        yield f"jitter: pdv {_above(told)}"
    if analysis.rtp_jitter_ns is not None:
        yield f"jitter: rtp (smoothed) = {ms(analysis.rtp_jitter_ns)} ms"


def _ways(analysis: Analysis) -> Iterator[str]:
    ways = analysis.directions
    if ways is None:
        yield f"per direction: not known: {analysis.why_no_directions}"
        return
    yield f"up: {_way(ways.up, 'probes')}"
    yield f"down: {_way(ways.down, 'replies')}"
    if analysis.lost:
        unknown = f", {ways.lost_unknown} not known" if ways.lost_unknown else ""
        yield (
            f"lost: {ways.lost_up} up, {ways.lost_down} down{unknown};"
            f" which of them is told for {len(ways.told)} of {analysis.lost}"
        )


def _way(way: Way, what: str) -> str:
    order = way.reordering
    loss = f"lost {way.loss.hits} of {way.loss.of} {what} = {_share(way.loss)}"
    if not way.loss.of:
        loss = "loss not known"
    moved = f"{order.reordered} reordered"
    if order.reordered:
        moved += f" ({_reordering(order.ratio, order.max_extent)})"
    return f"{loss}; {way.duplicates} duplicates, {moved}"


def _clocks(analysis: Analysis) -> Iterator[str]:
    told = analysis.one_way
    if told is None:
        yield "offset: not known: no reply in time tells the server's time"
        return
    yield (
        f"offset: the server's clock less this one = {ms(told.offset_ns)} ms"
        f" +- {ms(told.bound_ns)} ms"
    )
    if told.resolution_ns >= 1000:
        yield f"note: the server tells its time in steps of {ms(told.resolution_ns)} ms"
    if told.contradicted:
        yield "note: both clocks claim to be synchronised, but the offset shows that one is not"
    if told.moved_ns:
        yield f"note: the clocks moved against each other by at least {ms(told.moved_ns)} ms"
    yield from _one_way(told)


def _one_way(told: OneWay) -> Iterator[str]:
    if told.up is None or told.down is None:
        yield "one-way: not known: the clocks moved further than the bound of the offset"
    else:
        why = "both clocks synchronised" if told.synchronised else "if both ways are alike"
        yield (
            f"one-way: min/median/max up = {_three(told.up)} ms, down = {_three(told.down)} ms,"
            f" each +- {ms(told.error_ns)} ms, {why}"
        )
    pdv = told.up_variation.pdv
    if pdv is not None and pdv.count > 1:
        yield f"variation up: {_above(told.up_variation)}"
        yield f"variation down: {_above(told.down_variation)}"


def _tool(trace: Trace, tool: Tool) -> Iterator[str]:
    if tool.lateness is None:
        return
    late = f"this tool: sent {ms(tool.lateness.p95_ns)} ms late (p95)"
    if trace.stamps is Stamps.KERNEL:
        gaps = [
            f", {ms(gap.p95_ns)} ms between {what} (p95)"
            for what, gap in (("send() and T1", tool.send_gap), ("T4 and reading", tool.read_gap))
            if gap is not None
        ]
        harmless = "; none of it is in the rtt" if tool.error_ns is None else ""
        yield f"{late}, time stamps of the kernel{''.join(gaps)}{harmless}"
    else:
        why = f" ({trace.why_user})" if trace.why_user else ""
        yield f"{late}, time stamps of this program{why}"
    if tool.above_jitter:
        yield (
            f"warning: this tool's own error, {ms(tool.error_ns)} ms, is larger than the jitter:"
            " what varies may be this machine, not the path"
        )


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.share or 0:.1%}, 95% interval {low:.1%} to {high:.1%}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _reordering(ratio: float | None, extent: int) -> str:
    return f"{ratio or 0:.1%}, extent up to {extent}"


def _three(times: Distribution) -> str:
    return "/".join(map(ms, (times.min_ns, times.median_ns, times.max_ns)))


def _above(told: Variation) -> str:
    pdv = told.pdv
    if pdv is None:
        return "-"
    figures = "/".join(map(ms, (pdv.median_ns, pdv.p95_ns, pdv.max_ns)))
    return f"median/p95/max above the least = {figures} ms"
