"""The commands of the operator's console: one table; help and completion are made from it.

A line is a command when its first word is one and the rest has its shape: `who` lists the clients,
"who is there?" is said. With a slash before it nothing is said: what is not in the table then goes
to the daemon, which has commands of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote

from netlabsvc.control import tables
from netlabsvc.control.actions import Action, Ask, Mistake, Print, note
from netlabsvc.control.console import Console
from netlabsvc.control.unread import Client
from netlabsvc.escape import escape

MODES = ("hub", "echo", "operator")
_YES = ("y", "yes")
#: Commands whose errors are not about whether the line was meant as one.
_SPEAKING = ("say", "reply", "all")


@dataclass(frozen=True)
class Order:
    """One row of the table.

    :ivar arguments: as help shows them; one in brackets may be missing. WHO is a client's number or
        name; TEXT and REASON may hold blanks.
    :ivar function: called with the console and the words; raises Mistake.
    """

    name: str
    arguments: str
    help: str
    function: Callable[[Console, list[str]], list[Action]]

    def usage(self) -> str:
        return f"{self.name} {self.arguments}".rstrip()

    def words(self, rest: str) -> list[str] | None:
        """The arguments; None when there are more than the command takes.

        :raises Mistake: when there are fewer.
        """
        names = self.arguments.split()
        free = bool(names) and names[-1].strip("[]") in ("TEXT", "REASON")
        words = rest.split(maxsplit=len(names) - 1) if free else rest.split()
        if len(words) < sum(not name.startswith("[") for name in names):
            raise Mistake(f"usage: {self.usage()}")
        return words if len(words) <= len(names) else None


def run(console: Console, line: str) -> list[Action]:
    """Do what was typed."""
    line = escape(line.rstrip("\r\n"))
    if console.confirming is not None:
        return _confirmed(console, line)
    if not line.strip():
        return []
    try:
        return _obey(console, line) if line.startswith("/") else _obey_or_say(console, line)
    except Mistake as mistake:
        return [note(str(mistake))]


def _obey(console: Console, line: str) -> list[Action]:
    """A line that begins with a slash."""
    word, _, rest = line[1:].partition(" ")
    order = ORDERS.get(word.lower())
    if order is None:
        return [Ask("POST", "/v1/chat/command", {"line": line}, _answered)]
    words = order.words(rest)
    if words is None:
        raise Mistake(f"usage: {order.usage()}")
    return order.function(console, words)


def _obey_or_say(console: Console, line: str) -> list[Action]:
    word, _, rest = line.strip().partition(" ")
    order = ORDERS.get(word)
    if order is None:
        _check_for_slip(console, word, rest, line)
        return console.speak(line)
    try:
        words = order.words(rest)
        if words is not None:
            return order.function(console, words)
    except Mistake as mistake:
        # Where the words were meant for the clients, and only happen to begin like a command.
        hint = "" if order.name in _SPEAKING else f"; say {line.strip()} says it"
        raise Mistake(f"{mistake}{hint}") from None
    return console.speak(line)


def _check_for_slip(console: Console, word: str, rest: str, line: str) -> None:
    """:raises Mistake: ``kik 3`` is hardly meant for everyone's ears."""
    first = rest.partition(" ")[0]
    aimed = [order.name for order in ORDERS.values() if order.arguments.startswith("WHO")]
    if first in {str(part) for c in console.here() for part in (c.number, c.name)}:
        near = get_close_matches(word, aimed, 1, 0.7)
    else:
        near = get_close_matches(word, ["mode"], 1, 0.7) if rest in MODES else []
    if near:
        raise Mistake(f"there is no command {word}; did you mean {near[0]}? say {line} says it")


def find(console: Console, who: str) -> Client:
    """The client of that number or name; digits are a number, as the daemon reads them.

    :raises Mistake: when there is none.
    """
    if who.isascii() and who.isdigit():
        client = console.clients.get(int(who[:18]))
        if client is None:
            raise Mistake(f"nobody here has the number {who}; who lists them")
        return client
    clients = list(console.clients.values())
    for exactly in (str, str.casefold):
        for client in clients:
            if exactly(client.name) == exactly(who):
                return client
    near = get_close_matches(who, [client.name for client in clients], 1)
    hint = f"did you mean {near[0]}?" if near else "who lists them"
    raise Mistake(f"nobody here is called {who}; {hint}")


def complete(text: str, clients: Iterable[tuple[int, str]]) -> list[tuple[str, str]]:
    """What the last word of a line may be, and what that means.

    :param clients: number and name of who is here.
    """
    *before, word = text.split(" ")
    if not before:
        rows = [(order.name, order.help) for order in ORDERS.values()]
    elif len(before) > 1 or (order := ORDERS.get(before[0].removeprefix("/"))) is None:
        rows = []
    elif order.name == "mode":
        rows = [(mode, "") for mode in MODES]
    elif order.arguments.startswith("WHO"):
        rows = [(name, f"number {number}") for number, name in clients]
        rows += [(str(number), name) for number, name in clients]
    else:
        rows = []
    slash = "/" if not before and word.startswith("/") else ""
    return [(slash + row, about) for row, about in rows if (slash + row).startswith(word)]


# What the commands do.


def _to(console: Console, words: list[str]) -> list[Action]:
    client = find(console, words[0])
    return console.tell(client, words[1]) if len(words) > 1 else console.look_at(client)


def _all(console: Console, words: list[str]) -> list[Action]:
    return console.say(words[0]) if words else console.look_at(None)


def _p2p(console: Console, words: list[str]) -> list[Action]:
    return console.look_at(find(console, words[0]), alone=True)


def _next(console: Console, words: list[str]) -> list[Action]:
    client = console.unread.oldest()
    return [note("nothing is unread")] if client is None else console.look_at(client, alone=True)


def _unread(console: Console, words: list[str]) -> list[Action]:
    return [note(str(console.unread) or "nothing is unread")]


def _reply(console: Console, words: list[str]) -> list[Action]:
    client = console.last
    if client is None:
        raise Mistake("nobody has said anything yet")
    # Somebody else may have spoken while this was typed: show who gets it.
    return [*console.tell(client, words[0]), Print(f"-> {client}: {words[0]}")]


def _say(console: Console, words: list[str]) -> list[Action]:
    return console.speak(words[0])


def _who(console: Console, words: list[str]) -> list[Action]:
    def table(members: list[dict[str, Any]]) -> list[Action]:
        return _notes(tables.who(members, console.unread.counts()))

    return [Ask("GET", "/v1/chat/members", then=table)]


def _kick(console: Console, words: list[str]) -> list[Action]:
    client = find(console, words[0])
    reason = words[1] if len(words) > 1 else ""

    def removed(answer: dict[str, Any]) -> list[Action]:
        # That it has left is shown to all, but to one who is alone with somebody else.
        hidden = console.alone and client is not console.focus
        return [note(f"{client} is removed")] if hidden else []

    body = {"who": str(client.number), "reason": reason}
    return [Ask("POST", "/v1/chat/kick", body, removed)]


def _mute(muted: bool) -> Callable[[Console, list[str]], list[Action]]:
    def function(console: Console, words: list[str]) -> list[Action]:
        body = {"who": str(find(console, words[0]).number), "muted": muted}
        return [Ask("PUT", "/v1/chat/mute", body)]

    return function


def _ban(console: Console, words: list[str]) -> list[Action]:
    address = words[0]
    if not _is_address(address):
        address = find(console, address).peer.rpartition(":")[0].strip("[]")
    return [Ask("POST", "/v1/chat/bans", {"address": address})]


def _unban(console: Console, words: list[str]) -> list[Action]:
    return [Ask("DELETE", f"/v1/chat/bans/{quote(words[0], safe='')}")]


def _bans(console: Console, words: list[str]) -> list[Action]:
    def listed(bans: list[str]) -> list[Action]:
        return [note(f"kept out: {', '.join(bans)}" if bans else "nobody is kept out")]

    return [Ask("GET", "/v1/chat/bans", then=listed)]


def _topic(console: Console, words: list[str]) -> list[Action]:
    if words:
        topic = "" if words[0] == "off" else words[0]
        return [Ask("PUT", "/v1/chat/topic", {"topic": topic})]

    def shown(room: dict[str, Any]) -> list[Action]:
        return [note(f"the topic: {room['topic']}" if room["topic"] else "there is no topic")]

    return [Ask("GET", "/v1/chat", then=shown)]


def _mode(console: Console, words: list[str]) -> list[Action]:
    def shown(room: dict[str, Any]) -> list[Action]:
        return [note(f"the mode is {room['mode']}: {room['mode_means']}")]

    def changed(room: dict[str, Any]) -> list[Action]:
        before, console.mode = console.mode, room["mode"]
        return shown(room) if room["mode"] == before else []  # else an event tells it

    if not words:
        return [Ask("GET", "/v1/chat", then=shown)]
    if words[0] not in MODES:
        raise Mistake(f"there is no mode {words[0]}; the modes are {', '.join(MODES)}")
    return [Ask("PUT", "/v1/chat/mode", {"mode": words[0]}, changed)]


def _impair(console: Console, words: list[str]) -> list[Action]:
    def shown(answer: list[dict[str, Any]]) -> list[Action]:
        return [*_notes(tables.impairments(answer)), *_counters(console, [])]

    if words:
        return [Ask("PUT", "/v1/udp/impair", {"faults": " ".join(words)}, shown)]
    return [Ask("GET", "/v1/udp/impair", then=shown)]


def _counters(console: Console, words: list[str]) -> list[Action]:
    def shown(answer: list[dict[str, Any]]) -> list[Action]:
        return _notes(tables.counters(answer))

    return [Ask("GET", "/v1/udp/counters", then=shown)]


def _status(console: Console, words: list[str]) -> list[Action]:
    return [Ask("GET", "/v1/status", then=lambda answer: _notes(tables.status(answer)))]


def _shutdown(console: Console, words: list[str]) -> list[Action]:
    if not console.terminal:
        return _end(console, words[0])
    console.confirming = words[0]
    here = len(console.here())
    who = "the client reads" if here == 1 else f"{here} clients read"
    return [note(f'this ends the daemon, and {who} "{words[0]}"; yes does it')]


def _confirmed(console: Console, line: str) -> list[Action]:
    reason, console.confirming = console.confirming or "", None
    if line.strip().lower() in _YES:
        return _end(console, reason)
    return [note("not shut down; what you typed was not said")]


def _end(console: Console, reason: str) -> list[Action]:
    console.ending = True

    def undo() -> None:
        console.ending = False

    return [Ask("POST", "/v1/shutdown", {"reason": reason}, undo=undo)]


def _quit(console: Console, words: list[str]) -> list[Action]:
    return console.leave()


def _help(console: Console, words: list[str]) -> list[Action]:
    rows = [(order.usage(), order.help) for order in ORDERS.values()]
    return [
        *_notes(tables.columns(rows)),
        note("WHO is a number or a name. Anything else is said; /anything goes to the daemon."),
    ]


def _notes(lines: Iterable[str]) -> list[Action]:
    return [note(line) for line in lines]


def _answered(answer: dict[str, Any]) -> list[Action]:
    return _notes(answer["answer"].splitlines())


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


ORDERS = {
    order.name: order
    for order in (
        Order("to", "WHO [TEXT]", "TEXT to one client; without it, all lines from now on", _to),
        Order("all", "[TEXT]", "TEXT to everyone; without it, all lines from now on", _all),
        Order("p2p", "WHO", "talk with one; what others say is kept and counted", _p2p),
        Order("next", "", "talk with the next one of whom something is unread", _next),
        Order("unread", "", "of whom how many lines are unread", _unread),
        Order("reply", "TEXT", "TEXT to whoever said the last line", _reply),
        Order("say", "TEXT", "TEXT, even if it begins like a command", _say),
        Order("who", "", "who is here, from where, and how they are connected", _who),
        Order("kick", "WHO [REASON]", "remove a client", _kick),
        Order("mute", "WHO", "let nobody hear a client", _mute(True)),
        Order("unmute", "WHO", "let it be heard again", _mute(False)),
        Order("ban", "WHO", "keep a client's address out, or an address", _ban),
        Order("unban", "ADDRESS", "take a ban back", _unban),
        Order("bans", "", "the addresses that are kept out", _bans),
        Order("mode", "[MODE]", f"who hears whom: {', '.join(MODES)}", _mode),
        Order("topic", "[TEXT]", "what newcomers are told; off: nothing", _topic),
        Order("impair", "[FAULTS]", "what UDP does to datagrams: 30%, up delay=20ms", _impair),
        Order("counters", "", "what became of the datagrams", _counters),
        Order("status", "", "what runs, and where it listens", _status),
        Order("shutdown", "REASON", "end the daemon; clients read why", _shutdown),
        Order("quit", "", "leave; the daemon goes on", _quit),
        Order("help", "", "this list", _help),
    )
}
