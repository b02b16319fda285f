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
#: Of so many clients that have gone, lines are kept.
MOST_GONE = 1000


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

    def put(self, client: int, name: str, time_s: float, text: str) -> bool:
        """A line of a client; returns whether there is room for more of it."""
        drawer = self.drawers.setdefault(client, Drawer(name))
        drawer.name = name
        drawer.count += 1
        line = Line(drawer.count, time_s, text)
        drawer.lines.append(line)
        for operator in tuple(self.operators):
            operator.line_came(client, name, line)
        return len(drawer.lines) < MOST_WAITING

    def take(self, client: int) -> Line | None:
        """The oldest line of a client that waits, which then waits no more."""
        drawer = self.drawers.get(client)
        if drawer is None or not drawer.lines:
            return None
        line = drawer.lines.popleft()
        if drawer.gone and not drawer.lines:
            del self.drawers[client]
        return line

    def close(self, client: int) -> None:
        """A client has gone; its lines still wait."""
        drawer = self.drawers.get(client)
        if drawer is None:
            return
        drawer.gone = True
        gone = [number for number, d in self.drawers.items() if d.gone]
        if not drawer.lines:
            del self.drawers[client]
        elif len(gone) > MOST_GONE:
            del self.drawers[gone[0]]
