"""netlabsvc.chat.tally: what a room counts is what happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat import commands
from netlabsvc.chat.tally import Cut, Refusal
from support.members import Listener, room
from support.scripted import Chat, Client

ACTS = st.lists(
    st.tuples(
        st.sampled_from(["say", "whisper", "answer", "echo", "leave", "quit", "enter", "flush"]),
        st.integers(0, 3),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(ACTS)
def test_lines_and_copies_are_those_that_were_said_and_heard(
    acts: list[tuple[str, int, int]],
) -> None:
    """Whatever is said to all or one by whom, by those who come and go as well."""
    hub, members = room("ada", "bob", "cyd", "dan")
    ever, said = list(members), 0
    for act, who, lines in acts:
        member, other = members[who], members[who - 1]
        if act == "flush":
            hub.flush()
        elif act == "enter" and member not in hub.seats:
            members[who] = member = Listener()
            ever.append(member)
            hub.enter(member)
        elif member in hub.seats:
            if act == "leave":
                hub.leave(member, "gone")
            if act == "quit":
                hub.dismiss(member, "goodbye", "quit")
            if act == "say":
                hub.say(member, ("hello",) * lines)
                said += lines
            if act == "echo":
                hub.echo(member, b"[bytes\n", "bytes")
                said += 1
            if act == "answer":
                hub.answer(member, "hello")
                said += 1
            if act == "whisper" and other in hub.seats and other is not member:
                hub.whisper(member, other, "psst")
                said += 1
    hub.flush()
    heard = sum(line.startswith("[") for one in ever for line in one.heard.decode().splitlines())
    assert (hub.tally.lines, hub.tally.copies) == (said, heard)


def figures(chat: Chat) -> dict[str, float]:
    """All figures of a room that are not 0, by name and the value of their label."""
    return {
        " ".join([m.name.removeprefix("netlab_chat_"), *(value for _, value in s.labels)]): s.value
        for m in chat.room.metrics()
        for s in m.samples
        if s.value
    }


def test_an_hour_in_a_room() -> None:
    """Who is there, who is held for being too fast, and what was said."""
    chat = Chat(rate=1.0, burst=2)
    ada, bob, _ = chat.join(), chat.join(), chat.join()
    ada.send(b"one\ntwo\n/who\nthree\n")
    assert figures(chat) == {
        "clients": 3,
        "held_clients": 1,
        "connections_total": 3,
        "lines_total": 2,
        "copies_total": 4,
    }
    bob.session.connectionLost()
    assert figures(chat)["clients"] == 2


def test_what_waits_is_told_in_bytes() -> None:
    """Of all clients together, and nothing once it has left."""
    chat = Chat(rate=None)
    slow, speaker = chat.join(), chat.join()
    slow.session.outlet.pauseProducing()
    speaker.send(b"x" * 1000 + b"\n")
    waits = figures(chat)["queued_bytes"]
    slow.session.outlet.resumeProducing()
    slow.lines()
    assert 1000 < waits < 1100
    assert "queued_bytes" not in figures(chat)


def test_who_is_turned_away_is_counted_by_reason() -> None:
    """A full hub, and an address that is kept out; both are connections as well."""
    chat = Chat(max_clients=1)
    chat.join()
    chat.join()
    chat.room.hub.ban("10.0.0.9")
    chat.turn()
    chat.join()
    tally = chat.room.hub.tally
    assert tally.refused == {Refusal.FULL: 1, Refusal.BANNED: 1}
    assert (tally.connections, tally.cut[Cut.BANNED]) == (3, 1)


def kick(client: Client) -> None:
    nobody: Any = None  # an operator is no member
    commands.run(client.chat.room.hub, nobody, "/kick guest1 for a reason of free text")


def stall(client: Client, lines: int = 1) -> None:
    """Let lines wait for a client that takes none."""
    client.session.outlet.pauseProducing()
    speaker = client.chat.join()
    if client.chat.room.settings.login == "prompt":
        speaker.send(b"speaker\n")
    for _ in range(lines):
        speaker.send(b"x" * 1000 + b"\n")
    for _ in range(120):
        client.chat.turn(0.05)


CUTS: dict[Cut, tuple[str, Callable[[Client], object]]] = {
    Cut.WRONG_PROTOCOL: ("line", lambda client: client.send(b"\x16\x03\x01\x00")),
    Cut.LONG_LINES: ("line", lambda client: client.send(*[b"x" * 3000 + b"\n"] * 3)),
    Cut.BAD_LENGTH: ("length", lambda client: client.send(b"\xff\xff\xff\xff")),
    Cut.BANNED: ("line", lambda client: client.chat.room.hub.ban("10.0.0.9")),
    Cut.KICKED: ("line", kick),
    Cut.STALLED: ("line", stall),
    Cut.NOT_READING: ("line", lambda client: stall(client, 1100)),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("login", ["guest", "prompt"])
def test_who_is_cut_is_counted_once_under_its_reason(cut: Cut, login: str) -> None:
    """With a name or still without one, where that can happen."""
    framing, act = CUTS[cut]
    chat = Chat(rate=None, login=login)
    client = chat.join(framing)
    if login == "prompt" and cut in (Cut.KICKED, Cut.STALLED, Cut.NOT_READING):
        client.send(b"guest1\n")
    act(client)
    chat.turn()
    expected = {} if login == "prompt" and cut is Cut.BANNED else {cut: 1}
    assert {c: n for c, n in chat.room.hub.tally.cut.items() if n} == expected
