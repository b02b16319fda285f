"""A stream of events to one who watches: server-sent events over one answer.

Whoever reads slowly holds nobody up and fills no memory: the stream reads on in the journal when
there is room, and says so when the journal has lost what would have come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from netlabsvc.control.events import Event, Journal, wire

#: So many events are written at a time.
MOST = 200


@implementer(IPushProducer)
class Stream:
    """What one watcher gets, from one event on.

    :param wanted: says whether an event is to be shown.
    :param ended: called once when the watcher has gone.
    """

    def __init__(
        self,
        journal: Journal,
        after: int,
        gap: bool,
        wanted: Callable[[Event], bool],
        ended: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._after = after
        self._gap = gap
        self._wanted = wanted
        self._ended = ended
        self._paused = False
        self._request: Any = None

    def start(self, request: Any) -> None:
        """Begin the answer, and go on until the watcher leaves or `finish` is called."""
        if request.gone:
            self._ended()
            return
        self._request = request
        request.setHeader(b"Content-Type", b"text/event-stream; charset=utf-8")
        request.setHeader(b"Cache-Control", b"no-store")
        self._stop_watching = self._journal.watch(self._pump)
        request.notifyFinish().addBoth(self._end)
        request.registerProducer(self, True)
        request.write(b": the events of netlab, as they happen\n\n")
        self._pump()

    def finish(self) -> None:
        """Say the rest, and end."""
        if self._request is not None:
            self._paused = False
            self._pump()
            self._request.unregisterProducer()
            self._request.finish()

    def resumeProducing(self) -> None:
        self._paused = False
        self._pump()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        """The connection is gone: `_end` is called for it."""

    def _pump(self) -> None:
        """Write what is new, while the watcher takes it."""
        while not self._paused and self._request is not None and not self._request.gone:
            events = self._journal.after(self._after, MOST)
            if events and events[0][0] > self._after + 1:
                self._gap = True
            parts = [self._gap_event()] if self._gap else []
            parts += [self._wire(number, e) for number, e in events if self._wanted(e)]
            if not events and not parts:
                return
            self._gap = False
            if events:
                self._after = events[-1][0]
            if parts:
                self._request.write(b"".join(parts))

    def _wire(self, number: int, event: Event) -> bytes:
        return wire(self._journal.id(number), event.kind, event.data())

    def _gap_event(self) -> bytes:
        text = "events are missing here: too many, or of an earlier run of the daemon"
        return wire(self._journal.id(self._after), "gap", {"message": text})

    def _end(self, _: object) -> None:
        self._request = None
        self._stop_watching()
        self._ended()


class Streams:
    """All streams of one daemon, and the operators that are there through them."""

    def __init__(self, attach: Callable[[], Callable[[], None]] | None = None) -> None:
        """:param attach: tells the chat that an operator has come; its result, that it has gone."""
        self._attach = attach
        self._open: dict[Stream, None] = {}

    def open(
        self,
        journal: Journal,
        after: int,
        gap: bool,
        wanted: Callable[[Event], bool],
        attach: bool,
    ) -> Stream:
        """A stream from behind an event on."""
        detach = self._attach() if attach and self._attach else None

        def ended() -> None:
            self._open.pop(stream, None)
            if detach is not None:
                detach()

        stream = Stream(journal, after, gap, wanted, ended)
        self._open[stream] = None
        return stream

    def finish(self) -> None:
        """Say the rest on every stream, and end it."""
        for stream in tuple(self._open):
            stream.finish()
