"""The operator's desk: in operator mode every client talks with the operator alone.

A client's lines are numbered and wait here until they are taken, also while no operator is there
and after the client has gone; nothing forces question and answer to take turns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: So many lines of one client wait; then it is not read until some are taken.
MOST_WAITING = 1000
#: So many characters of all clients wait; then none is read, and who has gone longest is forgotten.
MOST_CHARACTERS = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """A line that waits for an operator.

    :ivar number: counted from 1 for each client.
    """

    number: int
    time_s: float
    text: str


@dataclass
class Drawer:
    """What one client has said.

    :ivar name: the client's, when it last spoke.
    """

    name: str
    lines: deque[Line] = field(default_factory=deque)
    count: int = 0
    characters: int = 0
    gone: bool = False


class Desk:
    """The lines of all clients, by the client's number.

    :ivar operators: how many are there to take them.
    """

    def __init__(self) -> None:
        self.operators = 0
        self.drawers: dict[int, Drawer] = {}
        self._characters = 0

    def put(self, client: int, name: str, time_s: float, text: str) -> None:
        """A line of a client."""
        drawer = self.drawers.setdefault(client, Drawer(name))
        drawer.name = name
        drawer.count += 1
        drawer.lines.append(Line(drawer.count, time_s, text))
        self._count(drawer, len(text))

    def next_number(self, client: int) -> int:
        """The number that the next line of a client will have."""
        drawer = self.drawers.get(client)
        return drawer.count + 1 if drawer else 1

    def has_room(self, client: int) -> bool:
        """Whether a client may go on."""
        drawer = self.drawers.get(client)
        few = drawer is None or len(drawer.lines) < MOST_WAITING
        return few and self._characters < MOST_CHARACTERS

    def take(self, client: int, through: int | None = None) -> list[Line]:
        """The lines of a client that wait, up to this number or all; they wait no more."""
        taken: list[Line] = []
        drawer = self.drawers.get(client)
        if drawer is None:
            return taken
        while drawer.lines and (through is None or drawer.lines[0].number <= through):
            taken.append(drawer.lines.popleft())
            self._count(drawer, -len(taken[-1].text))
        if drawer.gone and not drawer.lines:
            del self.drawers[client]
        return taken

    def close(self, client: int) -> None:
        """A client has gone; its lines still wait, as far as there is room for them."""
        drawer = self.drawers.get(client)
        if drawer is None:
            return
        drawer.gone = True
        if not drawer.lines:
            del self.drawers[client]
        for number in [n for n, d in self.drawers.items() if d.gone]:
            if self._characters < MOST_CHARACTERS:
                break
            gone = self.drawers.pop(number)
            self._count(gone, -gone.characters)

    def _count(self, drawer: Drawer, characters: int) -> None:
        drawer.characters += characters
        self._characters += characters
