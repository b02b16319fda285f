"""Which sequence numbers have arrived: how many different ones, and which of the last.

Numbers are 32 bits and wrap. What lies further behind the newest than the memory reaches is taken
for seen: a copy could not be told from it, and nothing waits that long in a reflector, which
holds back 1000 packets at most.
"""

from __future__ import annotations

#: How far behind the newest number a copy is still known as one.
MEMORY = 1024
_MEMORY_MASK = (1 << MEMORY) - 1
_HALF = 1 << 31


class Window:
    """The numbers of one session."""

    __slots__ = ("_newest", "_seen", "count")

    def __init__(self) -> None:
        self._newest = 0
        self._seen = 0  # bit i: the newest less i
        #: How many different numbers have arrived.
        self.count = 0

    def note(self, number: int) -> None:
        """Take note of a number that arrived, perhaps again, in any order."""
        ahead = (number - self._newest) & 0xFFFFFFFF
        if not self._seen or MEMORY <= ahead < _HALF:
            self._newest, self._seen = number, 1
        elif ahead < _HALF:
            if not ahead:
                return  # the newest again
            self._newest, self._seen = number, (self._seen << ahead | 1) & _MEMORY_MASK
        else:
            behind = (1 << 32) - ahead
            if behind >= MEMORY or self._seen >> behind & 1:
                return
            self._seen |= 1 << behind
        self.count += 1

    def before(self, number: int) -> int:
        """64 bits: bit 0 is this number, bit i the one that is less by i."""
        behind = (self._newest - number) & 0xFFFFFFFF
        return self._seen >> min(behind, MEMORY) & 0xFFFFFFFFFFFFFFFF
