"""A table of sessions that cannot grow without bound: idle ones end, and a full table forgets.

A session is half open until it is used for the first time after it was added. Whoever forges
sources can open many and use none: so half-open ones end sooner, and go first where the table is
full; among equals goes the one that was used least recently.

It knows no protocol and reads no clock: every time is an argument, in nanoseconds of one
monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

CAP = 10_000
IDLE_NS = 300 * 10**9
HALF_OPEN_NS = 5 * 10**9


class _Entry(Generic[V]):
    __slots__ = ("at_ns", "value")

    def __init__(self, at_ns: int, value: V) -> None:
        self.at_ns = at_ns
        self.value = value


class Sessions(Generic[K, V]):
    """The sessions of one reflector.

    :param cap: how many there are at most.
    :param idle_ns: one that was not used for so long is over.
    :param half_open_ns: the same for one that was never used.
    """

    def __init__(
        self, cap: int = CAP, idle_ns: int = IDLE_NS, half_open_ns: int = HALF_OPEN_NS
    ) -> None:
        self._cap = cap
        self._idle_ns = idle_ns
        self._half_open_ns = half_open_ns
        # Each with the oldest first.
        self._used: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._half_open: OrderedDict[K, _Entry[V]] = OrderedDict()

    def __len__(self) -> int:
        """How many are remembered; some may be over already."""
        return len(self._used) + len(self._half_open)

    def __contains__(self, key: K) -> bool:
        """Whether one of this key is remembered."""
        return key in self._used or key in self._half_open

    def find(self, key: K, now_ns: int) -> V | None:
        """The session of a key, which does not count as use; None where there is none."""
        entry, most_ns = self._used.get(key), self._idle_ns
        if entry is None:
            entry, most_ns = self._half_open.get(key), self._half_open_ns
        if entry is None or now_ns - entry.at_ns > most_ns:
            return None
        return entry.value

    def use(self, key: K, now_ns: int) -> V | None:
        """The session of a key, used now; None where there is none."""
        entry = self._used.get(key)
        if entry is not None and now_ns - entry.at_ns <= self._idle_ns:
            entry.at_ns = now_ns
            self._used.move_to_end(key)
            return entry.value
        return self._use_half_open(key, now_ns)

    def add(self, key: K, value: V, now_ns: int) -> None:
        """Begin a session, in the place of one of the same key."""
        self.remove(key)
        self._end(self._half_open, now_ns - self._half_open_ns)
        self._end(self._used, now_ns - self._idle_ns)
        if len(self) >= self._cap:
            (self._half_open or self._used).popitem(last=False)
        self._half_open[key] = _Entry(now_ns, value)

    def remove(self, key: K) -> None:
        """End the session of a key, if there is one."""
        self._used.pop(key, None)
        self._half_open.pop(key, None)

    def _use_half_open(self, key: K, now_ns: int) -> V | None:
        entry = self._half_open.get(key)
        if entry is None or now_ns - entry.at_ns > self._half_open_ns:
            return None
        self._used[key] = self._half_open.pop(key)
        entry.at_ns = now_ns
        return entry.value

    @staticmethod
    def _end(entries: OrderedDict[K, _Entry[V]], before_ns: int) -> None:
        """Forget those at the front that are over, and so all of them, at no cost in between."""
        while entries:
            key = next(iter(entries))
            if entries[key].at_ns >= before_ns:
                return
            del entries[key]
