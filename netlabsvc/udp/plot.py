"""A run as one picture: round trips over time, and below how they are distributed.

Late and lost probes have lanes of their own, so that neither bends the scale of the others. More
probes than the picture has room for are drawn in columns, from the quickest to the slowest with
their median: its size is bounded, whatever the run. It knows figures, and `svg` how to draw.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from math import isqrt

from netlabsvc.udp import svg as draw
from netlabsvc.udp.distribution import percentile
from netlabsvc.udp.fates import Fate, Outcome
from netlabsvc.udp.report import ms
from netlabsvc.udp.stats import Analysis
from netlabsvc.udp.svg import Scale, number
from netlabsvc.udp.trace import Trace

WIDTH, HEIGHT = 960, 720
LEFT, RIGHT = 84, 900
#: Late lane, plot, lost lane; the distribution.
LATE_Y, TOP, BOTTOM, LOST_Y, LANE_END = 120, 132, 390, 403, 416
LOW_TOP, LOW_BOTTOM = 506, 666
#: Up to so many probes each has a shape of its own.
SINGLE = 2000
COLUMN_PX = 2
MARK_PX = 8


def svg(trace: Trace, analysis: Analysis, title: str) -> str:
    """The picture, as a whole SVG document.

    :param title: any text.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{draw.safe(title)}</title>",
        f"<style>{draw.STYLE}</style>",
        draw.box("paper", 0, 0, WIDTH, HEIGHT),
        draw.text(LEFT, 34, title, "title"),
        draw.text(LEFT, 56, _counts(analysis)),
        *_legend(len(analysis.outcomes) > SINGLE),
        *_series(trace, analysis.outcomes),
        *_distribution([o.rtt_ns or 0 for o in analysis.outcomes if o.fate is Fate.OK]),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _counts(analysis: Analysis) -> str:
    a, rtt = analysis, analysis.rtt
    low, high = a.loss.interval
    told = [f"{a.sent} sent, {a.received} received, {a.lost} lost, {a.late} late"]
    if a.loss.share is not None:
        told.append(f"loss {a.loss.share:.1%} (95% interval {low:.1%} to {high:.1%})")
    if rtt is not None:
        told.append(f"median {ms(rtt.median_ns)} ms")
    return " · ".join(told)


def _shape(kind: str, x: float, y: float, told: str = "") -> str:
    """What stands for a probe: each kind has a form of its own, not only a colour."""
    at = f"M{number(x)} {number(y)}"
    forms = {
        "ok": f"{at}m-2.5 0a2.5 2.5 0 1 0 5 0a2.5 2.5 0 1 0 -5 0",
        "late": f"{at}m0 -5l5 5l-5 5l-5 -5z",
        "lost": f"{at}m-4 -4l8 8m0 -8l-8 8",
        "copy": f"{at}m-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0",
        "moved": f"{at}m0 -4.5l4.5 8h-9z",
    }
    return draw.path(kind, forms[kind], told)


def _legend(columns: bool) -> Iterator[str]:
    names = {"late": "late", "lost": "lost", "copy": "duplicated", "moved": "reordered"}
    if columns:
        said = "in time, all and median; the fainter the rarer:"
        yield draw.box("bar", LEFT + 2, 76, 10, 12)
        yield draw.path("line", f"M{LEFT + 2} 82h10")
        yield draw.text(LEFT + 18, 86, said)
    else:
        names = {"ok": "in time", **names}
    begin = LEFT + (310 if columns else 6)
    for place, (kind, name) in enumerate(names.items()):
        x = begin + 104 * place
        yield _shape(kind, x, 82)
        yield draw.text(x + 12, 86, name)


def _series(trace: Trace, outcomes: Sequence[Outcome]) -> Iterator[str]:
    first_ns = trace.probes[0].sent_ns if trace.probes else 0
    span_s = max((o.sent_ns - first_ns for o in outcomes), default=0) / 1e9
    across = Scale(0, span_s if span_s > 0 else 1, LEFT + 10, RIGHT - 10)
    rtts = [o.rtt_ns for o in outcomes if o.fate is Fate.OK and o.rtt_ns is not None]
    least_ns, most_ns = min(rtts, default=0), max(rtts, default=1_000_000)
    upwards = Scale(min(0, least_ns) / 1e6, max(10_000, most_ns) * 1.08 / 1e6, BOTTOM, TOP)
    yield draw.box("lane", LEFT, LATE_Y - 12, RIGHT - LEFT, 24)
    yield draw.box("lane", LEFT, BOTTOM, RIGHT - LEFT, LANE_END - BOTTOM)
    yield draw.text(RIGHT + 8, LATE_Y + 4, "late")
    yield draw.text(RIGHT + 8, LOST_Y + 4, "lost")
    yield from draw.vertical_axis(upwards, LEFT, RIGHT, "round trip, ms", 6)
    yield from draw.horizontal_axis(across, TOP, LANE_END, "sent, s after the first probe")
    yield draw.path("frame", f"M{LEFT} {TOP}V{LANE_END}H{RIGHT}")
    placed = [(across((o.sent_ns - first_ns) / 1e9), o) for o in outcomes]
    if len(outcomes) <= SINGLE:
        for x, outcome in placed:
            yield from _single(x, outcome, upwards)
    else:
        yield from _columns(placed, upwards)


def _single(x: float, outcome: Outcome, upwards: Scale) -> Iterator[str]:
    o, who = outcome, f"probe {outcome.seq}"
    if o.fate is Fate.OPEN:
        return
    if o.fate is Fate.LOST:
        way = f" on its way {o.lost_direction.value}" if o.lost_direction else ""
        yield _shape("lost", x, LOST_Y, f"{who}: lost{way}")
        return
    late = o.fate is Fate.LATE
    y = LATE_Y if late else upwards((o.rtt_ns or 0) / 1e6)
    said = " late" * late + " reordered" * o.reordered + " duplicated" * (o.duplicates > 0)
    kind = "late" if late else "moved" if o.reordered else "ok"
    yield _shape(kind, x, y, f"{who}: {ms(o.rtt_ns)} ms{said}")
    if late and o.reordered:
        yield _shape("moved", x, y + 11)
    if o.duplicates:
        yield _shape("copy", x, y)


def _columns(placed: Iterable[tuple[float, Outcome]], upwards: Scale) -> Iterator[str]:
    """Each column from its quickest to its slowest, with its median, and marks for the others."""
    columns: dict[int, list[int]] = {}
    cells: dict[int, list[Outcome]] = {}
    for x, outcome in placed:
        cells.setdefault(int(x) // MARK_PX, []).append(outcome)
        if outcome.fate is Fate.OK and outcome.rtt_ns is not None:
            columns.setdefault(int(x) // COLUMN_PX, []).append(outcome.rtt_ns)
    band: list[str] = []
    line: list[str] = []
    for column, rtts in sorted(columns.items()):
        rtts.sort()
        x = (column + 0.5) * COLUMN_PX
        least, most, middle = (upwards(r / 1e6) for r in (rtts[0], rtts[-1], rtts[len(rtts) // 2]))
        band.append(f"M{number(x)} {number(least + 0.5)}V{number(most - 0.5)}")
        line.append(f"{'L' if line else 'M'}{number(x)} {number(middle)}")
    yield f'<g stroke-width="{COLUMN_PX}">{draw.path("band", "".join(band))}</g>'
    for cell, those in sorted(cells.items()):
        yield from _cell((cell + 0.5) * MARK_PX, those, upwards)
    if line:
        yield draw.path("line", "".join(line))


def _cell(x: float, those: Sequence[Outcome], upwards: Scale) -> Iterator[str]:
    """One mark for all of a kind in a few pixels, the fainter the fewer they are."""
    chosen = {
        "late": [o for o in those if o.fate is Fate.LATE],
        "lost": [o for o in those if o.fate is Fate.LOST],
        "copy": [o for o in those if o.duplicates and o.fate is Fate.OK],
        "moved": [o for o in those if o.reordered and o.fate is Fate.OK],
    }
    lanes = {"late": LATE_Y, "lost": LOST_Y}
    for kind, some in chosen.items():
        if some:
            y = lanes.get(kind) or upwards((some[0].rtt_ns or 0) / 1e6)
            faint = 0.3 + 0.7 * (len(some) / len(those)) ** 0.5
            mark = _shape(kind, x, y, f"{len(some)} of {len(those)}")
            yield f'<g opacity="{faint:.2f}">{mark}</g>'


def _distribution(rtts_ns: list[int]) -> Iterator[str]:
    yield draw.text(LEFT, LOW_TOP - 22, "Distribution of the round trips in time", "head")
    if not rtts_ns:
        yield draw.text((LEFT + RIGHT) / 2, (LOW_TOP + LOW_BOTTOM) / 2, "no reply in time", "mid")
        return
    rtts_ns.sort()
    low, high = _range(rtts_ns)
    shown = bisect_right(rtts_ns, high)
    across = Scale(low / 1e6, high / 1e6, LEFT, RIGHT)
    bins = min(80, max(12, 2 * isqrt(len(rtts_ns))))
    counts = [0] * bins
    for rtt in rtts_ns[:shown]:
        counts[min(bins - 1, (rtt - low) * bins // (high - low))] += 1
    upwards = Scale(0, max(counts) * 1.1, LOW_BOTTOM, LOW_TOP)
    yield from draw.vertical_axis(upwards, LEFT, RIGHT, "replies", 4)
    yield from draw.horizontal_axis(across, LOW_TOP, LOW_BOTTOM, "round trip, ms")
    wide = (RIGHT - LEFT) / bins
    for place, count in enumerate(counts):
        if count:
            y = upwards(count)
            yield draw.box("bar", LEFT + place * wide + 0.5, y, wide - 1, LOW_BOTTOM - y)
    yield from _shares(rtts_ns, across)
    if shown < len(rtts_ns):
        yield draw.text(RIGHT, LOW_TOP - 22, f"{len(rtts_ns) - shown} slower ones not shown", "end")


def _range(ordered_ns: Sequence[int]) -> tuple[int, int]:
    """What the lower picture shows: all, or without a tail that would press the rest flat."""
    low, high = ordered_ns[0], ordered_ns[-1]
    usual = ordered_ns[len(ordered_ns) * 95 // 100]
    if len(ordered_ns) >= 20 and high - low > 6 * (usual - low) > 0:
        high = low + 2 * (usual - low)
    if high - low < 1000:
        return low - 500, high + 500
    return low, high


def _shares(ordered_ns: Sequence[int], across: Scale) -> Iterator[str]:
    """The share of replies that are not slower, as a stair, with an axis at the right."""
    n = len(ordered_ns)
    upwards = Scale(0, 100, LOW_BOTTOM, LOW_TOP)
    stair = [f"M{LEFT} {LOW_BOTTOM}"]
    for step in range(min(n, 400)):
        place = (step + 1) * n // min(n, 400)
        x = across(ordered_ns[place - 1] / 1e6)
        if x > RIGHT:
            break
        stair.append(f"H{number(x)}V{number(upwards(100 * place / n))}")
    yield draw.path("ecdf", "".join(stair) + f"H{RIGHT}")
    yield draw.upright(RIGHT + 50, (LOW_TOP + LOW_BOTTOM) / 2, "share not slower")
    for share in (0, 50, 100):
        yield draw.text(RIGHT + 8, upwards(share) + 4, f"{share}%")
    median_ns = (ordered_ns[(n - 1) // 2] + ordered_ns[n // 2]) / 2  # as in the figures above
    places = [across(time_ns / 1e6) for time_ns in (median_ns, percentile(ordered_ns, 95))]
    # Labels that would touch stand beside their lines instead of above them.
    apart = places[1] - places[0] > 60
    for x, name, side in zip(places, ("median", "p95"), (-4, 4), strict=True):
        yield draw.path("mark", f"M{number(x)} {LOW_TOP - 4}V{LOW_BOTTOM}")
        if apart:
            yield draw.text(x, LOW_TOP - 8, name, "mid")
        else:
            yield draw.text(x + side, LOW_TOP - 8, name, "end" if side < 0 else "")
    yield draw.path("frame", f"M{LEFT} {LOW_TOP}V{LOW_BOTTOM}H{RIGHT}V{LOW_TOP}")
