"""The modes of the hub, and what only an operator can do."""

from __future__ import annotations

import pytest

from netlabsvc.chat import commands
from netlabsvc.chat.desk import MOST_WAITING
from netlabsvc.chat.hub import Hub
from support.members import Listener, room
from support.scripted import Chat


def test_echo_gives_a_line_back_with_the_usual_header_and_to_nobody_else() -> None:
    """On a line listener."""
    chat = Chat(mode="echo")
    ada, bob = chat.join(), chat.join()
    ada.send("你好\n".encode())
    (line,) = ada.lines()
    assert line.startswith("[2023-11-1")
    assert line.endswith("guest1 (10.0.0.9:1): 你好")
    assert bob.lines() == []


def test_echo_on_a_raw_listener_gives_the_very_bytes_and_nothing_else() -> None:
    """No greeting, no header, no line end, and nothing is read into the bytes."""
    chat = Chat(mode="echo")
    program = chat.join("raw")
    assert program.greeting == []
    for sent in (b"ping 1", b"\xff\xfe\x00\r", b"q", b"/quit", b"a\nb"):
        program.send(sent)
        assert program.bytes() == sent


def test_in_echo_mode_nobody_hears_of_others() -> None:
    """Comings, goings and names are the log's alone, and there is no whispering."""
    chat = Chat(mode="echo")
    ada = chat.join()
    bob = chat.join()
    bob.send(b"/nick bob\n/msg guest1 hello\n/history\n/quit\n")
    assert ada.lines() == []
    assert bob.lines()[1:3] == ["*** not now: what you say comes back to you alone"] * 2


def test_operator_mode_keeps_numbered_lines_until_an_operator_takes_them() -> None:
    """Clients are told once that nobody is there yet, and that somebody has come."""
    hub, (ada, bob) = room("ada", "bob")
    hub.set_mode("operator")
    hub.flush()
    ada.lines(), bob.lines()
    hub.say(ada, ("one", "two"))
    hub.say(ada, ("three",))
    hub.flush()
    assert ada.lines() == ["*** no operator is here yet; your lines are kept"]
    assert bob.lines() == []
    hub.attach()
    hub.flush()
    assert ada.lines() == ["*** an operator is here"]
    assert [(x.number, x.text) for x in hub.take(1, 2)] == [(1, "one"), (2, "two")]
    assert hub.take(1, 2) == []
    assert [(x.number, x.text) for x in hub.take(1)] == [(3, "three")]


def test_the_log_numbers_the_lines_that_wait_and_an_answer_reaches_one_client() -> None:
    """So that whoever follows the log knows what to take, and whom to answer."""
    hub, (ada, bob) = room("ada", "bob")
    hub.set_mode("operator")
    hub.flush()
    ada.lines(), bob.lines()
    hub.say(bob, ("help", "please"))
    hub.say(bob, ("hello?",))
    records = [fields for message in hub.flush() for _, fields in message.records()]
    assert [(f["client"], f["line"], f["text"]) for f in records] == [
        *((2, 1, "help"), (2, 2, "please")),
        (2, 3, "hello?"),
    ]
    hub.answer(hub.find("bob"), "coming")
    hub.flush()
    assert bob.lines()[-1].endswith(" -> you] operator (server): coming")
    assert ada.lines() == []


def test_a_line_for_the_operator_ends_the_turn() -> None:
    """An operator who is there reads it at once, though no client hears anything of it."""
    woken: list[bool] = []
    hub = Hub(wake=lambda: woken.append(True), now=lambda: 0.0, mode="operator")
    ada = Listener()
    hub.attach()
    hub.enter(ada, "ada")
    hub.flush()
    woken.clear()
    hub.say(ada, ("help",))
    assert woken == [True]
    assert [text for message in hub.flush() for text, _ in message.records()] == [
        "ada (10.0.0.5:1): help"
    ]


def test_a_client_is_found_by_name_or_number() -> None:
    """Digits are a number: nobody gets what is meant for number 1 by the name 1."""
    hub, (ada, two) = room("ada", "1")
    assert (hub.find("ada"), hub.find("1"), hub.find("2")) == (ada, ada, two)
    with pytest.raises(LookupError, match="nobody here has the number 9"):
        hub.find("9")
    with pytest.raises(LookupError, match="nobody here is called eve"):
        hub.find("eve")


def test_what_the_operator_says_reaches_all_in_every_mode() -> None:
    """Under the name that no client can take."""
    hub, (ada, bob) = room("ada", "bob")
    for mode in ("echo", "operator", "hub"):
        hub.set_mode(mode)
        hub.flush()
        ada.lines(), bob.lines()
        hub.speak("the bell rings")
        hub.flush()
        assert ada.lines()[-1].endswith("operator (server): the bell rings")
        assert bob.lines()[-1].endswith("operator (server): the bell rings")


def test_lines_wait_even_when_their_client_has_gone() -> None:
    """A program that says something and ends is heard by the operator who comes later."""
    hub, (ada,) = room("ada")
    hub.set_mode("operator")
    hub.say(ada, ("one",))
    hub.leave(ada, "closed")
    assert [line.text for line in hub.take(1)] == ["one"]
    assert hub.desk.drawers == {}


def test_a_client_whose_lines_pile_up_is_not_read_until_some_are_taken() -> None:
    """Nothing is dropped; its own kernel makes it wait."""
    hub, (ada,) = room("ada")
    hub.set_mode("operator")
    hub.say(ada, ("x",) * MOST_WAITING)
    assert ada.held
    hub.take(1, 1)
    assert not ada.held


def test_the_mode_changes_while_clients_talk() -> None:
    """All are told; from then on lines go where the new mode sends them."""
    hub, (ada, bob) = room("ada", "bob")
    assert commands.run_for_operator(hub, "/mode echo").startswith("the mode is echo")
    hub.say(ada, ("x",))
    assert "there is no mode loud" in commands.run_for_operator(hub, "/mode loud")
    commands.run_for_operator(hub, "/mode hub")
    hub.say(ada, ("y",))
    hub.flush()
    told = "*** the mode is now echo: what you say comes back to you alone"
    back = "*** the mode is now hub: everyone hears everyone else"
    assert [x if x[0] == "*" else x[-1] for x in ada.lines()] == [told, "x", back]
    assert [x if x[0] == "*" else x[-1] for x in bob.lines()] == [told, back, "y"]


def test_kick_removes_with_a_reason() -> None:
    """Who is removed reads it last, the others read it too."""
    hub, (ada, bob) = room("ada", "bob")
    assert commands.run_for_operator(hub, "/kick bob too loud") == "bob is gone"
    hub.flush()
    assert bob.lines() == ["*** the operator has removed you: too loud"]
    assert bob.closed
    assert ada.lines() == ["*** bob (10.0.0.2:2) left: removed by the operator: too loud"]


def test_a_ban_removes_and_keeps_out_an_address_until_it_is_taken_back() -> None:
    """Written in any way an address can be written."""
    chat = Chat()
    ada = chat.join()
    hub = chat.room.hub
    assert commands.run_for_operator(hub, "/ban 10.0.0.9") == "10.0.0.9 is kept out; 1 removed"
    chat.turn()
    assert ada.lines() == ["*** your address is kept out"]
    assert chat.join().greeting == ["*** your address is kept out"]
    assert "not kept out" in commands.run_for_operator(hub, "/unban 10.0.0.8")
    commands.run_for_operator(hub, "/unban 10.0.0.9")
    assert "welcome" in chat.join().greeting[0]


def test_a_muted_client_is_told_so_and_heard_by_nobody() -> None:
    """Until it is muted once more."""
    hub, (ada, bob) = room("ada", "bob")
    commands.run_for_operator(hub, "/mute bob")
    hub.say(bob, ("x",))
    commands.run(hub, bob, "/msg ada x")
    commands.run(hub, bob, "/me x")
    commands.run_for_operator(hub, "/mute bob")
    hub.say(bob, ("y",))
    hub.flush()
    assert bob.lines() == ["*** the operator has muted you: nobody hears what you say"] * 3
    assert [x[-1] for x in ada.lines()] == ["y"]


def test_the_topic_is_told_to_all_and_to_newcomers() -> None:
    """Until there is none any more."""
    hub, (ada,) = room("ada")
    commands.run_for_operator(hub, "/topic sockets in C")
    hub.flush()
    assert ada.lines() == ["*** the topic is now: sockets in C"]
    bob = Listener()
    hub.enter(bob)
    hub.flush()
    assert "*** the topic: sockets in C" in bob.lines()


@pytest.mark.parametrize("text", ["/kick ada", "/mode echo", "/topic x", "/ban 10.0.0.1"])
def test_members_cannot_use_the_operators_commands(text: str) -> None:
    """They are told that there is no such command."""
    hub, (ada, bob) = room("ada", "bob")
    commands.run(hub, bob, text)
    hub.flush()
    assert bob.lines()[0].startswith(f"*** there is no command {text.split()[0]}")
    assert ada in hub.seats


def test_a_crowd_is_summed_up() -> None:
    """Above 200 members comings and goings are told once a second, in one line."""
    chat = Chat()
    first = chat.join()
    others = [chat.join() for _ in range(200)]
    assert first.lines()[-1].endswith("guest200 (10.0.0.9:200) joined")
    more = [chat.join() for _ in range(3)]
    more[0].send(b"/quit\n")
    chat.turn(0.5)
    assert first.lines() == []
    chat.turn(1.0)
    assert first.lines() == ["*** 4 joined, 1 left; 203 are here"]
    assert len(others) == 200


def test_a_client_that_waited_for_the_operator_is_read_again_in_another_mode() -> None:
    """Its lines still wait at the desk; it is not held by them."""
    hub, (ada,) = room("ada")
    hub.set_mode("operator")
    hub.say(ada, ("x",) * MOST_WAITING)
    hub.set_mode("hub")
    assert not ada.held


def test_a_ban_holds_for_who_is_still_asked_for_a_name_and_for_mapped_addresses() -> None:
    """However the address is written."""
    chat = Chat(login="prompt")
    shy = chat.join()
    assert "10.0.0.9 is kept out" in commands.run_for_operator(
        chat.room.hub, "/ban ::ffff:10.0.0.9"
    )
    shy.send(b"eve\n")
    assert shy.lines() == ["*** your address is kept out"]
    assert shy.transport.half_closed


def test_raw_echo_with_a_login_asks_for_the_name_first() -> None:
    """From then on the very bytes come back."""
    chat = Chat(mode="echo", login="prompt")
    program = chat.join("raw")
    program.send(b"eve")
    program.bytes()
    program.send(b"\x00\xff")
    assert program.bytes() == b"\x00\xff"
