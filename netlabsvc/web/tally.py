"""What the web site counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from netlabsvc.metrics import Metric, Sample, counter

#: By which requests are told apart; a peer may call its method what it likes.
METHODS = {
    method.encode("ascii"): method
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH")
}


@dataclass
class Tally:
    """Counters of one site.

    :ivar requests: by method and status of the answer.
    :ivar body_bytes: of all answers, without their heads.
    """

    connections: int = 0
    dropped: int = 0
    body_bytes: int = 0
    requests: Counter[tuple[str, int]] = field(default_factory=Counter)

    def answered(self, method: bytes, status: int, body_bytes: int) -> None:
        """A request got its answer, or as much of it as the peer took."""
        self.requests[METHODS.get(method, "other"), status] += 1
        self.body_bytes += body_bytes

    def refused(self, status: int) -> None:
        """What came was no request, or not a whole one, and got this status."""
        self.requests["none", status] += 1

    def metrics(self) -> Iterator[Metric]:
        yield counter(
            "netlab_web_connections_total",
            "Connections that clients opened, those refused with a 503 included.",
            self.connections,
        )
        yield counter(
            "netlab_web_dropped_connections_total",
            "Connections closed without an answer, because even refusals were too many.",
            self.dropped,
        )
        yield Metric(
            "netlab_web_requests_total",
            "counter",
            'Requests by method and status; the method is "none" where no whole request arrived.',
            tuple(
                Sample(n, (("method", method), ("status", str(status))))
                for (method, status), n in sorted(self.requests.items())
            ),
        )
        yield counter(
            "netlab_web_body_bytes_total", "Bytes of the bodies of answers.", self.body_bytes
        )
