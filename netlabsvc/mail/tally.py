"""What the mail sandbox counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from netlabsvc.metrics import Metric, Sample, counter, counter_by


class Outcome(StrEnum):
    """What became of a message whose DATA was begun."""

    KEPT = "kept"
    DROPPED = "dropped"
    REFUSED = "refused"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass
class Tally:
    """Counters of one sandbox.

    :ivar refused: replies that refuse something, by what they refuse and class (4 or 5). What is
        the verb of a command, ``other`` for one that is not known here, ``message`` for all of it
        after DATA, ``connection`` for a goodbye of ours.
    """

    connections: int = 0
    kept_bytes: int = 0
    messages: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    refused: Counter[tuple[str, int]] = field(default_factory=Counter)

    def count(self, what: str, code: int) -> None:
        """A reply was given: count it where it refuses something."""
        if code >= 400:
            self.refused[what, code // 100] += 1

    def metrics(self) -> Iterator[Metric]:
        yield counter(
            "netlab_mail_connections_total",
            "Connections that clients opened, those turned away included.",
            self.connections,
        )
        yield counter_by(
            "netlab_mail_messages_total",
            "Messages by what became of them: kept, dropped (on disk, but not answered, as told), "
            "refused (5xx), failed (our disk: 4xx), or abandoned by their client.",
            "outcome",
            self.messages,
        )
        yield counter("netlab_mail_kept_bytes_total", "Bytes of messages kept.", self.kept_bytes)
        yield Metric(
            "netlab_mail_refused_total",
            "counter",
            "Replies that refuse something: a command by its verb, a message, or the connection.",
            tuple(
                Sample(n, (("what", what), ("class", f"{digit}xx")))
                for (what, digit), n in sorted(self.refused.items())
            ),
        )
