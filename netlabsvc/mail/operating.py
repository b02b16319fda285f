"""What an operator can do in the mail sandbox: its routes of the control API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

from twisted.internet.defer import Deferred

from netlabsvc.mail.mailbox import Entry, Mailbox
from netlabsvc.mail.personality import PERSONALITIES
from netlabsvc.mail.sandbox import Factory
from netlabsvc.routes import Json, Route, Rule


class Operating:
    """The operator's side of one sandbox and its mailbox."""

    def __init__(
        self,
        sandbox: Factory,
        directory: Path,
        in_thread: Callable[[Callable[[], Any]], Deferred[Any]],
    ) -> None:
        """:param directory: the state directory; :param in_thread: as for `Store`."""
        self._sandbox = sandbox
        self._directory = directory
        self._in_thread = in_thread

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        path = "/v1/mail/personality"
        return [
            Route("GET", "/v1/mail/messages", self.messages, "The newest mails, newest first."),
            Route("GET", path, self.personality, "How the sandbox behaves, and how it could."),
            Route("PUT", path, self.behave, "Change how the sandbox behaves."),
            Route("DELETE", path, self.reset, "Back to the configured personality."),
        ]

    async def messages(self, limit: Annotated[int, Rule(bounds=(1, 10_000))] = 100) -> Json:
        entries: list[Entry] = await self._in_thread(lambda: self._entries(limit))
        return [entry.as_object() for entry in entries]

    def personality(self) -> Json:
        return {
            "personality": self._sandbox.conduct.personality.name,
            "configured": self._sandbox.settings.personality,
            "personalities": [
                {"name": one.name, "help": one.help} for one in PERSONALITIES.values()
            ],
        }

    def behave(self, personality: Annotated[str, Rule(one_of=tuple(PERSONALITIES))]) -> Json:
        self._sandbox.behave(personality)
        return self.personality()

    def reset(self) -> Json:
        return self.behave(self._sandbox.settings.personality)

    def _entries(self, limit: int) -> list[Entry]:
        with Mailbox(self._directory) as mailbox:
            return mailbox.page(limit=limit)
