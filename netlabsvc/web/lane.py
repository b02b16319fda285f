"""The shortcut of a site: answers to whole request heads, byte for byte as they were given before.

It parses nothing. A head that was answered the long way is kept with the head of its answer; when
the very same bytes come again, and the file is what it was, they get the same answer with a fresh
Date. So the answer must depend on nothing but the head, the file and the configuration. Whoever
serves something says so by giving a `Source`, and only files do; whoever changes the configuration
calls `clear`.

A file is looked at again when the last look is a second ago.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from netlabsvc.web.memory import Memory

#: A change of a file is seen after this time at the latest.
LOOK_S = 1.0
#: Longer heads go the long way.
MOST_HEAD_BYTES = 4096
#: Longer bodies do, too: there the shortcut saves little, and a copy is made of each.
MOST_BODY_BYTES = 64 * 1024
#: All heads, of requests and answers. When there are more all are forgotten: each costs one answer
#: the long way to learn again, which a client that sends ever new heads cannot make dear.
MOST_BYTES = 8 << 20

_ENTRY_BYTES = 1024
_END = b"\r\n\r\n"
_DATE = b"\r\nDate: "
_DATE_BYTES = len(b"Sun, 06 Nov 1994 08:49:37 GMT")


class Source(NamedTuple):
    """What an answer was made of.

    :ivar key: one for all answers from the same file.
    :ivar look: the state the file is in now.
    :ivar state: the state it was in for this answer.
    :ivar body: under which its bytes are in the memory.
    :ivar first: the part of the body that was sent, counted from 0.
    :ivar length: of that part; 0 for an answer without a body.
    """

    key: Hashable
    look: Callable[[], Hashable]
    state: Hashable
    body: Hashable
    first: int
    length: int


@dataclass(slots=True)
class _File:
    state: Hashable
    looked_s: float


class Known(NamedTuple):
    """An answer: its head around the date, and where its body is from.

    :ivar told: what the log tells of it.
    """

    before: bytes
    after: bytes
    source: Source
    file: _File
    told: Any


class Lane:
    """What was answered before, on connections of one kind."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[bytes, Known] = {}
        self._files: dict[Hashable, _File] = {}
        self._held_bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def clear(self) -> None:
        """Forget everything: the same requests may get other answers from now on."""
        self._known.clear()
        self._files.clear()
        self._held_bytes = 0

    def learn(self, request: bytes, answer: bytes, source: Source, now_s: float, told: Any) -> None:
        """Keep an answer that was just made.

        :param request: a whole head as it came, whose request has no body.
        :param answer: the head of the answer.
        """
        if source.length > MOST_BODY_BYTES or answer.count(_DATE) != 1:
            return
        if source.length and self._memory.get(source.body) is None:
            return
        self._held_bytes += len(request) + len(answer) + _ENTRY_BYTES
        if self._held_bytes > MOST_BYTES:
            self.clear()
            return
        file = self._files.setdefault(source.key, _File(source.state, now_s))
        if file.state != source.state:
            file.state, file.looked_s = source.state, now_s
        at = answer.index(_DATE) + len(_DATE)
        before, after = answer[:at], answer[at + _DATE_BYTES :]
        self._known[request] = Known(before, after, source, file, told)

    def recall(self, request: bytes, now_s: float, date: bytes) -> tuple[bytes, Known] | None:
        """The answer to a request head, if it is known and still true.

        :param date: the value of the answer's Date.
        """
        known = self._known.get(request)
        if known is None:
            return None
        before, after, source, file, _ = known
        if not 0 <= now_s - file.looked_s < LOOK_S:
            file.looked_s = now_s
            file.state = source.look()
        if file.state != source.state:
            return None
        if not source.length:
            return b"".join((before, date, after)), known
        body = self._memory.get(source.body)
        if body is None:
            return None
        if source.length != len(body):
            body = body[source.first : source.first + source.length]
        return b"".join((before, date, after, body)), known


def end_of_head(data: bytes, start: int) -> int:
    """Where a whole head ends that starts there and that the shortcut could know; else 0."""
    if not data.startswith((b"GET ", b"HEAD "), start):
        return 0
    end = data.find(_END, start, start + MOST_HEAD_BYTES) + len(_END)
    return end if end > start + len(_END) else 0
