"""The room: who is in it, under which name, and who hears what. It knows nothing of sockets.

Everything said in one turn of the reactor is collected (see turn.py) and delivered by `flush`;
`wake` is called when there is something to flush.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from netlabsvc.chat.message import Message, News, Notice, Said, Style
from netlabsvc.chat.text import check_name, fold
from netlabsvc.chat.turn import Turn

HISTORY_LINES = 20


class Member(Protocol):
    """What the hub needs of a client.

    :ivar peer: its address and port, for people.
    """

    peer: str
    style: Style

    def deliver(self, data: bytes) -> None:
        """Send, or queue; never raises."""

    def close(self) -> None:
        """Send what was delivered, then end the connection."""

    def queued(self) -> int:
        """Bytes delivered that have not reached the peer's kernel."""

    def traits(self) -> str:
        """Encoding and line end, for /who."""


@dataclass
class Seat:
    """A member's place in the room.

    :ivar number: counted from 1, never given twice.
    :ivar correspondent: who whispered last, for /reply.
    """

    number: int
    name: str
    since_s: float
    heard_s: float
    muted: bool = False
    correspondent: str = ""


class Hub:
    """One room, shared by all listeners."""

    def __init__(self, wake: Callable[[], None], now: Callable[[], float]) -> None:
        """:param wake: called once when `flush` has something to do.
        :param now: wall clock time in seconds since the epoch.
        """
        self.seats: dict[Member, Seat] = {}
        self.history: deque[Said] = deque(maxlen=HISTORY_LINES)
        self._names: dict[str, Member] = {}
        self._count = 0
        self._turn: Turn[Member] = Turn()
        self._leaving: list[Member] = []
        self._awake = False
        self._wake = wake
        self._now = now

    def enter(self, member: Member, name: str | None = None) -> Seat:
        """Give a member a seat, tell the others, and greet it with the last lines.

        :raises ValueError: when the name is not allowed or taken.
        """
        name = self._free_name(name) if name is not None else None
        self._count += 1
        seat = Seat(self._count, name or self._guest_name(), self._now(), self._now())
        self.seats[member] = seat
        self._names[fold(seat.name)] = member
        self._turn.enter(member)
        self._private(Notice(self._greeting(seat)), member)
        for said in self.history:
            self._private(said, member)
        text = f"{seat.name} ({member.peer}) joined"
        self._public(News(text, "joined", seat.name, member.peer), member)
        return seat

    def leave(self, member: Member, why: str) -> None:
        """Take a member's seat away, and tell the others why; nothing when it has none."""
        seat = self.seats.pop(member, None)
        if seat is None:
            return
        del self._names[fold(seat.name)]
        text = f"{seat.name} ({member.peer}) left: {why}"
        self._public(News(text, "left", seat.name, member.peer))

    def say(self, member: Member, texts: tuple[str, ...], verb: str = ":") -> None:
        """Lines that one member says to all."""
        seat = self.seats[member]
        seat.heard_s = now = self._now()
        self._public(Said(now, seat.name, member.peer, texts, verb), member)
        for text in texts[-HISTORY_LINES:]:
            self.history.append(Said(now, seat.name, member.peer, (text,), verb))

    def whisper(self, member: Member, name: str, text: str) -> None:
        """Lines from one member to one other.

        :raises ValueError: when nobody has that name.
        """
        target = self.find(name)
        seat = self.seats[member]
        self._private(Said(self._now(), seat.name, member.peer, (text,), " -> you:"), target)
        self.seats[target].correspondent = seat.name

    def tell(self, member: Member, text: str) -> None:
        """A line of the server to one member."""
        self._private(Notice(text), member)

    def announce(self, text: str) -> None:
        """A line of the server to all."""
        self._public(News(text, "announced", "server", ""))

    def rename(self, member: Member, name: str) -> None:
        """Give a member another name.

        :raises ValueError: when the name is not allowed or taken.
        """
        seat = self.seats[member]
        same = fold(name) == fold(seat.name)
        name = check_name(name) if same else self._free_name(name)
        del self._names[fold(seat.name)]
        self._names[fold(name)] = member
        old, seat.name = seat.name, name
        text = f"{old} ({member.peer}) is now {name}"
        self._public(News(text, "renamed", name, member.peer))

    def find(self, name: str) -> Member:
        """The member of that name.

        :raises ValueError: when there is none.
        """
        member = self._names.get(fold(name))
        if member is None:
            raise ValueError(f"nobody here is called {name}; /who lists the names")
        return member

    def dismiss(self, member: Member, farewell: str, why: str) -> None:
        """Let a member go: it gets a last line, and everything said before it."""
        if member in self.seats:
            self.tell(member, farewell)
            self._turn.depart(member)
            self._leaving.append(member)
            self.leave(member, why)

    def shut(self, farewell: str) -> None:
        """Let everyone go, with one last line to all."""
        self._public(News(farewell, "shut", "server", ""))
        self._leaving += self.seats
        self.seats.clear()
        self._names.clear()

    def flush(self) -> list[Message]:
        """Deliver what was said in this turn; returns what was said to all, for the log."""
        turn, self._turn, self._awake = self._turn, Turn(), False
        leaving, self._leaving = self._leaving, []
        turn.deliver([*self.seats, *leaving])
        for member in leaving:
            member.close()
        return list(turn.messages())

    def who(self) -> list[str]:
        """A line for each member: number, name, address, idle time, and how it is connected."""
        now = self._now()
        return [
            f"{seat.number} {seat.name} ({m.peer}) idle {now - seat.heard_s:.0f} s, {m.traits()}, "
            f"{m.queued()} bytes queued"
            for m, seat in self.seats.items()
        ]

    def _public(self, message: Message, but: Member | None = None) -> None:
        self._turn.public(message, but)
        self._rouse()

    def _private(self, message: Message, to: Member) -> None:
        self._turn.private(message, to)
        self._rouse()

    def _rouse(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake()

    def _free_name(self, name: str) -> str:
        name = check_name(name)
        if fold(name) in self._names:
            raise ValueError(f"{name} is taken")
        return name

    def _guest_name(self) -> str:
        number = self._count
        while fold(name := f"guest{number}") in self._names:
            number += 1
        return name

    def _greeting(self, seat: Seat) -> str:
        others = len(self.seats) - 1
        company = {0: "nobody else is here yet", 1: "one other is here"}
        return (
            f"welcome, you are {seat.name}; {company.get(others, f'{others} others are here')}\n"
            "/nick NAME gives you a name, /help lists the commands, q leaves"
        )
