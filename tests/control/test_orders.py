"""netlabsvc.control.orders: what is typed, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from netlabsvc.chat.hub import MODES
from netlabsvc.control import orders
from support.sitting import Sitting

NAMES = ("alice", "bob", "3")


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("hello there", ("chat/say", "hello there")),
        ("all hello  there", ("chat/say", "hello  there")),
        ("to 2 see you", ("chat/tell", "2", "see you")),
        ("to BOB see you", ("chat/tell", "2", "see you")),
        ("/to bob see you", ("chat/tell", "2", "see you")),
        ("kick alice", ("chat/kick", "1", "")),
        ("kick 1 too loud", ("chat/kick", "1", "too loud")),
        ("mute 1", ("chat/mute", "1", "True")),
        ("unmute alice", ("chat/mute", "1", "False")),
        ("ban bob", ("chat/bans", "10.0.0.2")),
        ("ban ::1", ("chat/bans", "::1")),
        ("unban ::1", ("chat/bans/%3A%3A1",)),
        ("mode echo", ("chat/mode", "echo")),
        ("topic the OSI model", ("chat/topic", "the OSI model")),
        ("topic off", ("chat/topic", "")),
        ("/xyzzy 1 2", ("chat/command", "/xyzzy 1 2")),
        ("shutdown the lesson is over", ("shutdown", "the lesson is over")),
        # What begins like a command and has not its shape is said.
        ("who is there?", ("chat/say", "who is there?")),
        ("next week we do TCP", ("chat/say", "next week we do TCP")),
        ("mode is a word", ("chat/say", "mode is a word")),
        ("say who", ("chat/say", "who")),
        ("To be or not", ("chat/say", "To be or not")),
    ],
)
def test_a_line_is_a_command_or_is_said(line: str, asked: tuple[str, ...]) -> None:
    """Numbers and names serve alike; a client is always named by its number to the daemon."""
    sitting = Sitting(*NAMES)
    sitting.type(line)
    assert sitting.said() == [asked]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("to", "usage: to WHO [TEXT]; say to says it"),
        ("kick off is at nine", "nobody here is called off; who lists them; say kick off is at"),
        ("to alise hi", "nobody here is called alise; did you mean alice?; say to alise hi says"),
        ("p2p 9", "nobody here has the number 9; who lists them; say p2p 9 says it"),
        ("mode opertor", "there is no mode opertor; the modes are hub, echo, operator"),
        ("shutdown", "usage: shutdown REASON"),
        ("kik 1", "there is no command kik; did you mean kick? say kik 1 says it"),
        ("mdoe echo", "there is no command mdoe; did you mean mode?"),
        ("/who is there", "usage: who"),
        ("reply", "usage: reply TEXT"),
        ("reply hi", "nobody has said anything yet"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_said(line: str, why: str) -> None:
    """Nobody reads a command that was mistyped."""
    sitting = Sitting(*NAMES)
    assert sitting.type(line)[0].startswith(f"*** {why}")
    assert sitting.said() == []


def test_digits_are_a_number() -> None:
    """Who is called 2 does not get what is meant for number 2."""
    sitting = Sitting("alice", "bob", "2")
    sitting.type("to 2 your mark")
    assert sitting.said() == [("chat/tell", "2", "your mark")]


def test_help_lists_every_command() -> None:
    """The table is the only source, and the documentation holds the same list."""
    shown = Sitting().type("help")
    document = (Path(__file__).parents[2] / "docs/operator.md").read_text("utf-8")
    assert "\n".join(line.replace("*** ", "    ", 1) for line in shown[:-1]) in document
    text = "\n".join(shown)
    for order in orders.ORDERS.values():
        assert f"*** {order.usage()}" in text
        assert order.help in text


def test_the_modes_are_those_of_the_chat() -> None:
    """The rooms do not know each other; this test knows both."""
    assert tuple(MODES) == orders.MODES


def test_a_shutdown_is_confirmed_at_a_terminal() -> None:
    """Anything but yes is no, and is not said to anybody."""
    sitting = Sitting(*NAMES, terminal=True)
    for answer in ("no", "", "kick 1"):
        assert '3 clients read "over"; yes does it' in sitting.type("shutdown over")[0]
        assert sitting.type(answer) == ["*** not shut down; what you typed was not said"]
    assert sitting.said() == []
    sitting.type("shutdown over")
    sitting.type("yes")
    assert sitting.said() == [("shutdown", "over")]
    assert sitting.lose() == ["*** the daemon has ended"]
    assert sitting.over


def test_what_the_daemon_refuses_is_printed() -> None:
    """A room that does not run, and a value that it does not take."""
    sitting = Sitting(*NAMES)
    sitting.refusals["PUT /v1/udp/impair"] = (400, "loss a probability is 0 to 1")
    assert sitting.type("impair 300%") == ["*** loss a probability is 0 to 1"]
    sitting.refusals["GET /v1/udp/counters"] = (404, "there is no /v1/udp/counters; /v1/open")
    assert sitting.type("counters") == ["*** this daemon runs no udp"]


def test_tables() -> None:
    """Who is here with what is unread, the drop probability with the counters."""
    sitting = Sitting("小明", "bob")
    for member in sitting.answers["GET /v1/chat/members"]:
        member |= {"idle_s": 150.2, "encoding": "utf-8", "line_end": "LF"}
        member |= {"queued_bytes": 0, "muted": member["number"] == 1}
    sitting.type("p2p bob")
    sitting.hear(1, "小明", "hello")
    assert sitting.type("who") == [
        "***    name  address     idle   encoding  line end  queued",
        "*** 1  小明  10.0.0.1:5  2 min  utf-8     LF        0 B     muted  1 unread",
        "*** 2  bob   10.0.0.2:5  2 min  utf-8     LF        0 B",
    ]
    sitting.answers["PUT /v1/udp/impair"] = [{"reflector": "classic", "faults": "up loss=30%"}]
    counted = {"reflector": "classic", "received": 10, "replied": 0, "refused_port": 1, "copies": 0}
    sitting.answers["GET /v1/udp/counters"] = [counted]
    assert sitting.type("impair 30%") == [
        "*** classic: up loss=30%",
        "*** classic: received 10, replied 0, refused port 1",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("un", ["unread", "unmute", "unban"]),
        ("/kic", ["/kick"]),
        ("to al", ["alice"]),
        ("kick ", ["alice", "bob", "1", "2"]),
        ("mode e", ["echo"]),
        ("to alice he", []),
        ("hello al", []),
    ],
)
def test_completion(text: str, words: list[str]) -> None:
    """Commands first, then clients or modes."""
    assert [word for word, _ in orders.complete(text, [(1, "alice"), (2, "bob")])] == words


def test_control_characters_that_are_typed_show_as_escapes() -> None:
    """What one says is what the others see, so that it is known when it comes back."""
    sitting = Sitting(*NAMES)
    sitting.type("a\x1b[2Jb")
    assert sitting.said() == [("chat/say", "a\\x1b[2Jb")]
    assert sitting.hear(0, "operator", "a\\x1b[2Jb") == []
