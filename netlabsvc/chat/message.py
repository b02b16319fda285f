"""What can be said in a room, and how each of it is written for a client.

A client's words always stand behind a header that begins with ``[``; a line of the server always
begins with ``*** ``. Texts come here cleaned (see text.py): none holds a line end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol

Record = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Style:
    """How one client wants its text: encoding, and what ends a message.

    :ivar end: the line end, or empty for a 4-byte big-endian length before each message.
    """

    encoding: str = "utf-8"
    end: str = "\n"

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
    """

    time_s: float
    name: str
    peer: str
    texts: tuple[str, ...]
    verb: str = ":"

    def lines(self) -> str:
        header = f"[{stamp(self.time_s)}] {self.name} ({self.peer}){self.verb} "
        return f"{header}{f'{chr(10)}{header}'.join(self.texts)}\n"

    def encode(self, style: Style) -> bytes:
        return style.encode(self.lines())

    def records(self) -> Iterator[Record]:
        name, peer = self.name, self.peer
        head = f"{name} ({peer}){self.verb} "
        for text in self.texts:
            yield head + text, {"event": "said", "name": name, "peer": peer, "text": text}


@dataclass(frozen=True, slots=True)
class Notice:
    """Lines of the server to one client."""

    text: str

    def encode(self, style: Style) -> bytes:
        return style.encode("".join(f"*** {line}\n" for line in self.text.split("\n")))

    def records(self) -> Iterator[Record]:
        return iter(())


@dataclass(frozen=True, slots=True)
class News(Notice):
    """A line of the server to all, which the log shows too.

    :ivar shown: whether the room sees it; a crowd's comings and goings are summed up instead.
    """

    event: str
    name: str
    peer: str
    shown: bool = True

    def encode(self, style: Style) -> bytes:
        # Not super(): a slotted dataclass is a new class, which the zero-argument form misses.
        return Notice.encode(self, style) if self.shown else b""

    def records(self) -> Iterator[Record]:
        yield self.text, {"event": self.event, "name": self.name, "peer": self.peer}


@dataclass(frozen=True, slots=True)
class Echo:
    """The very bytes of a client, back to it."""

    data: bytes

    def encode(self, style: Style) -> bytes:
        return self.data

    def records(self) -> Iterator[Record]:
        return iter(())
