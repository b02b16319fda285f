"""The operator's desk: in operator mode every client talks with the operator alone.

A client's lines are numbered and wait here until they are taken, also while no operator is there
and after the client has gone; nothing forces question and answer to take turns.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

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


class Operator(Protocol):
    """What the desk needs of an operator."""

    def line_came(self, client: int, name: str, line: Line) -> None:
        """A client has said something; the line waits until it is taken."""


class Desk:
    """The lines of all clients, by the client's number, and the operators who are told of them."""

    def __init__(self) -> None:
        self.operators: list[Operator] = []
        self.drawers: dict[int, Drawer] = {}
        self._characters = 0

    def put(self, client: int, name: str, time_s: float, text: str) -> None:
        """A line of a client."""
        drawer = self.drawers.setdefault(client, Drawer(name))
        drawer.name = name
        drawer.count += 1
        line = Line(drawer.count, time_s, text)
        drawer.lines.append(line)
        self._count(drawer, len(text))
        for operator in tuple(self.operators):
            operator.line_came(client, name, line)

    def has_room(self, client: int) -> bool:
        """Whether a client may go on."""
        drawer = self.drawers.get(client)
        few = drawer is None or len(drawer.lines) < MOST_WAITING
        return few and self._characters < MOST_CHARACTERS

    def take(self, client: int) -> Line | None:
        """The oldest line of a client that waits, which then waits no more."""
        drawer = self.drawers.get(client)
        if drawer is None or not drawer.lines:
            return None
        line = drawer.lines.popleft()
        self._count(drawer, -len(line.text))
        if drawer.gone and not drawer.lines:
            del self.drawers[client]
        return line

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
