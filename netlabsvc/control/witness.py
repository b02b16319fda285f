"""What the log is told that bears the name of an event, written down in the journal.

The log and the stream of events thus have one vocabulary: a room logs ``event="kept"``, and it is
``mail.kept`` in the stream. What has no such name (a request of the site, a counter) is the log's
alone.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

from netlabsvc.control.events import Journal
from netlabsvc.logs import Batch, is_ours, room_of


@implementer(ILogObserver)
class Witness:
    """A log observer."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, event: LogEvent) -> None:
        if not is_ours(event):
            return
        batch = event.get("batch")
        if isinstance(batch, Batch):
            self._journal.add(event["log_time"], room_of(event), batch.items)
        elif "event" in event:
            fields = {k: v for k, v in event.items() if not k.startswith("log_")}
            self._journal.add(event["log_time"], room_of(event), [(formatEvent(event), fields)])
