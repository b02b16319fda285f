"""Lines of clients that an operator has not seen yet, in the order in which they came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

#: How many clients a count of unread lines names.
MOST_NAMED = 5


@dataclass(eq=False)
class Client:
    """Somebody in the chat, in one run of the daemon.

    :ivar through: the last of its lines that came as an event, as the desk counts them.
    :ivar fetched: those behind it that were fetched from the desk before their event came.
    :ivar shown: the last one that was shown.
    """

    number: int
    name: str
    peer: str = ""
    gone: bool = False
    through: int = 0
    fetched: set[int] = field(default_factory=set)
    shown: int = 0

    def __str__(self) -> str:
        return f"{self.number} {self.name}"


@dataclass(frozen=True)
class Kept:
    """A line of a client that was not shown yet.

    :ivar line: its number on the desk; 0: it is not there.
    :ivar counted: the client said it; else it is news of the client.
    """

    client: Client
    text: str
    line: int
    counted: bool


class Unread:
    """What waits for an operator's eyes."""

    def __init__(self) -> None:
        self._kept: list[Kept] = []
        self._counts: Counter[Client] = Counter()
        self._told = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Kept]:
        return iter(self._kept)

    def __contains__(self, client: Client) -> bool:
        return any(kept.client is client for kept in self._kept)

    def __str__(self) -> str:
        """Who has how many unread lines, the oldest first; empty when there are none."""
        counts = list(self._counts.items())
        parts = [f"{client} {count} unread" for client, count in counts[:MOST_NAMED]]
        if more := counts[MOST_NAMED:]:
            parts.append(f"{len(more)} others {sum(count for _, count in more)} unread")
        return ", ".join(parts)

    def keep(self, kept: Kept) -> None:
        """A line that is not to be shown now."""
        self._kept.append(kept)
        if kept.counted:
            self._counts[kept.client] += 1

    def take(self, only: Client | None = None) -> list[Kept]:
        """What was kept, of one client or of all; it is kept no more."""
        taken = [kept for kept in self._kept if only in (None, kept.client)]
        self._kept = [kept for kept in self._kept if only not in (None, kept.client)]
        for kept in taken:
            self._counts.pop(kept.client, None)
        return taken

    def oldest(self) -> Client | None:
        """Whose unread line came first."""
        return next(iter(self._counts), None)

    def counts(self) -> dict[int, int]:
        """How many lines of which client are unread, by its number."""
        return {client.number: count for client, count in self._counts.items()}

    def news(self) -> str:
        """The counts, when there is more than there was: told at 1, 2, 5, 10, 20, 50 ... lines.

        So one who talks with one client is not flooded with counts of what the others say.
        """
        total, told = self._counts.total(), self._told
        self._told = total
        return str(self) if _step(total) > _step(told) else ""


def _step(count: int) -> int:
    """How many of 1, 2, 5, 10, 20, 50 ... a count has reached."""
    steps, unit = 0, 1
    while unit <= count:
        steps += sum(step * unit <= count for step in (1, 2, 5))
        unit *= 10
    return steps
