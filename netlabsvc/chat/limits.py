"""How fast a client may talk, and how far it may fall behind. Time is an argument, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netlabsvc.chat.tally import Cut


class TokenBucket:
    """A burst at once, then a steady rate."""

    __slots__ = ("_at_s", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: int) -> None:
        """:param rate: tokens per second; :param burst: tokens at most, and at the start."""
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at_s = 0.0

    def take(self, now_s: float) -> float:
        """Take one token; returns how many seconds to wait before the next may be taken."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        self._tokens -= 1
        return max(0.0, (1 - self._tokens) / self._rate)

    def change(self, now_s: float, rate: float, burst: int) -> float:
        """Go on at another rate; what was taken counts. Returns how many seconds to wait."""
        self.take(now_s)  # counts the time until now at the old rate
        self._rate, self._burst = rate, float(burst)
        self._tokens = min(self._burst, self._tokens + 1)
        return max(0.0, (1 - self._tokens) / rate)


@dataclass(frozen=True)
class Bounds:
    """How far behind a reader may be.

    :ivar queue_bytes: the bound of what waits for a reader; None: none. A reader that reads may be
        over it for `long_s`, and eight times over it for no time.
    :ivar stall_s: a reader without progress for so long is cut; None: never.
    :ivar high_bytes: above it, a reader that does read pauses those who write.
    :ivar low_bytes: below it they go on.
    :ivar reading_s: who made no progress for so long does not read, and pauses nobody.
    :ivar over_s: so long without progress, over the bound, is enough to be cut.
    :ivar patience_s: so long others wait for one reader; who has not caught up by then pauses
        nobody any more.
    :ivar long_s: who has been over the bound for so long reads too slowly for this room.
    """

    queue_bytes: int | None = 1024 * 1024
    stall_s: float | None = 5.0
    high_bytes: int = 256 * 1024
    low_bytes: int = 64 * 1024
    reading_s: float = 0.1
    over_s: float = 2.0
    patience_s: float = 1.0
    long_s: float = 5.0

    @classmethod
    def of(cls, queue_bytes: int | None, stall_s: float | None) -> Bounds:
        """Bounds for a queue of this size, of which a quarter pauses those who write."""
        high_bytes = min(cls.high_bytes, (queue_bytes or cls.high_bytes * 4) // 4)
        return cls(queue_bytes, stall_s, high_bytes, high_bytes // 4)


#: So many times the bound may wait for a reader for a moment: what a whole class pastes at once is
#: more than the bound, and takes a slow network some seconds.
FAR_OVER = 8


class Verdict(NamedTuple):
    """Why a reader must be cut: as what it is counted, and for people."""

    cut: Cut
    why: str


class Backlog:
    """What one reader has not taken yet, watched over time."""

    __slots__ = ("_far_s", "_left_bytes", "_moved_s", "_over_s", "bounds", "queued_bytes")

    def __init__(self, bounds: Bounds, now_s: float) -> None:
        self.bounds = bounds
        self._left_bytes = -1
        self._moved_s = now_s
        self._far_s: float | None = None  # since when it has been far behind, by its own fault
        self._over_s: float | None = None  # since when it has been over the bound, likewise
        self.queued_bytes = 0

    def observe(self, now_s: float, queued_bytes: int, left_bytes: int, blocked: bool) -> None:
        """Note what waits and how many bytes have left for good (acknowledged by the peer).

        :param blocked: whether the kernel holds bytes that the peer has not taken; otherwise the
            reader waits for us, not we for the reader.
        """
        if left_bytes != self._left_bytes or queued_bytes == 0:
            self._left_bytes = left_bytes
            self._moved_s = now_s
        if queued_bytes <= self.bounds.low_bytes:
            self._far_s = None
        elif self._far_s is None or not blocked:
            self._far_s = now_s
        most = self.bounds.queue_bytes
        if most is None or queued_bytes <= most:
            self._over_s = None
        elif self._over_s is None or not blocked:
            self._over_s = now_s
        self.queued_bytes = queued_bytes

    def pauses_others(self, now_s: float, closed: bool) -> bool:
        """Whether those who write should wait for this reader.

        :param closed: whether they wait already; then they wait until `low_bytes`.
        """
        reads = now_s - self._moved_s < self.bounds.reading_s
        mark = self.bounds.low_bytes if closed else self.bounds.high_bytes
        return reads and self.queued_bytes > mark and not self._too_slow(now_s)

    def verdict(self, now_s: float) -> Verdict | None:
        """Why the reader must be cut, or None."""
        still_s = now_s - self._moved_s
        stall_s, most = self.bounds.stall_s, self.bounds.queue_bytes
        if stall_s is not None and still_s >= stall_s:
            return Verdict(Cut.STALLED, f"read nothing for {stall_s:g} s")
        if most is None or self.queued_bytes <= most:
            return None
        over_s = 0.0 if self._over_s is None else now_s - self._over_s
        long = over_s >= self.bounds.long_s or still_s >= self.bounds.over_s
        if not long and self.queued_bytes <= FAR_OVER * most:
            return None
        cut, how = Cut.TOO_SLOW, "reads too slowly"
        if still_s >= self.bounds.reading_s:
            cut, how = Cut.NOT_READING, "does not read"
        return Verdict(cut, f"{how}, and more than {most} bytes wait")

    def _too_slow(self, now_s: float) -> bool:
        return self._far_s is not None and now_s - self._far_s >= self.bounds.patience_s
