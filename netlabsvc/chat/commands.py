"""The /commands of the chat: one table; /help is made from it.

The hub knows nothing of them: the session hands over every line that begins with ``/``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

from netlabsvc.chat.hub import Hub, Member

#: Words that leave the room when they stand alone on a line.
LEAVE = frozenset({"q", "exit"})


@dataclass(frozen=True)
class Command:
    """One row of the table.

    :ivar arguments: as /help shows them; the last one may hold blanks.
    :ivar function: called with the hub, the member and the words; a ValueError is told the member.
    """

    name: str
    arguments: str
    help: str
    function: Callable[[Hub, Member, list[str]], None]
    operator_only: bool = False

    def usage(self) -> str:
        return f"/{self.name} {self.arguments}".rstrip()


def run(hub: Hub, member: Member, text: str) -> None:
    """Run a line that begins with ``/`` or is a word that leaves; tells what is wrong with it."""
    if text in LEAVE:
        text = "/quit"
    word, _, rest = text[1:].partition(" ")
    command = COMMANDS.get(word.lower())
    try:
        if command is None or command.operator_only:
            raise ValueError(_unknown(word, text))
        command.function(hub, member, _words(command, rest))
    except ValueError as error:
        hub.tell(member, str(error))


def _unknown(word: str, text: str) -> str:
    near = difflib.get_close_matches(word.lower(), list(COMMANDS), n=1)
    hint = f"did you mean /{near[0]}?" if near else "/help lists the commands"
    return f"there is no command /{word}; {hint}; /say {text} says it"


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


def _help(hub: Hub, member: Member, words: list[str]) -> None:
    rows = [(c.usage(), c.help) for c in COMMANDS.values() if not c.operator_only]
    width = max(len(usage) for usage, _ in rows)
    lines = [f"{usage.ljust(width)}  {text}" for usage, text in rows]
    hub.tell(
        member, "\n".join([*lines, f"{' or '.join(sorted(LEAVE))} alone on a line leaves too"])
    )


def _nick(hub: Hub, member: Member, words: list[str]) -> None:
    hub.rename(member, words[0])


def _who(hub: Hub, member: Member, words: list[str]) -> None:
    hub.tell(member, "\n".join(hub.who()))


def _msg(hub: Hub, member: Member, words: list[str]) -> None:
    hub.whisper(member, *words)


def _reply(hub: Hub, member: Member, words: list[str]) -> None:
    name = hub.seats[member].correspondent
    if not name:
        raise ValueError("nobody has written to you alone yet; /msg NAME TEXT writes to somebody")
    hub.whisper(member, name, words[0])


def _me(hub: Hub, member: Member, words: list[str]) -> None:
    hub.say(member, tuple(words), verb="")


def _say(hub: Hub, member: Member, words: list[str]) -> None:
    hub.say(member, tuple(words))


def _quit(hub: Hub, member: Member, words: list[str]) -> None:
    hub.dismiss(member, "goodbye", "quit")


COMMANDS = {
    c.name: c
    for c in (
        Command("help", "", "this list", _help),
        Command("nick", "NAME", "take another name", _nick),
        Command("who", "", "who is here, from where, and how they are connected", _who),
        Command("msg", "NAME TEXT", "say something to one alone", _msg),
        Command("reply", "TEXT", "answer whoever last wrote to you alone", _reply),
        Command("me", "TEXT", "say what you do: /me waves", _me),
        Command("say", "TEXT", "say TEXT even if it is q, exit or begins with /", _say),
        Command("quit", "", "leave", _quit),
    )
}
