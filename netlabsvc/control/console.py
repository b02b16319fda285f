"""An operator's console without a terminal: what happens goes in, what is to be done comes out.

It knows who is here, to whom a line goes, and which lines of others have been read. It knows no
socket, no screen, no clock, and not the commands (orders.py): whoever runs it (cli/) performs what
it returns, gives it the answers, and calls `settle` when nothing more is there at the moment.

    focus      a typed line goes to        lines of the others are
    all        everyone                    shown
    to N       client N alone              shown
    p2p N      client N alone              kept and counted, until `next` or `all` shows them

Lines of operator mode wait on the daemon's desk. One that was shown is taken from there; one that
is kept stays there, so that it outlives this console.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from netlabsvc.control.actions import Action, Ask, Mistake, Print, Quit, note
from netlabsvc.control.unread import Client, Kept, Unread

#: So many lines are kept; then all are shown, for none is thrown away.
MOST_KEPT = 100_000


class Console:
    """One operator's side.

    :ivar focus: to whom typed lines go; None: everyone.
    :ivar alone: the lines of all others are kept.
    :ivar last: whose line was shown last, for `reply`.
    :ivar confirming: the reason of a shutdown that is to be confirmed.
    """

    def __init__(self, *, terminal: bool) -> None:
        """:param terminal: somebody sits there: greet, and ask before the daemon is ended."""
        self.terminal = terminal
        self.connected = False
        self.mode = ""
        self.clients: dict[int, Client] = {}
        self.focus: Client | None = None
        self.alone = False
        self.last: Client | None = None
        self.confirming: str | None = None
        self.ending = False
        self._run: object = None  # of the daemon
        self._attaching = False
        self.unread = Unread()
        self._anew = False  # the daemon is another one
        self._to_take: dict[Client, None] = {}  # in their order
        self._mine: Counter[tuple[int, str]] = Counter()  # lines that come back as events

    # The daemon.

    def connect(self) -> list[Action]:
        """The stream of events is open: find out how things stand, before any of them."""
        again, self.connected, self._attaching = self._run is not None, True, True

        def room(answer: dict[str, Any]) -> list[Action]:
            self.mode = answer["mode"]
            return self._greeting(answer) if self.terminal and not again else []

        return [
            *([note("connected again")] if again else []),
            Ask("GET", "/v1/status", then=self._same_run),
            Ask("GET", "/v1/chat", then=room),
            Ask("GET", "/v1/chat/members", then=self._members, silent=True),
            Ask("GET", "/v1/chat/desk", then=self._desk, silent=True),
        ]

    def lose(self) -> list[Action]:
        """The stream of events has ended."""
        self.connected = False
        if self.ending:
            return [note("the daemon has ended"), *self.leave()]
        return [note("the connection to the daemon is lost; trying again, quit leaves")]

    def refused(self, ask: Ask, status: int, why: str) -> list[Action]:
        """The daemon says no."""
        ask.undo()
        if status == 404 and why.startswith("there is no /v1/"):
            why = f"this daemon runs no {ask.path.split('/')[2]}"
        return [] if ask.silent else [note(why)]

    def unreachable(self, ask: Ask, why: str) -> list[Action]:
        """The daemon gave no answer."""
        ask.undo()
        if ask.silent:
            return []
        return [note(why if self.connected else "not connected; that was not done")]

    def leave(self) -> list[Action]:
        """The operator goes: what is kept here alone is shown, the rest waits on the desk."""
        unread = self.unread.take()
        kept = [one for one in unread if not (one.line and self.connected)]
        actions: list[Action] = [Print(one.text) for one in kept]
        if waiting := len(unread) - len(kept):
            actions.append(note(f"{waiting} {_lines(waiting)} on the desk"))
        return [*actions, Quit()]

    def settle(self) -> list[Action]:
        """Nothing more is there at the moment: take what was shown, and tell what is unread."""
        actions: list[Action] = [
            Ask(
                "POST",
                "/v1/chat/desk/take",
                {"client": client.number, "through": client.shown},
                silent=True,
            )
            for client in self._to_take
        ]
        self._to_take.clear()
        if news := self.unread.news():
            actions.append(note(news))
        return actions

    # What happened.

    def happened(self, kind: str, data: Mapping[str, Any]) -> list[Action]:
        """An event."""
        handle = _HANDLERS.get(kind)
        return handle(self, data) if handle else [note(data["message"])]

    def _said(self, data: Mapping[str, Any]) -> list[Action]:
        return self._spoken(data, f": {data['text']}")

    def _did(self, data: Mapping[str, Any]) -> list[Action]:
        return self._spoken(data, f" {data['text']}")

    def _spoken(self, data: Mapping[str, Any], text: str) -> list[Action]:
        target = self._named(data["to"]) if "to" in data else None
        to = f" -> {target or data['to']}" if "to" in data else ""
        if not data["client"]:
            mine = (target.number if target else 0, data["text"])
            if self._mine[mine]:
                self._mine -= Counter([mine])
                return []
            return [Print(f"[{_clock(data)}] operator{to}{text}")]
        client, line = self._client(data), data.get("line", 0)
        if line:
            client.through = max(client.through, line)
            if line in client.fetched:
                client.fetched.discard(line)
                return []
        return self._show(Kept(client, f"[{_clock(data)}] {client}{to}{text}", line, True))

    def _joined(self, data: Mapping[str, Any]) -> list[Action]:
        return self._news(self._client(data), data)

    def _renamed(self, data: Mapping[str, Any]) -> list[Action]:
        client = self._client(data)
        client.name = data["name"]
        return self._news(client, data)

    def _left(self, data: Mapping[str, Any]) -> list[Action]:
        client = self._client(data)
        client.gone = True
        actions = self._news(client, data)
        self._forget(client)
        return actions

    def _muted(self, data: Mapping[str, Any]) -> list[Action]:
        return [note(f"{data['client']} {data['message']}")]

    def _announced(self, data: Mapping[str, Any]) -> list[Action]:
        def room(answer: dict[str, Any]) -> list[Action]:
            self.mode = answer["mode"]
            return []

        return [note(data["message"]), Ask("GET", "/v1/chat", then=room, silent=True)]

    def _attached(self, data: Mapping[str, Any]) -> list[Action]:
        mine, self._attaching = self._attaching, False
        return [] if mine else [note(data["message"])]

    def _stopping(self, data: Mapping[str, Any]) -> list[Action]:
        return [note(f"the daemon is {data['message']}")]

    def _nothing(self, data: Mapping[str, Any]) -> list[Action]:
        return []

    def _news(self, client: Client, data: Mapping[str, Any]) -> list[Action]:
        text = f"*** {client.number} {data['message']}"
        return self._show(Kept(client, text, 0, False))

    # Lines, shown or kept.

    def _show(self, kept: Kept) -> list[Action]:
        if self.alone and kept.client is not self.focus:
            self.unread.keep(kept)
            return [] if len(self.unread) < MOST_KEPT else self.show_kept()
        if kept.counted:
            self.last = kept.client
        if kept.line:
            kept.client.shown = max(kept.client.shown, kept.line)
            self._to_take[kept.client] = None
        return [Print(kept.text)]

    def show_kept(self, only: Client | None = None) -> list[Action]:
        """Show what was kept, of one client or of all."""
        shown = self.unread.take(only)
        before, self.alone = self.alone, False
        actions = [action for kept in shown for action in self._show(kept)]
        self.alone = before
        for client in {kept.client for kept in shown}:
            self._forget(client)
        return actions

    # To whom one talks.

    def look_at(self, client: Client | None, *, alone: bool = False) -> list[Action]:
        """Let typed lines go to this client, or to everyone; show what was kept of whom one sees.

        What other clients said comes when one is no longer alone with somebody.
        """
        self.focus, self.alone = client, alone
        self.last = client if alone else self.last
        return self.show_kept(client if alone else None)

    def speak(self, text: str) -> list[Action]:
        """A line to whom the focus names.

        :raises Mistake: it names nobody, or somebody who has gone.
        """
        if self.focus is not None:
            return self.tell(self.focus, text)
        if self.mode == "operator":
            raise Mistake(
                "each client talks with you alone: to N, p2p N or reply TEXT says with whom; "
                "all TEXT reaches everyone"
            )
        return self.say(text)

    def say(self, text: str) -> list[Action]:
        """A line to everyone."""
        return [self._send("/v1/chat/say", {"text": text}, (0, text), _heard)]

    def tell(self, client: Client, text: str) -> list[Action]:
        """A line to one client.

        :raises Mistake: it has gone. Its line must not reach anybody else.
        """
        if client.gone:
            raise Mistake(f"{client} has gone, nobody was told; to N, p2p N or all says with whom")
        body = {"to": str(client.number), "text": text}
        return [self._send("/v1/chat/tell", body, (client.number, text), lambda _: [])]

    def _send(
        self,
        path: str,
        body: dict[str, str],
        mine: tuple[int, str],
        then: Callable[[Any], list[Action]],
    ) -> Ask:
        self._mine[mine] += 1
        return Ask("POST", path, body, then, lambda: self._mine.subtract([mine]))

    def prompt(self) -> str:
        """To whom the line goes that is being typed."""
        if self.focus is None:
            return "to whom? " if self.mode == "operator" else "all> "
        gone = " (gone)" if self.focus.gone else ""
        return f"{'p2p ' if self.alone else ''}{self.focus}{gone}> "

    def toolbar(self) -> str:
        """How things stand, on one line."""
        if not self.connected:
            return "not connected"
        here = len(self.here())
        reply = self.last is not None and not self.last.gone
        parts = (
            f"mode {self.mode}",
            f"{here} client{'' if here == 1 else 's'}",
            str(self.unread),
            f"reply goes to {self.last}" if reply else "",
        )
        return " | ".join(filter(None, parts))

    def here(self) -> list[Client]:
        """Who is in the room."""
        return [client for client in self.clients.values() if not client.gone]

    def _named(self, name: str) -> Client | None:
        return next((client for client in self.here() if client.name == name), None)

    def _client(self, data: Mapping[str, Any]) -> Client:
        number = data["client"]
        if number not in self.clients:
            self.clients[number] = Client(number, data["name"], data.get("peer", ""))
        return self.clients[number]

    def _forget(self, client: Client) -> None:
        """Who has gone is known until the last of its lines is read."""
        if client.gone and client not in self.unread:
            self.clients.pop(client.number, None)

    # How things stand, when the connection is new.

    def _same_run(self, status: dict[str, Any]) -> list[Action]:
        run = (status["pid"], status["started"])
        before, self._run = self._run, run
        if before in (None, run):
            return []
        # Numbers are given anew: whoever had one must not get what was meant for another.
        actions = self.show_kept()
        for client in self.clients.values():
            client.gone = True
        self.clients.clear()
        self._to_take.clear()
        self._mine.clear()
        self._anew = True
        return [*actions, note("the daemon was started anew: clients have new numbers")]

    def _members(self, members: list[dict[str, Any]]) -> list[Action]:
        for member in members:
            client = self._client({**member, "client": member["number"]})
            client.name = member["name"]
        return []

    def _gap(self, data: Mapping[str, Any]) -> list[Action]:
        """Events are lost, and with them perhaps who has left."""
        anew, self._anew = self._anew, False
        if anew:
            return []  # those of the earlier run, and that is known

        def members(answer: list[dict[str, Any]]) -> list[Action]:
            present = {member["number"] for member in answer}
            for client in [c for c in self.here() if c.number not in present]:
                client.gone = True
                self._forget(client)
            return self._members(answer)

        ask = Ask("GET", "/v1/chat/members", then=members, silent=True)
        return [note(data["message"]), ask]

    def _desk(self, drawers: Iterable[dict[str, Any]]) -> list[Action]:
        actions: list[Action] = []
        for drawer in drawers:
            client = self._client(drawer)
            client.gone = drawer["gone"]
            for line in drawer["lines"]:
                number = line["number"]
                if number <= client.shown:
                    self._to_take[client] = None  # who was asked to give it away did not hear it
                elif number > client.through and number not in client.fetched:
                    client.fetched.add(number)
                    text = f"[{_clock(line)}] {client}: {line['text']}"
                    actions += self._show(Kept(client, text, number, True))
            self._forget(client)
        if actions:
            waited = len(actions)
            actions.insert(0, note(f"{waited} {_lines(waited)} for an operator:"))
        return actions

    def _greeting(self, room: dict[str, Any]) -> list[Action]:
        topic = f"; the topic: {room['topic']}" if room["topic"] else ""
        return [
            note(f"the mode is {room['mode']}: {room['mode_means']}{topic}"),
            note("help lists the commands; quit leaves, and the daemon goes on"),
        ]


_HANDLERS: dict[str, Callable[[Console, Mapping[str, Any]], list[Action]]] = {
    "gap": Console._gap,
    "chat.said": Console._said,
    "chat.did": Console._did,
    "chat.joined": Console._joined,
    "chat.left": Console._left,
    "chat.renamed": Console._renamed,
    "chat.muted": Console._muted,
    "chat.announced": Console._announced,
    "chat.attached": Console._attached,
    "chat.shut": Console._nothing,  # netlab.stopping says the same
    "netlab.ready": Console._nothing,
    "netlab.stopping": Console._stopping,
}


def _heard(answer: dict[str, Any]) -> list[Action]:
    return [] if answer["heard_by"] else [note("nobody is here to read that")]


def _lines(count: int) -> str:
    return "line waits" if count == 1 else "lines wait"


def _clock(data: Mapping[str, Any]) -> str:
    """Local time of day."""
    return f"{datetime.fromisoformat(data['time']).astimezone():%H:%M:%S}"
