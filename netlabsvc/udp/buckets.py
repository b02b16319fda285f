"""How many packets one source may have answered, and all together: token buckets.

A bucket is one number: the time at which it will be full again (the generic cell rate algorithm,
ITU-T I.371, annex A). A source is an IPv4 address, or the first 64 bits of an IPv6 address, which
one host can have for itself. It knows no sockets and reads no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: Sources that are remembered. One that is forgotten begins with a full bucket; the bucket of all
#: bounds what that is good for.
CAP = 10_000


class Verdict(Enum):
    """Whether a packet may be answered."""

    GRANTED = "granted"
    OVER_ITS_RATE = "over its rate"
    OVER_ALL = "over the rate of all together"


@dataclass(frozen=True)
class Rate:
    """A steady rate, and how many may come at once.

    :ivar per_s: None: no limit.
    """

    per_s: float | None
    burst: int


class _Bucket:
    """The arithmetic of one rate; the state, `full_ns`, is kept by who asks."""

    __slots__ = ("_cost_ns", "_most_ns")

    def __init__(self, rate: Rate) -> None:
        self._cost_ns = round(1e9 / rate.per_s) if rate.per_s else 0
        self._most_ns = (rate.burst - 1) * self._cost_ns

    def after(self, full_ns: int, now_ns: int) -> int | None:
        """When it is full again after one more packet; None where there is none left in it."""
        wait_ns = full_ns - now_ns
        if wait_ns > self._most_ns:
            return None
        return now_ns + max(wait_ns, 0) + self._cost_ns

    def debt(self, full_ns: int, now_ns: int) -> int:
        """The same for a packet that goes out in any case."""
        return max(full_ns, now_ns) + self._cost_ns


class Buckets:
    """A bucket for each source, and one for all of them."""

    def __init__(self, each: Rate, together: Rate, cap: int = CAP) -> None:
        self._each, self._together = _Bucket(each), _Bucket(together)
        self._cap = cap
        #: When the bucket of each source is full again; the least recently used first.
        self._full_ns: dict[bytes, int] = {}
        self._all_full_ns = 0

    def __len__(self) -> int:
        """How many sources are remembered."""
        return len(self._full_ns)

    def apply(self, each: Rate, together: Rate) -> None:
        """Go on with other rates."""
        self._each, self._together = _Bucket(each), _Bucket(together)

    def take(self, source: bytes, now_ns: int) -> Verdict:
        """Take a packet out of the bucket of a source and of that of all, or of neither.

        :param now_ns: of any clock that never goes back.
        """
        full_ns = self._full_ns.pop(source, 0)
        own, together = self._each.after(full_ns, now_ns), None
        if own is not None:
            together = self._together.after(self._all_full_ns, now_ns)
        if own is None or together is None:
            self._keep(source, full_ns)
            return Verdict.OVER_ITS_RATE if own is None else Verdict.OVER_ALL
        self._keep(source, own)
        self._all_full_ns = together
        return Verdict.GRANTED

    def charge(self, source: bytes, now_ns: int) -> None:
        """Take one for a copy that goes out in any case: the next packets pay for it."""
        self._keep(source, self._each.debt(self._full_ns.pop(source, 0), now_ns))
        self._all_full_ns = self._together.debt(self._all_full_ns, now_ns)

    def _keep(self, source: bytes, full_ns: int) -> None:
        if len(self._full_ns) >= self._cap:
            del self._full_ns[next(iter(self._full_ns))]
        self._full_ns[source] = full_ns
