"""What the log is told that bears the name of an event, written down in the journal.

The log and the stream of events thus have one vocabulary: a room logs ``event="kept"``, and it is
``mail.kept`` in the stream. What has no such name (a request of the site, a counter) is the log's
alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from netlabsvc.control.events import Event, Journal
from netlabsvc.logs import Batch, is_ours, room_of


@implementer(ILogObserver)
class Witness:
    """A log observer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, event: LogEvent) -> None:
        if is_ours(event) and ("batch" in event or "event" in event):
            self._journal.add(_events(event))


def _events(event: LogEvent) -> Iterator[Event]:
    time_s, room = event["log_time"], room_of(event)
    batch = event.get("batch")
    if isinstance(batch, Batch):
        for text, fields in batch.items:
            yield Event(time_s, room, text, fields)
    else:
        fields = {k: v for k, v in event.items() if not k.startswith("log_")}
        yield Event(time_s, room, formatEvent(event), fields)
