"""What happened, in order, for those who watch: a ring of the last events, and their wire form.

An event is written as a server-sent event (HTML Living Standard, 9.2):

    id: m3k2p1-17
    event: chat.said
    data: {"time": "2026-11-20T13:03:07.250Z", "text": "ada (10.0.0.5:41766): hello",
    data:  "name": "ada", ...}          (in truth on one line)
    (an empty line)

Its id names the run of the daemon and counts from 1. Who comes back with the last id that it saw
gets what happened since; where that is not all there any more, an event ``gap`` says so first.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from netlabsvc.escape import json_text
from netlabsvc.times import rfc3339

#: So many events can be asked for again, as far as their texts have so many characters.
KEPT = 10_000
KEPT_CHARACTERS = 1024 * 1024
_ID = re.compile(r"([0-9a-z]+)-([0-9]{1,18})")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    :ivar kind: the room and a word: ``chat.said``.
    :ivar text: for people, one line.
    """

    time_s: float
    room: str
    text: str
    fields: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return f"{self.room}.{self.fields['event']}"

    def data(self) -> dict[str, Any]:
        """As a JSON object."""
        rest = {k: v for k, v in self.fields.items() if k != "event"}
        return {"time": rfc3339(self.time_s), "message": self.text, **rest}


@dataclass(frozen=True, slots=True)
class _Turn:
    """What one room wrote down at one time; the events are made of it when somebody reads them.

    :ivar first: the number of its first event.
    :ivar items: text and fields of each.
    """

    first: int
    time_s: float
    room: str
    items: Sequence[tuple[str, Mapping[str, Any]]]
    characters: int

    @property
    def behind(self) -> int:
        """The number behind its last event."""
        return self.first + len(self.items)

    def events(self, skipped: int) -> Iterator[tuple[int, Event]]:
        for number, (text, fields) in enumerate(self.items[skipped:], self.first + skipped):
            yield number, Event(self.time_s, self.room, text, fields)


class Journal:
    """The last events of one run of the daemon.

    :ivar count: how many there were.
    """

    def __init__(
        self, started_s: float, kept: int = KEPT, kept_characters: int = KEPT_CHARACTERS
    ) -> None:
        self.run = _base36(int(started_s * 1000))
        self.count = 0
        self._kept = kept
        self._kept_characters = kept_characters
        self._turns: deque[_Turn] = deque()
        self._characters = 0
        self._watchers: list[Callable[[], None]] = []

    def add(self, time_s: float, room: str, items: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Write down what happened in a room, and wake those who watch.

        :param items: the text of each event, and its fields, of which ``event`` is its kind.
        """
        if not items:
            return
        turn = _Turn(self.count + 1, time_s, room, items, sum(len(text) for text, _ in items))
        self._turns.append(turn)
        self.count += len(items)
        self._characters += turn.characters
        while len(self._turns) > 1 and self._spares(self._turns[0]):
            self._characters -= self._turns.popleft().characters
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> Callable[[], None]:
        """Call this whenever there is something new; returns what ends it."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def after(self, number: int, most: int) -> list[tuple[int, Event]]:
        """The events behind this number, the oldest first, each with its number."""
        turns: list[_Turn] = []
        for turn in reversed(self._turns):  # who reads is near the end
            if turn.behind <= number + 1:
                break
            turns.append(turn)
        events = (
            event
            for turn in reversed(turns)
            for event in turn.events(max(0, number + 1 - turn.first))
        )
        return list(islice(events, most))

    def id(self, number: int) -> str:
        """How an event is called on the wire."""
        return f"{self.run}-{number}"

    def number(self, last_id: str) -> tuple[int, bool]:
        """Where somebody goes on who saw this id last, and whether events between are lost.

        An id of an earlier run means that all of this run is new.

        :raises ValueError: when it is no id of an event.
        """
        match = _ID.fullmatch(last_id)
        if match is None:
            raise ValueError(f"{last_id!r} is no id of an event; one looks like {self.id(17)}")
        number = int(match[2])
        if match[1] != self.run or number > self.count:
            return 0, True
        oldest = self._turns[0].first if self._turns else 1
        return number, number + 1 < oldest

    def _spares(self, oldest: _Turn) -> bool:
        """Whether enough is left without the oldest turn, or too much is kept with it."""
        enough = self.count + 1 - oldest.behind >= self._kept
        return enough or self._characters > self._kept_characters


def wire(id: str, kind: str, data: Mapping[str, Any]) -> bytes:
    """An event as bytes of a stream; its JSON holds no line end, so that it is one field."""
    return f"id: {id}\nevent: {kind}\ndata: {json_text(data)}\n\n".encode()


def parse(lines: Iterable[str]) -> Iterable[tuple[str, str, str]]:
    """The events of a stream: id, kind and data of each, from lines without their ends."""
    id, kind = "", "message"
    data: list[str] = []
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield id, kind, "\n".join(data)
            kind, data = "message", []
        elif name == "id":
            id = value
        elif name == "event":
            kind = value
        elif name == "data":
            data.append(value)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
