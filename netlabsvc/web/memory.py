"""The bodies of small files, kept within a bound: the least used go first.

It knows no files: a body is kept under what tells one state of a file from every other, so nothing
here can be out of date. Who asks has looked at the file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

#: A longer file is streamed: keeping it would push out many small ones, to save little.
MOST_BODY_BYTES = 256 * 1024
#: What an entry costs besides its body, so that empty files are not free.
_ENTRY_BYTES = 512


class Memory:
    """Bodies by the state of the file that they are of."""

    def __init__(self, most_bytes: int) -> None:
        """:param most_bytes: of all bodies; 0 keeps none."""
        self._most_bytes = most_bytes
        self._bodies: OrderedDict[Hashable, bytes] = OrderedDict()
        self.held_bytes = 0

    def get(self, state: Hashable) -> bytes | None:
        """The body of a file in that state."""
        body = self._bodies.get(state)
        if body is not None:
            self._bodies.move_to_end(state)
        return body

    def takes(self, size_bytes: int) -> bool:
        """Whether a body of that size would be kept."""
        return size_bytes <= MOST_BODY_BYTES and size_bytes + _ENTRY_BYTES <= self._most_bytes

    def keep(self, state: Hashable, body: bytes) -> None:
        """Keep the body of a file that was in this state before and after it was read."""
        if state not in self._bodies and self.takes(len(body)):
            self._bodies[state] = body
            self.held_bytes += len(body) + _ENTRY_BYTES
            self._shrink()

    def limit(self, most_bytes: int) -> None:
        """Set another bound."""
        self._most_bytes = most_bytes
        self._shrink()

    def _shrink(self) -> None:
        while self.held_bytes > self._most_bytes:
            _, body = self._bodies.popitem(last=False)
            self.held_bytes -= len(body) + _ENTRY_BYTES
