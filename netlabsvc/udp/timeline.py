"""What is due later, in order: the packets that a fault holds back.

It reads no clock: every time is an argument, in nanoseconds of one clock that never goes back.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Timeline(Generic[T]):
    """Things with the time at which each is due; those due at one time keep their order.

    :param cap: how many there are at most.
    """

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._heap: list[tuple[int, int, T]] = []
        self._entered = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._heap)

    def add(self, due_ns: int, thing: T) -> bool:
        """Let a thing wait; False where there is no room for it."""
        if len(self._heap) >= self._cap:
            return False
        self._entered += 1
        heappush(self._heap, (due_ns, self._entered, thing))
        return True

    def next_ns(self) -> int | None:
        """When the next thing is due; None where nothing waits."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now_ns: int) -> tuple[int, T] | None:
        """Take out the next thing that is due by now, with the time at which it was."""
        if not self._heap or self._heap[0][0] > now_ns:
            return None
        due_ns, _, thing = heappop(self._heap)
        return due_ns, thing
