"""An operator's console whose daemon is a table of answers."""

from __future__ import annotations

from typing import Any

from netlabsvc.control import orders
from netlabsvc.control.actions import Action, Ask, Print, Quit
from netlabsvc.control.console import Console

TIME = "2026-11-20T14:03:07.000Z"


class Sitting:
    """Performs what a console wants.

    :ivar answers: by method and path; what is missing answers with an empty object.
    :ivar shown: what was printed, without times.
    :ivar asked: what was asked of the daemon, but for the questions of a new connection.
    """

    def __init__(self, *names: str, mode: str = "hub", terminal: bool = False) -> None:
        """:param names: the clients 1, 2, ..."""
        self.console = Console(terminal=terminal)
        self.answers: dict[str, Any] = {
            "GET /v1/status": {"pid": 1, "started": TIME},
            "GET /v1/chat/desk": [],
            "POST /v1/chat/say": {"heard_by": len(names)},
            "POST /v1/chat/command": {"answer": ""},
        }
        self.refusals: dict[str, tuple[int, str]] = {}
        self.shown: list[str] = []
        self.asked: list[Ask] = []
        self.over = False
        self.set_mode(mode)
        self.seat(*names)
        self.connect()

    def set_mode(self, mode: str) -> None:
        """Let the daemon have a mode."""
        room = {"mode": mode, "mode_means": "...", "topic": ""}
        self.answers["GET /v1/chat"] = self.answers["PUT /v1/chat/mode"] = room

    def seat(self, *names: str) -> None:
        """Let these be in the room, from number 1 on."""
        self.answers["GET /v1/chat/members"] = [
            {"number": number, "name": name, "peer": f"10.0.0.{number}:5"}
            for number, name in enumerate(names, 1)
        ]

    def connect(self) -> list[str]:
        return self._seen(self.console.connect(), quiet=True)

    def lose(self) -> list[str]:
        return self._seen(self.console.lose())

    def type(self, line: str) -> list[str]:
        """What is printed when this is typed."""
        return self._seen(orders.run(self.console, line))

    def happen(self, kind: str, number: int, name: str, **data: Any) -> list[str]:
        """What is printed when this happens."""
        event = {"time": TIME, "client": number, "name": name, "peer": "p", "message": "", **data}
        return self._seen(self.console.happened(kind, event))

    def hear(self, number: int, name: str, text: str, **data: Any) -> list[str]:
        """What is printed when a client says something."""
        return self.happen("chat.said", number, name, text=text, **data)

    def settle(self) -> list[str]:
        return self._seen(self.console.settle())

    def leave(self) -> list[str]:
        return self._seen(self.console.leave())

    def said(self) -> list[tuple[str, ...]]:
        """What was asked for, as path and values; nothing of it is said twice."""
        asked, self.asked = self.asked, []
        return [(ask.path.removeprefix("/v1/"), *map(str, ask.body.values())) for ask in asked]

    def _seen(self, actions: list[Action], *, quiet: bool = False) -> list[str]:
        before = len(self.shown)
        self._perform(actions, quiet)
        return self.shown[before:]

    def _perform(self, actions: list[Action], quiet: bool) -> None:
        for action in actions:
            if isinstance(action, Print):
                time, bracket, text = action.text.partition("] ")
                self.shown.append(text if bracket and time.startswith("[") else action.text)
            elif isinstance(action, Quit):
                self.over = True
            else:
                if not quiet:
                    self.asked.append(action)
                self._perform(self._answer(action), quiet)

    def _answer(self, ask: Ask) -> list[Action]:
        key = f"{ask.method} {ask.path}"
        if not self.console.connected:
            return self.console.unreachable(ask, "gone")
        if key in self.refusals:
            return self.console.refused(ask, *self.refusals[key])
        return ask.then(self.answers.get(key, {}))
