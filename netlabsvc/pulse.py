"""How late the reactor is: a call at a fixed interval that notes how much later than due it runs.

Whatever keeps the reactor from turning (a callback that blocks, a machine under load, a stopped
process) makes it late for everyone. What blocks for longer than the interval is always seen, short
by at most one interval; what is shorter, by chance.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netlabsvc.metrics import Histogram, Metric, gauge

#: A daemon in which nothing happens should hardly wake.
INTERVAL_S = 0.5
#: For so long a lag is remembered by `most_s`: longer than people let pass between two scrapes.
REMEMBERED_S = 60.0
_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Pulse:
    """The reactor's pulse.

    :ivar last_s: the last lag.
    """

    def __init__(self, reactor: IReactorTime, now: Callable[[], float] = time.monotonic) -> None:
        """:param now: in seconds. Not the reactor's own clock, which is the wall clock: when that
        is set, nothing is late.
        """
        self.last_s = 0.0
        self._reactor = reactor
        self._now = now
        self._due_s = 0.0
        self._call: IDelayedCall | None = None
        self._lags = Histogram(_BOUNDS_S)
        # When, and how much. Each is larger than all that came later: the first is the largest.
        self._largest: deque[tuple[float, float]] = deque()

    def start(self) -> None:
        self._due_s = self._now() + INTERVAL_S
        self._call = self._reactor.callLater(INTERVAL_S, self._beat)

    def stop(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()

    def most_s(self) -> float:
        """The largest lag of the last minute."""
        self._forget(self._now())
        return self._largest[0][1] if self._largest else 0.0

    def metrics(self) -> Iterator[Metric]:
        yield self._lags.metric(
            "netlab_reactor_lag_seconds", "How late the reactor called what was due."
        )
        yield gauge(
            "netlab_reactor_last_lag_seconds",
            "How late the reactor was with the last call that was due.",
            self.last_s,
        )
        yield gauge(
            "netlab_reactor_max_lag_seconds",
            "How late the reactor was at most in the last minute.",
            self.most_s(),
        )

    def _beat(self) -> None:
        # First of all: nothing that fails below can stop it.
        self._call = self._reactor.callLater(INTERVAL_S, self._beat)
        now = self._now()
        self.last_s = lag_s = max(0.0, now - self._due_s)
        self._due_s = now + INTERVAL_S
        self._lags.observe(lag_s)
        while self._largest and self._largest[-1][1] <= lag_s:
            self._largest.pop()
        self._largest.append((now, lag_s))
        self._forget(now)

    def _forget(self, now: float) -> None:
        while self._largest and self._largest[0][0] <= now - REMEMBERED_S:
            self._largest.popleft()
