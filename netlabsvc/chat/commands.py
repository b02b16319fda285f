"""The /commands of the chat: one table; /help is made from it.

The hub knows nothing of them: the session hands over every line that begins with ``/``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netlabsvc.chat.hub import MODES, Hub
from netlabsvc.chat.member import Member
from netlabsvc.chat.message import stamp
from netlabsvc.chat.text import ENCODINGS

#: Words that leave the room when they stand alone on a line.
LEAVE = frozenset({"q", "exit"})


@dataclass(frozen=True)
class Command:
    """One row of the table.

    :ivar arguments: as /help shows them; one in brackets may be missing, the last may hold blanks.
    :ivar function: called with the hub, who asks, and the words; returns what is told to who asks.
        A ValueError is told as well. An operator is no member: for its commands, who is None.
    """

    name: str
    arguments: str
    help: str
    function: Callable[[Hub, Any, list[str]], str]
    operator_only: bool = False

    def usage(self) -> str:
        return f"/{self.name} {self.arguments}".rstrip()


def run(hub: Hub, member: Member, text: str) -> None:
    """Run a line that begins with ``/`` or is a word that leaves; its outcome is told."""
    answer = _run(hub, member, "/quit" if text in LEAVE else text)
    if answer and member in hub.seats:
        hub.tell(member, answer)


def run_for_operator(hub: Hub, text: str) -> str:
    """Run a line of an operator, who may use the operator's commands alone; returns the answer."""
    return _run(hub, None, text)


def _run(hub: Hub, member: Member | None, text: str) -> str:
    word, _, rest = text[1:].partition(" ")
    command = COMMANDS.get(word.lower())
    if command is None or command.operator_only != (member is None):
        return _unknown(word, text, member is None)
    try:
        return command.function(hub, member, _words(command, rest))
    except (ValueError, LookupError) as error:
        return str(error)


def _unknown(word: str, text: str, operator: bool) -> str:
    names = [c.name for c in COMMANDS.values() if c.operator_only == operator]
    near = difflib.get_close_matches(word.lower(), names, n=1)
    hint = f"did you mean /{near[0]}?" if near else "/help lists the commands"
    return f"there is no command /{word}; {hint}" + ("" if operator else f"; /say {text} says it")


def _words(command: Command, rest: str) -> list[str]:
    """The arguments of a command; the last one keeps its blanks.

    :raises ValueError: shows how the command is used.
    """
    names = command.arguments.split()
    words = rest.split(maxsplit=max(0, len(names) - 1))
    required = sum(not name.startswith("[") for name in names)
    if not required <= len(words) <= len(names):
        raise ValueError(f"usage: {command.usage()}")
    return words


def _help(hub: Hub, member: Member, words: list[str]) -> str:
    rows = [(c.usage(), c.help) for c in COMMANDS.values() if not c.operator_only]
    width = max(len(usage) for usage, _ in rows)
    lines = [f"{usage.ljust(width)}  {text}" for usage, text in rows]
    return "\n".join([*lines, f"{' or '.join(sorted(LEAVE))} alone on a line leaves too"])


def _nick(hub: Hub, member: Member, words: list[str]) -> str:
    hub.rename(member, words[0])
    return ""


def _who(hub: Hub, member: Member, words: list[str]) -> str:
    return "\n".join(hub.who())


def _msg(hub: Hub, member: Member, words: list[str]) -> str:
    hub.whisper(member, hub.seats.find(words[0]), words[1])
    return ""


def _reply(hub: Hub, member: Member, words: list[str]) -> str:
    hub.reply(member, words[0])
    return ""


def _me(hub: Hub, member: Member, words: list[str]) -> str:
    hub.say(member, tuple(words), verb="")
    return ""


def _history(hub: Hub, member: Member, words: list[str]) -> str:
    hub.replay(member)
    return "" if hub.history else "nothing has been said yet"


def _encoding(hub: Hub, member: Member, words: list[str]) -> str:
    if words:
        encoding = ENCODINGS.get(words[0].lower())
        if encoding is None:
            raise ValueError(f"{words[0]} is not spoken here; known are {', '.join(ENCODINGS)}")
        member.use_encoding(encoding)
    return f"you read and write {member.style.encoding}"


def _time(hub: Hub, member: Member, words: list[str]) -> str:
    return f"it is {stamp(hub.now())}"


def _say(hub: Hub, member: Member, words: list[str]) -> str:
    hub.say(member, tuple(words))
    return ""


def _quit(hub: Hub, member: Member, words: list[str]) -> str:
    hub.dismiss(member, "goodbye", "quit")
    return ""


def _kick(hub: Hub, who: None, words: list[str]) -> str:
    hub.kick(hub.find(words[0]), words[1] if len(words) > 1 else "")
    return f"{words[0]} is gone"


def _ban(hub: Hub, who: None, words: list[str]) -> str:
    return f"{words[0]} is kept out; {hub.ban(words[0])} removed"


def _unban(hub: Hub, who: None, words: list[str]) -> str:
    hub.unban(words[0])
    return f"{words[0]} may come in again"


def _topic(hub: Hub, who: None, words: list[str]) -> str:
    hub.set_topic(words[0] if words else "")
    return ""


def _mute(hub: Hub, who: None, words: list[str]) -> str:
    member = hub.find(words[0])
    seat = hub.seats[member]
    hub.mute(member, not seat.muted)
    return f"{seat.name} is {'muted' if seat.muted else 'heard again'}"


def _mode(hub: Hub, who: None, words: list[str]) -> str:
    if words:
        hub.set_mode(words[0])
    return f"the mode is {hub.mode}: {MODES[hub.mode]}"


COMMANDS = {
    c.name: c
    for c in (
        Command("help", "", "this list", _help),
        Command("nick", "NAME", "take another name", _nick),
        Command("who", "", "who is here, from where, and how they are connected", _who),
        Command("msg", "NAME TEXT", "say something to one alone", _msg),
        Command("reply", "TEXT", "answer whoever last wrote to you alone", _reply),
        Command("me", "TEXT", "say what you do: /me waves", _me),
        Command("history", "", "the last lines once more", _history),
        Command("encoding", "[NAME]", "utf-8 or gbk: what you read and write", _encoding),
        Command("time", "", "what time it is here", _time),
        Command("say", "TEXT", "say TEXT even if it is q, exit or begins with /", _say),
        Command("quit", "", "leave", _quit),
        Command("kick", "NAME [REASON]", "remove a client", _kick, True),
        Command("ban", "ADDRESS", "let nobody in from an address", _ban, True),
        Command("unban", "ADDRESS", "take a ban back", _unban, True),
        Command("topic", "[TEXT]", "say what the room is about", _topic, True),
        Command("mute", "NAME", "let nobody hear a client; once more: hear it again", _mute, True),
        Command("mode", "[MODE]", "hub, echo or operator", _mode, True),
    )
}
