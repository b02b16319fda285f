"""What an operator can do to the daemon as a whole: its routes of the control API."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from netlabsvc import __file__ as package
from netlabsvc import __version__, listeners
from netlabsvc.chat.text import clean
from netlabsvc.config import KEYS, ConfigError
from netlabsvc.control.events import Event
from netlabsvc.control.stream import Stream
from netlabsvc.reloading import Change, written
from netlabsvc.routes import Json, Problem, Route, Rule
from netlabsvc.times import rfc3339

if TYPE_CHECKING:
    from netlabsvc.lab import Lab

LEVELS = KEYS["log_level"].one_of
OPENAPI = Path(package).parent / "data" / "openapi.json"
#: How many past events can be asked for.
MOST_RECENT = 10_000


class Operating:
    """The operator's side of a whole lab."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        return [
            Route("GET", "/v1/status", self.status, "What runs, and where it listens."),
            Route("GET", "/v1/events", self.events, "What happens, as it happens."),
            Route("GET", "/v1/loglevel", self.log_level, "The least that the log shows."),
            Route("PUT", "/v1/loglevel", self.set_log_level, "Show more, or less, from now on."),
            Route("POST", "/v1/reload", self.reload, "Read the configuration again."),
            Route("POST", "/v1/shutdown", self.shutdown, "End the daemon; clients read why."),
            Route("GET", "/v1/openapi.json", self.openapi, "This API, described (OpenAPI 3.1)."),
        ]

    def status(self) -> Json:
        lab = self._lab
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": rfc3339(lab.started_s),
            "uptime_s": round(time.time() - lab.started_s, 3),
            "state": "stopping" if lab.stopping else "ready",
            "state_dir": lab.config.daemon.state_dir,
            "log_level": lab.log_level,
            "services": list(listeners.described(lab.listeners)),
        }

    def events(
        self,
        last_event_id: str = "",
        recent: Annotated[int, Rule(bounds=(0, MOST_RECENT))] = 0,
        kinds: str = "",
        attach: bool = False,
    ) -> Stream:
        """A stream.

        :param last_event_id: go on behind this one.
        :param recent: without such an id: begin so many events back.
        :param kinds: only these rooms or kinds, such as ``chat,mail.kept``.
        :param attach: whoever reads the stream is an operator of the chat as long as it lasts.
        """
        journal = self._lab.journal
        after, gap = max(0, journal.count - recent), False
        if last_event_id:
            after, gap = journal.number(last_event_id)
        wanted = {kind.strip() for kind in kinds.split(",") if kind.strip()}

        def shown(event: Event) -> bool:
            return not wanted or event.room in wanted or event.kind in wanted

        return self._lab.streams.open(journal, after, gap, shown, attach)

    def log_level(self) -> Json:
        """None: twistd's --syslog has the log."""
        return {"level": self._lab.log_level}

    def set_log_level(self, level: Annotated[str, Rule(one_of=LEVELS)]) -> Json:
        self._lab.log_level = level
        return self.log_level()

    def reload(self) -> Json:
        """:raises Problem: when the configuration is broken; nothing has changed then."""
        try:
            outcome = self._lab.reload()
        except ConfigError as error:
            detail = f"nothing has changed: {'; '.join(error.mistakes)}"
            raise Problem(409, detail) from None
        return {
            "changed": [_change(change) for change in outcome.changed],
            "needs_restart": [_change(change) for change in outcome.needs_restart],
        }

    def shutdown(self, reason: Annotated[str, Rule(longest=200)] = "") -> Json:
        self._lab.shutdown(clean(reason))
        return {"state": "stopping", "reason": clean(reason)}

    def openapi(self) -> Json:
        document: Json = json.loads(OPENAPI.read_text("utf-8"))
        return document


def _change(change: Change) -> dict[str, str]:
    """A key, and its values as the file would hold them."""
    return {
        "key": change.path,
        "old": written(change.path, change.old),
        "new": written(change.path, change.new),
    }
