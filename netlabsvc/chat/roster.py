"""Who is in the room, under which name and number. Names are unique in any disguise (text.fold)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from netlabsvc.chat.text import check_name, fold

M = TypeVar("M")


@dataclass
class Seat:
    """A member's place in the room.

    :ivar number: counted from 1, never given twice.
    :ivar heard_s: when it last said something (at first: when it came).
    :ivar correspondent: the number of who whispered last, for /reply.
    :ivar kept_waiting: it was told that no operator is there yet.
    """

    number: int
    name: str
    heard_s: float
    muted: bool = False
    correspondent: int | None = None
    kept_waiting: bool = False


class Roster(Generic[M]):
    """Members and their seats, in the order in which they came."""

    def __init__(self) -> None:
        self._seats: dict[M, Seat] = {}
        self._names: dict[str, M] = {}
        self._count = 0

    def __len__(self) -> int:
        return len(self._seats)

    def __iter__(self) -> Iterator[M]:
        return iter(self._seats)

    def __contains__(self, member: object) -> bool:
        return member in self._seats

    def __getitem__(self, member: M) -> Seat:
        return self._seats[member]

    def add(self, member: M, name: str | None, now_s: float) -> Seat:
        """Give a member a seat.

        :param name: None for guest<n>.
        :raises ValueError: when the name is not allowed or taken.
        """
        name = self._free(name) if name is not None else None
        self._count += 1
        seat = Seat(self._count, name or self._guest(), now_s)
        self._seats[member] = seat
        self._names[fold(seat.name)] = member
        return seat

    def remove(self, member: M) -> Seat | None:
        """Take a member's seat away; None when it has none."""
        seat = self._seats.pop(member, None)
        if seat is not None:
            del self._names[fold(seat.name)]
        return seat

    def rename(self, member: M, name: str) -> str:
        """Give a member another name; returns the old one.

        :raises ValueError: when the name is not allowed or taken by somebody else.
        """
        seat = self._seats[member]
        old = seat.name
        name = check_name(name) if fold(name) == fold(old) else self._free(name)
        del self._names[fold(old)]
        self._names[fold(name)] = member
        seat.name = name
        return old

    def find(self, name: str) -> M:
        """The member of that name.

        :raises ValueError: when there is none.
        """
        member = self._names.get(fold(name))
        if member is None:
            raise ValueError(f"nobody here is called {name}; /who lists the names")
        return member

    def at(self, number: int) -> M | None:
        """The member of that number, if it is still here."""
        return next((m for m, seat in self._seats.items() if seat.number == number), None)

    def clear(self) -> list[M]:
        """Take all seats away; returns who had one."""
        members = list(self._seats)
        self._seats.clear()
        self._names.clear()
        return members

    def _free(self, name: str) -> str:
        name = check_name(name)
        if fold(name) in self._names:
            raise ValueError(f"{name} is taken")
        return name

    def _guest(self) -> str:
        number = self._count
        while fold(name := f"guest{number}") in self._names:
            number += 1
        return name
