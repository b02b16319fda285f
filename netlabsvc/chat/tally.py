"""What the chat counts, and why it turns clients away or ends their connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from netlabsvc.metrics import Metric, counter, counter_by


class Refusal(StrEnum):
    """Why a client does not come in."""

    FULL = "full"
    BANNED = "banned"


class Cut(StrEnum):
    """Why the server ends a connection that the client did not want to end."""

    STALLED = "stalled"
    NOT_READING = "not_reading"
    TOO_SLOW = "too_slow"
    LONG_LINES = "long_lines"
    BAD_LENGTH = "bad_length"
    WRONG_PROTOCOL = "wrong_protocol"
    BANNED = "banned"
    KICKED = "kicked"


@dataclass
class Tally:
    """Counters of one room.

    :ivar lines: what clients and the operator said, to all or to one.
    :ivar copies: each of these lines, once for every client to whose queue it was handed.
    """

    connections: int = 0
    lines: int = 0
    copies: int = 0
    refused: dict[Refusal, int] = field(default_factory=lambda: dict.fromkeys(Refusal, 0))
    cut: dict[Cut, int] = field(default_factory=lambda: dict.fromkeys(Cut, 0))

    def metrics(self) -> Iterator[Metric]:
        yield counter(
            "netlab_chat_connections_total",
            "Connections that clients opened, those turned away included.",
            self.connections,
        )
        yield counter_by(
            "netlab_chat_refused_total", "Clients turned away.", "reason", self.refused
        )
        yield counter_by(
            "netlab_chat_cut_total",
            "Clients whose connection the server ended, shutdown apart.",
            "reason",
            self.cut,
        )
        yield counter(
            "netlab_chat_lines_total",
            "Lines that clients and operators said, to all or to one.",
            self.lines,
        )
        yield counter(
            "netlab_chat_copies_total",
            "Copies of these lines handed to clients, those of the history included.",
            self.copies,
        )
