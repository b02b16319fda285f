"""Replies on their way out, each in its manner: late, byte by byte, or at once.

Nearly always at once, and then all that is to be said is one write. It knows no SMTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netlabsvc.mail.command import Reply

#: What happens between two replies, or behind the last one.
Deed = Callable[[], None]


class Speech:
    """What one connection says.

    :ivar busy: something is still to be said; the client should not be read until it is.
    """

    def __init__(self, write: Callable[[bytes], None], reactor: IReactorTime, done: Deed) -> None:
        """:param write: sends bytes.

        :param done: called when everything is said that could not be said at once.
        """
        self._write = write
        self._reactor = reactor
        self._done = done
        self._queue: deque[Reply | Deed] = deque()
        self._call: IDelayedCall | None = None

    @property
    def busy(self) -> bool:
        return self._call is not None

    def say(self, what: Iterable[Reply | Deed]) -> None:
        """Say replies, and do deeds, in this order and behind what is still to be said."""
        self._queue.extend(what)
        if not self._call:
            self._go_on()

    def stop(self) -> None:
        """The connection has gone."""
        self._queue.clear()
        if self._call and self._call.active():
            self._call.cancel()
        self._call = None

    def _go_on(self) -> None:
        at_once: list[bytes] = []
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, Reply) and not (item.manner.delay_s or item.manner.bytewise):
                at_once.append(item.encode())
                continue
            if at_once:
                self._write(b"".join(at_once))
                at_once.clear()
            if isinstance(item, Reply):
                self._call = self._reactor.callLater(
                    item.manner.delay_s, self._later, item.encode(), item.manner.bytewise
                )
                return
            item()
        if at_once:
            self._write(b"".join(at_once))

    def _later(self, data: bytes, bytewise: bool) -> None:
        """Say a reply, or its first byte: what is written in one turn goes out in one segment."""
        size = 1 if bytewise else len(data)
        self._write(data[:size])
        if rest := data[size:]:
            self._call = self._reactor.callLater(0, self._later, rest, bytewise)
            return
        self._call = None
        self._go_on()
        if not self._call:
            self._done()
