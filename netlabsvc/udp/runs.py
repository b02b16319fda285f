"""Losses in a row: how many such runs, how long, and Gilbert's two probabilities from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, pairwise


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of losses, in the order of sending.

    With p a loss begins after a probe that was answered, with r it ends (Gilbert 1960); None where
    nothing that was seen tells it.
    """

    number: int
    longest: int
    lost: int
    p: float | None
    r: float | None

    @property
    def mean(self) -> float | None:
        """The mean length; None where nothing was lost."""
        return self.lost / self.number if self.number else None


def runs(lost: Iterable[bool]) -> Runs:
    """The runs in a list that says of each probe whether it was lost."""
    seen = list(lost)
    lengths = [sum(1 for _ in group) for was_lost, group in groupby(seen) if was_lost]
    begun = ended = 0
    for before, now in pairwise(seen):
        begun += now and not before
        ended += before and not now
    losses, last = sum(lengths), bool(seen and seen[-1])
    # The last one is followed by nothing.
    after_lost, after_answered = losses - last, len(seen) - losses - (bool(seen) and not last)
    return Runs(
        len(lengths),
        max(lengths, default=0),
        losses,
        begun / after_answered if after_answered else None,
        ended / after_lost if after_lost else None,
    )
