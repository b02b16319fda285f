"""Reordering (RFC 4737): what arrives after something that was sent later.

It knows numbers in the order of their arrival, each of them once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reordering:
    """How many of those that arrived were out of order, and how far."""

    reordered: int
    of: int
    max_extent: int
    """In packets that had arrived in between; 0 where none was reordered."""
    sum_of_extents: int

    @property
    def ratio(self) -> float | None:
        """The share of the reordered; None of nothing."""
        return self.reordered / self.of if self.of else None

    @property
    def mean_extent(self) -> float | None:
        """Of the reordered ones; None where there are none."""
        return self.sum_of_extents / self.reordered if self.reordered else None


def reordering(arrived: Iterable[int]) -> Reordering:
    """Judge each number against the next expected: the highest so far + 1 (RFC 4737, 3.3).

    The extent (4.2.1) is the distance, in arrivals, to the earliest that has a higher number.
    """
    highest: list[int] = []  # of the first n + 1 arrivals
    reordered = largest = total = 0
    for position, number in enumerate(arrived):
        if not highest or number > highest[-1]:
            highest.append(number)
            continue
        extent = position - bisect_right(highest, number)
        reordered += 1
        total += extent
        largest = max(largest, extent)
        highest.append(highest[-1])
    return Reordering(reordered, len(highest), largest, total)


def unwrapped(numbers: Iterable[int]) -> list[int]:
    """Numbers of 32 bits without their wraps: each as near to the highest before it as can be.

    The first stays as it is; one that is older than that by a wrap becomes negative.
    """
    told: list[int] = []
    highest: int | None = None
    for number in numbers:
        if highest is None:
            highest = number
        ahead = (number - highest + (1 << 31)) % (1 << 32) - (1 << 31)
        told.append(highest + ahead)
        highest = max(highest, told[-1])
    return told
