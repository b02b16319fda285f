"""What an operator can do in the mail sandbox: its routes of the control API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from twisted.internet.defer import Deferred

from netlabsvc.mail.mailbox import Entry, Mailbox
from netlabsvc.routes import Json, Route, Rule


class Operating:
    """The operator's side of one mailbox."""

    def __init__(
        self, directory: Path, in_thread: Callable[[Callable[[], Any]], Deferred[Any]]
    ) -> None:
        """:param directory: the state directory; :param in_thread: as for `Store`."""
        self._directory = directory
        self._in_thread = in_thread

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        return [Route("GET", "/v1/mail/messages", self.messages, "The newest mails, newest first.")]

    async def messages(self, limit: Annotated[int, Rule(bounds=(1, 10_000))] = 100) -> Json:
        entries: list[Entry] = await self._in_thread(lambda: self._entries(limit))
        return [entry.as_object() for entry in entries]

    def _entries(self, limit: int) -> list[Entry]:
        with Mailbox(self._directory) as mailbox:
            return mailbox.page(limit=limit)
