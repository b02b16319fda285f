"""What can be said in a room, and how each of it is written for a client.

    [2026-11-20 14:03:07] ada (10.0.0.5:41766): hello            said to all
    [2026-11-20 14:03:07] ada (10.0.0.5:41766) waves             done, /me
    [2026-11-20 14:03:07 -> you] ada (10.0.0.5:41766): hello     said to one alone
    *** ada (10.0.0.5:41766) left: quit                          the server

No text stands before the address of who said it: what a line is, its reader can trust. Texts come
here cleaned (see text.py): none holds a line end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Protocol

Record = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Style:
    """How one client wants its text: encoding, and what ends a message.

    :ivar end: the line end, or empty for a 4-byte big-endian length before each message.
    """

    encoding: str = "utf-8"
    end: str = "\n"

    @staticmethod
    @cache
    def of(encoding: str, end: str) -> Style:
        """The one object of this style that all clients share."""
        return Style(encoding, end)

    def encode(self, lines: str) -> bytes:
        """Lines that each end with LF, as bytes for this client."""
        if self.end == "\n":
            return lines.encode(self.encoding, "replace")
        if self.end:
            return lines.replace("\n", self.end).encode(self.encoding, "replace")
        texts = (line.encode(self.encoding, "replace") for line in lines.split("\n")[:-1])
        return b"".join(struct.pack("!I", len(text)) + text for text in texts)


class Message(Protocol):
    """Something to be delivered."""

    def encode(self, style: Style) -> bytes:
        """As bytes for a client of this style."""

    def records(self) -> Iterator[Record]:
        """For the log: a text and its fields, per line; nothing for what only one client sees."""

    def spoken(self) -> int:
        """How many lines of a client or the operator it is; what the server says is none."""


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second).strftime("%Y-%m-%d %H:%M:%S")


def stamp(time_s: float) -> str:
    """``2026-11-20 14:03:07``, local time."""
    return _stamp(int(time_s))


@dataclass(frozen=True, slots=True)
class Said:
    """One or more lines that one client said at one time.

    :ivar peer: address and port, ``10.0.0.5:41766``.
    :ivar verb: what stands between the header and the text: ``:`` or, for /me, nothing.
    :ivar to: the name of the only one who reads it; empty: everyone.
    :ivar client: the speaker's number; 0: the operator, or nobody knows any more.
    :ivar line: the number of the first line among those that wait for an operator; 0: none waits.
    """

    time_s: float
    name: str
    peer: str
    texts: tuple[str, ...]
    verb: str = ":"
    to: str = ""
    client: int = 0
    line: int = 0

    def lines(self) -> str:
        to = " -> you" if self.to else ""
        header = f"[{stamp(self.time_s)}{to}] {self.name} ({self.peer}){self.verb} "
        return f"{header}{f'{chr(10)}{header}'.join(self.texts)}\n"

    def encode(self, style: Style) -> bytes:
        return style.encode(self.lines())

    def records(self) -> Iterator[Record]:
        head = f"{f'[-> {self.to}] ' if self.to else ''}{self.name} ({self.peer}){self.verb} "
        fields: dict[str, Any] = {"event": "said" if self.verb else "did"}
        fields |= {"client": self.client, "name": self.name, "peer": self.peer}
        if self.to:
            fields["to"] = self.to
        for line, text in enumerate(self.texts, self.line):
            if self.line:
                fields["line"] = line
            yield head + text, {**fields, "text": text}

    def spoken(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class Notice:
    """Lines of the server to one client."""

    text: str

    def encode(self, style: Style) -> bytes:
        return style.encode("".join(f"*** {line}\n" for line in self.text.split("\n")))

    def records(self) -> Iterator[Record]:
        return iter(())

    def spoken(self) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class News(Notice):
    """Lines of the server that the log shows too: who came, left, or is called otherwise now."""

    event: str
    name: str
    peer: str
    client: int = 0

    def records(self) -> Iterator[Record]:
        fields = {"event": self.event, "client": self.client, "name": self.name, "peer": self.peer}
        yield self.text, fields


@dataclass(frozen=True, slots=True)
class Echo:
    """The very bytes of a client, back to it.

    :ivar text: the same, for people.
    :ivar client: its number.
    """

    data: bytes
    name: str
    peer: str
    text: str
    client: int

    def encode(self, style: Style) -> bytes:
        return self.data

    def records(self) -> Iterator[Record]:
        fields = {"event": "said", "client": self.client, "name": self.name, "peer": self.peer}
        yield f"{self.name} ({self.peer}): {self.text}", {**fields, "text": self.text}

    def spoken(self) -> int:
        return 1
