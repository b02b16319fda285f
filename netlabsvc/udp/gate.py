"""The gate of a reflector: which sources get in, and how often.

What the address alone tells of a source is worked out once (`sources.py`) and remembered for some
thousands of them; how much it has asked is in a bucket (`buckets.py`) that all reflectors share.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.logger import Logger

from netlabsvc.udp.buckets import Buckets, Verdict
from netlabsvc.udp.counts import Counts
from netlabsvc.udp.sources import ANSWERING_PORTS, Source
from netlabsvc.udp.tongue import Refusal

log = Logger()

#: Sources of which it is remembered what there is to know.
MAX_KNOWN = 4096


@dataclass(frozen=True)
class Clocks:
    """The two clocks, in nanoseconds.

    :ivar wall_ns: since the Unix epoch.
    :ivar monotonic_ns: never goes back; delays and rates go by it.
    """

    wall_ns: Callable[[], int] = time.time_ns
    monotonic_ns: Callable[[], int] = time.monotonic_ns


@dataclass
class Rules:
    """Whom to answer, for all reflectors of a daemon.

    :ivar refused_ports: of sources: services that answer anything, and the reflectors' own.
    :ivar all_may_grow: whether the replies to far sources may be longer than their requests.
    """

    buckets: Buckets
    refused_ports: set[int] = field(default_factory=lambda: set(ANSWERING_PORTS))
    all_may_grow: bool = False


class Gate:
    """Lets the sources of one reflector in, or counts why not.

    :ivar known: by their raw address; who is not there is learnt.
    """

    def __init__(
        self, name: str, rules: Rules, counts: Counts, monotonic_ns: Callable[[], int]
    ) -> None:
        self.known: dict[bytes, Source] = {}
        self._name, self._rules, self._counts = name, rules, counts
        self._monotonic_ns = monotonic_ns
        #: Whose drops have been logged since the last `tell_anew`.
        self._told: set[bytes] = set()

    def learn(self, name: bytes) -> Source:
        """Work out what there is to know of a source."""
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        source = Source(name, self._rules.refused_ports, self._rules.all_may_grow)
        self.known[name] = source
        return source

    def admitted(self, source: Source) -> bool:
        """Whether a source may have an answer now; counts the reason where not."""
        if source.refusal is not None:
            self._counts.refuse(source.refusal)
            return False
        if source.free:
            return True
        verdict = self._rules.buckets.take(source.block, self._monotonic_ns())
        if verdict is Verdict.GRANTED:
            return True
        own = verdict is Verdict.OVER_ITS_RATE
        self._counts.refuse(Refusal.OVER_ITS_RATE if own else Refusal.OVER_ALL)
        if source.block not in self._told and len(self._told) < MAX_KNOWN:
            self._told.add(source.block)
            text = "UDP {reflector}: {host} is {verdict}; what comes too fast is dropped"
            told = {"reflector": self._name, "host": source.host, "verdict": verdict.value}
            log.warn(text, **told)
        return False

    def tell_anew(self) -> None:
        """Log the next drop of each source again; called once a minute."""
        self._told.clear()
