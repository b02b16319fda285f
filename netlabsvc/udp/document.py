"""A run as one JSON document, for programs: the form of `netlab ping --json`.

data/ping.schema.json describes every member. Units stand in the names; times are integers in
nanoseconds, shares of 0 to 100 percent are floats. What is not known is null.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netlabsvc.udp.clocks import OneWay
from netlabsvc.udp.directions import Directions, Way
from netlabsvc.udp.distribution import Distribution
from netlabsvc.udp.fates import Outcome
from netlabsvc.udp.jitter import Variation
from netlabsvc.udp.ordering import Reordering
from netlabsvc.udp.proportion import Share, sentence
from netlabsvc.udp.stats import Analysis, Tool
from netlabsvc.udp.trace import Trace

#: The name and version of this form.
SCHEMA = "netlab.ping/1"


def document(trace: Trace, analysis: Analysis, config: dict[str, object]) -> dict[str, Any]:
    """The whole run.

    :param config: what it was told to do, the seed with it; its members keep their names.
    """
    first_ns = trace.probes[0].sent_ns if trace.probes else 0
    return {
        "schema": SCHEMA,
        "config": config,
        "started_unix_ns": trace.probes[0].sent_wall_ns if trace.probes else None,
        "probes": [_probe(outcome, first_ns) for outcome in analysis.outcomes],
        "summary": _summary(trace, analysis),
    }


def _probe(outcome: Outcome, first_ns: int) -> dict[str, Any]:
    reply, way = outcome.reply, outcome.lost_direction
    return {
        "seq": outcome.seq,
        "sent_ns": outcome.sent_ns - first_ns,
        "rtt_ns": outcome.rtt_ns,
        "fate": outcome.fate.value,
        "lost_direction": way.value if way else None,
        "duplicates": outcome.duplicates,
        "reordered": outcome.reordered,
        "ttl": (reply.ttl or None) if reply else None,
        "server_received_unix_ns": reply.received_ns if reply else None,
        "server_replied_unix_ns": reply.replied_ns if reply else None,
        "server_number": reply.number if reply else None,
    }


def _summary(trace: Trace, analysis: Analysis) -> dict[str, Any]:
    a, runs = analysis, analysis.runs
    return {
        "sent": a.sent,
        "received": a.received,
        "lost": a.lost,
        "late": a.late,
        "open": a.open,
        "duplicates": a.duplicates,
        "reordered": a.reordering.reordered,
        "strays": a.strays,
        "impossible_server_times": a.bad_stays,
        **_loss(a.loss),
        "says": sentence(a.loss),
        "loss_runs": {
            "number": runs.number,
            "mean_length": runs.mean,
            "longest": runs.longest,
            "gilbert_p": runs.p,
            "gilbert_r": runs.r,
        },
        "reordering": _reordering(a.reordering),
        "rtt_ns": _times(a.rtt),
        "late_rtt_ns": _times(a.late_rtt),
        "ipdv_ns": _times(a.variation.ipdv),
        "ipdv_size_ns": _times(a.ipdv_size),
        "pdv_ns": _times(a.variation.pdv),
        "rtp_jitter_ns": a.rtp_jitter_ns,
        "directions": _directions(a.directions),
        "why_no_directions": a.why_no_directions or None,
        "one_way": _one_way(a.one_way),
        "tool": _tool(trace, a.tool),
        "matching": trace.matching.value,
        "notes": list(trace.notes),
    }


def _loss(loss: Share) -> dict[str, Any]:
    share = loss.share
    return {
        "loss_percent": None if share is None else 100 * share,
        "loss_interval_percent": [100 * edge for edge in loss.interval],
    }


def _times(times: Distribution | None) -> dict[str, Any] | None:
    """The figures by their names; the unit stands in the name of the member they are put in."""
    if times is None:
        return None
    return {name.removesuffix("_ns"): value for name, value in asdict(times).items()}


def _reordering(order: Reordering) -> dict[str, Any]:
    ratio = order.ratio
    return {
        "reordered": order.reordered,
        "of": order.of,
        "reordered_percent": None if ratio is None else 100 * ratio,
        "max_extent": order.max_extent,
        "mean_extent": order.mean_extent,
    }


def _directions(ways: Directions | None) -> dict[str, Any] | None:
    if ways is None:
        return None
    return {
        "up": _way(ways.up),
        "down": _way(ways.down),
        "lost_up": ways.lost_up,
        "lost_down": ways.lost_down,
        "lost_unknown": ways.lost_unknown,
        "lost_told": len(ways.told),
    }


def _way(way: Way) -> dict[str, Any]:
    return {
        "lost": way.loss.hits,
        "of": way.loss.of,
        **_loss(way.loss),
        "duplicates": way.duplicates,
        "reordering": _reordering(way.reordering),
    }


def _one_way(told: OneWay | None) -> dict[str, Any] | None:
    if told is None:
        return None
    return {
        "offset_ns": told.offset_ns,
        "offset_bound_ns": told.bound_ns,
        "clocks_moved_ns": told.moved_ns,
        "server_resolution_ns": told.resolution_ns,
        "synchronised": told.synchronised,
        "synchronisation_contradicted": told.contradicted,
        "error_ns": told.error_ns,
        "up_ns": _times(told.up),
        "down_ns": _times(told.down),
        "up": _variation(told.up_variation),
        "down": _variation(told.down_variation),
    }


def _variation(told: Variation) -> dict[str, Any]:
    return {"ipdv_ns": _times(told.ipdv), "pdv_ns": _times(told.pdv)}


def _tool(trace: Trace, tool: Tool) -> dict[str, Any]:
    return {
        "stamps": trace.stamps.value,
        "why_user_stamps": trace.why_user or None,
        "lateness_ns": _times(tool.lateness),
        "send_gap_ns": _times(tool.send_gap),
        "read_gap_ns": _times(tool.read_gap),
        "error_ns": tool.error_ns,
        "error_above_jitter": tool.above_jitter,
    }
