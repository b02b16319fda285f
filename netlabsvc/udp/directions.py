"""Which of the two ways lost, copied or overtook what: told by a server that counts its replies.

    s  the number of a probe          r  the server's own number of a reply, from 0

r gives the order in which requests arrived there; a number that is missing between two that came
is a hole: a reply that was lost on its way down.

- One s with two r was copied on its way up (RFC 5560), one r that came twice on its way down.
- Reordering (RFC 4737) up is that of s in the order of r, down that of r in the order of arrival.
- Between two replies with g holes, m probes are missing. g = 0: all were lost up. g >= m: all
  down. Else m - g up and g down; which is which is not certain, and not said.
- Where requests overtook each other, the replies between two points that nothing crossed are
  judged together, and so are such stretches that a request could have got across: as far as
  nine of ten that came. Where requests were copied as well, a hole does not tell which.
- A hole that no missing probe next to it explains belongs to a missing probe elsewhere; where
  requests were copied on their way, it may be the reply to a copy, and is taken for that.
- Of what is missing after the last probe that was answered, nothing is known.

So holes are exact, and loss down is a share of replies; loss up is a share of probes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from netlabsvc.udp.distribution import percentile
from netlabsvc.udp.fates import Direction, Fate, Outcome, known
from netlabsvc.udp.ordering import Reordering, reordering, unwrapped
from netlabsvc.udp.proportion import Share
from netlabsvc.udp.trace import Reply, Trace


@dataclass(frozen=True, slots=True)
class Way:
    """One direction."""

    loss: Share
    """Up: of the probes whose way is known. Down: of the replies that left there."""
    reordering: Reordering
    duplicates: int


@dataclass(frozen=True, slots=True)
class Directions:
    """Both ways. The three counts of lost probes add up to all that were lost."""

    up: Way
    down: Way
    lost_up: int
    lost_down: int
    lost_unknown: int
    told: dict[int, Direction]
    """The lost probes, by number, of which it is not only counted where they were lost."""


@dataclass(slots=True)
class _Stretch:
    """Missing probes and the holes that could be theirs."""

    missing: list[int]
    holes: int
    begin: int = 0
    """The place of its first cut among the probes that came."""
    end: int = 0


def directions(trace: Trace, outcomes: Sequence[Outcome]) -> Directions | str:
    """Tell the ways apart; where that cannot be, why not, as part of a sentence."""
    replies = known(trace)
    if not trace.stateful or any(reply.number is None for reply in replies):
        return "the server is not seen to count its replies"
    if not replies:
        return "no reply came"
    numbers = unwrapped(reply.number or 0 for reply in replies)
    probe_of = dict(zip(numbers, (reply.seq for reply in replies), strict=True))
    if _restarted(trace, replies, numbers, probe_of):
        return "the server's count began anew during the run"
    return _tell(numbers, probe_of, outcomes)


def _restarted(
    trace: Trace, replies: Sequence[Reply], numbers: Sequence[int], probe_of: dict[int, int]
) -> bool:
    """Whether the count cannot be one: a number for two probes, or one that went back in time."""
    came = list(accumulate((reply.arrived_ns for reply in replies), max))
    highest = list(accumulate(numbers, max))
    for reply, number in zip(replies, numbers, strict=True):
        before = bisect_right(came, trace.probes[reply.seq - 1].sent_ns - 1)
        # What had arrived here when the probe left has a smaller number than its reply.
        if probe_of[number] != reply.seq or (before and highest[before - 1] >= number):
            return True
    return False


def _tell(
    numbers: Sequence[int], probe_of: dict[int, int], outcomes: Sequence[Outcome]
) -> Directions | str:
    base, missing = _beginning(probe_of, outcomes)
    replies = max(probe_of) - base + 1
    if replies > 2 * len(outcomes):
        return f"the server counts {replies} replies to {len(outcomes)} probes"
    first: dict[int, int] = {}  # by probe: the lowest number of its replies
    for number in sorted(probe_of):
        first.setdefault(probe_of[number], number)
    copied = len(probe_of) - len(first)
    reach = _displacement(list(first))
    stretches = _joined(_stretches(first, probe_of, missing, base), reach)
    up, down, either = _judged(stretches, copied > 0, reach > 0)
    lost = {o.seq for o in outcomes if o.fate is Fate.LOST}
    told = dict.fromkeys(lost.intersection(up), Direction.UP)
    told |= dict.fromkeys(lost.intersection(down), Direction.DOWN)
    # Those that may still be answered are not lost: with one of them a count says nothing.
    counted = [s for s in either if lost.issuperset(s.missing)]
    lost_down = sum(way is Direction.DOWN for way in told.values())
    lost_down += sum(min(s.holes, len(s.missing)) for s in counted)
    known_way = len(told) + sum(len(s.missing) for s in counted)
    return Directions(
        Way(Share(known_way - lost_down, known_way + len(first)), reordering(first), copied),
        Way(
            Share(replies - len(probe_of), replies),
            reordering(dict.fromkeys(numbers)),
            len(numbers) - len(probe_of),
        ),
        lost_up=known_way - lost_down,
        lost_down=lost_down,
        lost_unknown=len(lost) - known_way,
        told=told,
    )


def _beginning(probe_of: dict[int, int], outcomes: Sequence[Outcome]) -> tuple[int, list[int]]:
    """The number of the server's first reply to this run, and the probes missing from then on."""
    last, base = max(probe_of.values()), min(probe_of)
    missing = [o.seq for o in outcomes[:last] if o.fate in (Fate.LOST, Fate.OPEN)]
    if 0 <= base <= len(missing):
        return 0, missing
    begin = min(probe_of.values())  # it has known us for longer
    return base, [seq for seq in missing if seq > begin]


def _stretches(
    first: dict[int, int], probe_of: dict[int, int], missing: Sequence[int], base: int
) -> Iterator[_Stretch]:
    """Cut the run wherever nothing that came crossed; a cut lies before each reply.

    :param first: by probe, in the order of arrival there, the number of its reply.
    """
    probes = list(first)
    highest = list(accumulate(probes, max))
    lowest = list(accumulate(reversed(probes), min))[::-1]
    seen = sorted(probe_of)
    stretch, place, previous, clean_before = _Stretch([], 0), 0, base - 1, False
    left = 0  # how many replies came with smaller numbers, copies among them
    for n, probe in enumerate(probes):
        clean = n == 0 or highest[n - 1] < lowest[n]
        if clean and clean_before:
            yield stretch
            stretch = _Stretch([], 0, n)
        stretch.end = n
        number = first[probe]
        came = bisect_right(seen, number) - 1
        stretch.holes += number - previous - 1 - (came - left)
        previous, left, clean_before = number, came + 1, clean
        # Up to a clean cut, what is missing lies before it; else up to the end, or the next one.
        limit = lowest[n] if clean else highest[n]
        while place < len(missing) and missing[place] < limit:
            stretch.missing.append(missing[place])
            place += 1
    yield stretch


def _displacement(arrived: Sequence[int]) -> int:
    """How many places the requests came from where they would have come in order: the p90.

    A single straggler must not make everything else doubtful.
    """
    ranks = {probe: rank for rank, probe in enumerate(sorted(arrived))}
    return percentile(sorted(abs(ranks[p] - place) for place, p in enumerate(arrived)), 90)


def _joined(stretches: Iterable[_Stretch], reach: int) -> list[_Stretch]:
    """Those with something to explain; as one where a request could have got across."""
    joined: list[_Stretch] = []
    for stretch in stretches:
        if not stretch.missing and not stretch.holes:
            continue
        if joined and reach and stretch.begin - joined[-1].end <= reach:
            joined[-1].missing += stretch.missing
            joined[-1].holes += stretch.holes
            joined[-1].end = stretch.end
        else:
            joined.append(stretch)
    return joined


def _judged(
    stretches: Sequence[_Stretch], copied: bool, crossed: bool
) -> tuple[list[int], list[int], list[_Stretch]]:
    """The probes lost up, those lost down, and the stretches with some of both."""
    up: list[int] = []
    down: list[int] = []
    either: list[_Stretch] = []
    spare = 0
    for stretch in stretches:
        spare += max(0, stretch.holes - len(stretch.missing))
        if not stretch.holes:
            up += stretch.missing
        elif stretch.holes >= len(stretch.missing) and not (copied and crossed):
            down += stretch.missing
        else:
            either.append(stretch)
    if spare and not copied:
        # They belong to missing probes elsewhere.
        doubtful = up + [seq for s in either for seq in s.missing]
        holes = spare + sum(s.holes for s in either)
        if holes >= len(doubtful):
            return [], down + doubtful, []
        return [], down, [_Stretch(doubtful, holes)]
    return up, down, either
