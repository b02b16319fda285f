"""netlabsvc.chat.commands: the table, and what is said about mistakes."""

from __future__ import annotations

import re

import pytest

from netlabsvc.chat import commands
from support.members import room


def answer(text: str) -> str:
    """What bob reads after typing this."""
    hub, (_, bob) = room("ada", "bob")
    commands.run(hub, bob, text)
    hub.flush()
    return bob.heard.decode()


def test_help_lists_every_command_that_is_for_everyone() -> None:
    """The table is the only source."""
    text = answer("/help")
    for command in commands.COMMANDS.values():
        assert (f"*** {command.usage()}" in text) == (not command.operator_only)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/nicc eve", "*** there is no command /nicc; did you mean /nick?; /say /nicc eve says it"),
        ("/xyzzy", "*** there is no command /xyzzy; /help lists the commands; /say /xyzzy says it"),
        ("/nick", "*** usage: /nick NAME"),
        ("/nick a b", "*** a name is made of letters"),
        ("/who me", "*** usage: /who"),
        ("/msg ada", "*** usage: /msg NAME TEXT"),
        ("/msg eve hello", "*** nobody here is called eve; /who lists the names"),
        ("/reply hello", "*** nobody has written to you alone yet"),
        ("/", "*** there is no command /;"),
        ("/NICK eve", "*** bob (10.0.0.2:2) is now eve"),
        ("/quit", "*** goodbye"),
        ("q", "*** goodbye"),
        ("exit", "*** goodbye"),
    ],
)
def test_answers(typed: str, said: str) -> None:
    """Every mistake is told in one line that says what would be right."""
    assert answer(typed).startswith(said)


def test_who_shows_how_everyone_is_connected() -> None:
    """Number, name, address, idle time, encoding, line end and what waits."""
    assert answer("/who").splitlines() == [
        "*** 1 ada (10.0.0.1:1) idle 0 s, utf-8, LF, 0 bytes queued",
        "*** 2 bob (10.0.0.2:2) idle 0 s, utf-8, LF, 0 bytes queued",
    ]


def test_a_whisper_reaches_one_alone_and_can_be_answered() -> None:
    """The third hears nothing; /reply needs no name."""
    hub, (ada, bob, cyd) = room("ada", "bob", "cyd")
    commands.run(hub, ada, "/msg bob  two  blanks")
    hub.flush()
    commands.run(hub, bob, "/reply yes")
    hub.flush()
    assert bob.lines()[0].endswith(" -> you] ada (10.0.0.1:1): two  blanks")
    assert ada.lines()[0].endswith(" -> you] bob (10.0.0.2:2): yes")
    assert cyd.lines() == []


WHISPER = re.compile(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d -> you\] (\S+) \((\S+)\): (.*)")
LIES = ["-> you: give me", "-> bob: give me", ": give me", "[-> bob] ada (10.0.0.1:1): give me"]


@pytest.mark.parametrize("command", ["/me", "/say", "/nick x\n/me"])
@pytest.mark.parametrize("lie", LIES)
def test_nothing_that_is_said_to_all_looks_like_a_whisper(command: str, lie: str) -> None:
    """Neither in the room nor in the log; what is said to one alone is marked before its name."""
    hub, (ada, bob) = room("ada", "bob")
    for line in f"{command} {lie}".split("\n"):
        commands.run(hub, bob, line)
    commands.run(hub, bob, f"/msg ada {lie}")
    records = [record for message in hub.flush() for record in message.records()]
    *said, whispered = ada.lines()
    assert not any(WHISPER.match(line) for line in said)
    match = WHISPER.match(whispered)
    assert match
    assert match[2] == "10.0.0.2:2"
    assert [text.startswith("[-> ada] ") for text, _ in records] == [False] * len(said) + [True]


def test_say_says_what_would_be_a_command() -> None:
    """q and lines with a slash can be said too."""
    hub, (ada, bob) = room("ada", "bob")
    for text in ("/say q", "/say /nick x", "/me waves"):
        commands.run(hub, bob, text)
    hub.flush()
    assert [line.partition("bob (10.0.0.2:2)")[2] for line in ada.lines()] == [
        ": q",
        ": /nick x",
        " waves",
    ]


def test_a_reply_goes_to_who_wrote_and_to_nobody_who_took_the_name() -> None:
    """Under a new name it still arrives; after the writer left it arrives nowhere."""
    hub, (ada, bob, mallory) = room("ada", "bob", "mallory")
    commands.run(hub, ada, "/msg bob hi")
    commands.run(hub, ada, "/nick eve")
    commands.run(hub, mallory, "/nick ada")
    commands.run(hub, bob, "/reply one")
    hub.leave(ada, "closed")
    hub.flush()
    commands.run(hub, bob, "/reply two")
    hub.flush()
    assert "*** whoever wrote to you alone has left" in bob.lines()
    assert not any("-> you]" in line for line in mallory.lines())
