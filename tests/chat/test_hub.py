"""netlabsvc.chat.hub: who hears what, in which order, under which name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat.hub import Hub
from netlabsvc.chat.message import Style
from support.members import Listener, room

ACTS = st.lists(
    st.tuples(st.sampled_from(["say", "tell", "leave", "enter", "flush"]), st.integers(0, 4)),
    max_size=40,
)


@given(ACTS)
def test_every_line_once_in_one_order_that_all_share(acts: list[tuple[str, int]]) -> None:
    """Whoever stays hears every line of every other exactly once; nobody hears the past twice."""
    hub, members = room("ada", "bob", "cyd", "dan", "eve")
    expected: dict[Listener, list[str]] = {m: [] for m in members}
    for number, (act, who) in enumerate(acts):
        member = members[who]
        if act == "flush":
            hub.flush()
        elif act == "enter" and member not in hub.seats:
            members[who] = member = Listener()
            expected[member] = []
            hub.history.clear()
            hub.enter(member)
        elif member in hub.seats:
            if act == "leave":
                hub.leave(member, "gone")
            if act == "tell":
                hub.tell(member, f"m{number}")
                expected[member].append(f"m{number}")
            if act == "say":
                hub.say(member, (f"m{number}",))
                for other in hub.seats:
                    if other is not member:
                        expected[other].append(f"m{number}")  # type: ignore[index]
    hub.flush()
    for member in members:
        if member in hub.seats:
            assert re.findall(r"\bm\d+", member.heard.decode()) == expected[member]


def test_a_message_carries_time_name_and_address() -> None:
    """The format of a line, for a line and for several said at once."""
    hub, (ada, bob) = room("ada", "bob")
    hub.say(ada, ("hello", "你好"))
    hub.flush()
    first, second = bob.lines()
    assert re.fullmatch(r"\[2023-11-1\d \d\d:\d\d:\d\d\] ada \(10\.0\.0\.1:1\): hello", first)
    assert second.endswith("] ada (10.0.0.1:1): 你好")
    assert ada.lines() == []


def test_comings_and_goings_are_told_to_the_others() -> None:
    """Each with name, address and reason, and a greeting for who comes."""
    hub, (ada,) = room("ada")
    bob = Listener("10.0.0.9:9")
    hub.enter(bob)
    hub.rename(bob, "bob")
    hub.leave(bob, "closed")
    hub.flush()
    assert ada.lines() == [
        "*** guest2 (10.0.0.9:9) joined",
        "*** guest2 (10.0.0.9:9) is now bob",
        "*** bob (10.0.0.9:9) left: closed",
    ]


def test_a_newcomer_hears_the_last_twenty_lines_and_none_twice() -> None:
    """Also when they were said in the very turn in which it came."""
    hub, (ada, _) = room("ada", "bob")
    hub.say(ada, tuple(f"m{n}" for n in range(30)))
    newcomer = Listener()
    hub.enter(newcomer)
    hub.say(ada, ("after",))
    hub.flush()
    said = [line.rpartition(" ")[2] for line in newcomer.lines() if "ada" in line]
    assert said == [*(f"m{n}" for n in range(10, 30)), "after"]


def test_each_member_gets_its_own_encoding_line_end_and_framing() -> None:
    """One line, four ways to write it."""
    hub, (ada,) = room("ada")
    styles = [Style(), Style("gb18030"), Style("utf-8", "\r\n"), Style("utf-8", "")]
    others = [Listener(style=style) for style in styles]
    for other in others:
        hub.enter(other)
    hub.flush()
    for other in others:
        other.heard = b""
    hub.say(ada, ("你好",))
    hub.flush()
    utf8, gbk, crlf, framed = (other.heard for other in others)
    text = utf8.decode().removesuffix("\n")
    assert text.endswith("你好")
    assert gbk == f"{text}\n".encode("gb18030")
    assert crlf == f"{text}\r\n".encode()
    assert framed == len(text.encode()).to_bytes(4, "big") + text.encode()


@pytest.mark.parametrize("name", ["ADA", "ａｄａ", "server", "a b", ""])
def test_names_that_are_taken_or_not_allowed_are_refused(name: str) -> None:
    """And whoever asked keeps the old name."""
    hub, (_, bob) = room("ada", "bob")
    with pytest.raises(ValueError, match=r"taken|reserved|name"):
        hub.rename(bob, name)
    assert hub.seats[bob].name == "bob"


def test_a_name_is_free_again_when_its_owner_has_gone_or_changed_it() -> None:
    """No name is lost; one's own name may change its case."""
    hub, (ada, bob) = room("ada", "bob")
    hub.rename(ada, "Ada")
    hub.rename(ada, "eve")
    hub.rename(bob, "ada")
    hub.leave(bob, "closed")
    hub.rename(ada, "ada")
    assert hub.seats.find("ADA") is ada


def test_a_guest_never_gets_a_name_that_somebody_took() -> None:
    """guest2 may be somebody's chosen name."""
    hub = Hub(wake=lambda: None, now=lambda: 0.0)
    hub.enter(Listener(), "guest2")
    assert hub.enter(Listener()).name == "guest3"


def test_wake_is_called_once_a_turn() -> None:
    """However much is said before the flush."""
    woken: list[int] = []
    hub = Hub(wake=lambda: woken.append(1), now=lambda: 0.0)
    ada = Listener()
    hub.enter(ada)
    hub.say(ada, ("x",))
    assert len(woken) == 1
    hub.flush()
    hub.say(ada, ("x",))
    assert len(woken) == 2


def test_who_is_dismissed_gets_its_last_line_and_is_closed() -> None:
    """After everything that was said before."""
    hub, (ada, bob) = room("ada", "bob")
    hub.say(ada, ("x",))
    hub.dismiss(bob, "goodbye", "quit")
    hub.say(ada, ("y",))
    hub.flush()
    assert [line.rpartition(" ")[2] for line in bob.lines()] == ["x", "goodbye"]
    assert bob.closed
    assert ada.lines() == ["*** bob (10.0.0.2:2) left: quit"]
