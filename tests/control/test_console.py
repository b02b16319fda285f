"""netlabsvc.control.console: who is heard, what is kept, what is taken from the desk."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.control import console
from support.sitting import TIME, Sitting

NAMES = ("alice", "bob", "carol")


def at_the_desk(number: int, name: str, *lines: int, gone: bool = False) -> dict[str, object]:
    """A drawer of the daemon's desk."""
    waiting = [{"number": line, "time": TIME, "text": f"line {line}"} for line in lines]
    return {"client": number, "name": name, "gone": gone, "lines": waiting}


def test_everyone_is_heard_with_number_and_name() -> None:
    """Lines, actions, private lines, and news of clients."""
    sitting = Sitting(*NAMES)
    assert sitting.hear(1, "alice", "hello") == ["1 alice: hello"]
    assert sitting.happen("chat.did", 2, "bob", text="waves") == ["2 bob waves"]
    assert sitting.hear(2, "bob", "psst", to="alice") == ["2 bob -> 1 alice: psst"]
    joined = sitting.happen("chat.joined", 4, "dave", message="dave (p) joined")
    renamed = sitting.happen("chat.renamed", 4, "eve", message="dave (p) is now eve")
    assert joined + renamed == ["*** 4 dave (p) joined", "*** 4 dave (p) is now eve"]
    assert sitting.hear(4, "eve", "hi") == ["4 eve: hi"]


def test_p2p_keeps_and_counts_what_others_say() -> None:
    """The one in focus is heard at once; the others are counted, and read one after the other."""
    sitting = Sitting(*NAMES)
    sitting.type("p2p carol")
    assert sitting.hear(1, "alice", "one") == []
    assert sitting.hear(3, "carol", "hi") == ["3 carol: hi"]
    assert sitting.hear(2, "bob", "two") == []
    assert sitting.hear(1, "alice", "three") == []
    assert sitting.settle() == ["*** 1 alice 2 unread, 2 bob 1 unread"]
    assert sitting.console.toolbar() == (
        "mode hub | 3 clients | 1 alice 2 unread, 2 bob 1 unread | reply goes to 3 carol"
    )
    assert sitting.type("next") == ["1 alice: one", "1 alice: three"]
    assert sitting.console.prompt() == "p2p 1 alice> "
    assert sitting.type("next") == ["2 bob: two"]
    assert sitting.type("next") == ["*** nothing is unread"]


def test_all_shows_what_was_kept_in_its_order() -> None:
    """News of others are kept too, but not counted."""
    sitting = Sitting(*NAMES)
    sitting.type("p2p 3")
    sitting.hear(2, "bob", "two")
    sitting.happen("chat.left", 1, "alice", message="alice (p) left: quit")
    sitting.hear(2, "bob", "three")
    assert sitting.type("unread") == ["*** 2 bob 2 unread"]
    assert sitting.type("all") == ["2 bob: two", "*** 1 alice (p) left: quit", "2 bob: three"]
    assert sitting.type("unread") == ["*** nothing is unread"]


def test_counts_do_not_flood() -> None:
    """They are told at 1, 2, 5, 10, 20, 50, ... lines; many clients are summed up."""
    sitting = Sitting(*NAMES)
    sitting.type("p2p 3")
    told = []
    for number in range(1, 101):
        sitting.hear(number + 10, f"s{number}", "?")
        told += sitting.settle()
    assert len(told) == 7
    assert told[2].endswith("14 s4 1 unread, 15 s5 1 unread")
    assert told[-1].endswith("15 s5 1 unread, 95 others 95 unread")


def test_a_line_never_reaches_another_than_it_was_meant_for() -> None:
    """Who is in focus and leaves stays in focus: what is typed then goes to nobody."""
    sitting = Sitting(*NAMES)
    sitting.type("to bob")
    assert sitting.console.prompt() == "2 bob> "
    sitting.type("your mark is B")
    assert sitting.said() == [("chat/tell", "2", "your mark is B")]
    sitting.happen("chat.left", 2, "bob", message="bob (p) left: quit")
    sitting.happen("chat.joined", 4, "bob", message="bob (p) joined")
    assert sitting.console.prompt() == "2 bob (gone)> "
    assert "2 bob has gone, nobody was told" in sitting.type("the mark is final")[0]
    assert sitting.said() == []


def test_numbers_of_an_earlier_run_mean_nobody() -> None:
    """After a restart number 2 is somebody else; what was kept is shown first."""
    sitting = Sitting(*NAMES)
    sitting.type("p2p 2")
    sitting.hear(1, "alice", "anyone?")
    assert "trying again" in sitting.lose()[0]
    assert sitting.type("hello?") == ["*** not connected; that was not done"]
    sitting.answers["GET /v1/status"] = {"pid": 2, "started": TIME}
    sitting.seat("mallory", "trent")
    assert sitting.connect() == [
        "*** connected again",
        "1 alice: anyone?",
        "*** the daemon was started anew: clients have new numbers",
    ]
    assert sitting.happen("gap", 0, "", message="events are missing here") == []
    sitting.asked.clear()
    assert "nobody was told" in sitting.type("hello?")[0]
    assert sitting.said() == []


def test_in_operator_mode_a_line_needs_somebody() -> None:
    """Without a focus nothing is said; `reply` goes to who was heard last."""
    sitting = Sitting(*NAMES, mode="operator")
    assert sitting.console.prompt() == "to whom? "
    assert "to N, p2p N or reply" in sitting.type("hello")[0]
    assert sitting.type("reply hello") == ["*** nobody has said anything yet"]
    sitting.hear(2, "bob", "help", line=1)
    assert sitting.type("reply coming") == ["-> 2 bob: coming"]
    sitting.type("all five minutes left")
    assert sitting.said() == [
        ("chat/tell", "2", "coming"),
        ("chat/say", "five minutes left"),
    ]


def test_reply_answers_a_line_that_was_seen() -> None:
    """A line that is kept has not been read: it does not turn the answer round."""
    sitting = Sitting(*NAMES)
    sitting.hear(1, "alice", "hello")
    sitting.type("p2p 3")
    sitting.type("reply well?")
    sitting.hear(3, "carol", "what is TCP?")
    sitting.hear(1, "alice", "me too")
    sitting.type("reply a protocol")
    assert sitting.said() == [("chat/tell", "3", "well?"), ("chat/tell", "3", "a protocol")]


def test_what_was_shown_is_taken_from_the_desk() -> None:
    """Once for many lines; what is kept stays there until it is read."""
    sitting = Sitting(*NAMES, mode="operator")
    sitting.hear(1, "alice", "a", line=1)
    sitting.hear(1, "alice", "b", line=2)
    sitting.settle()
    assert sitting.said() == [("chat/desk/take", "1", "2")]
    sitting.type("p2p 1")
    sitting.hear(2, "bob", "c", line=1)
    sitting.settle()
    assert sitting.said() == []
    assert sitting.leave() == ["*** 1 line waits on the desk"]


def test_what_waited_is_shown_at_the_start_and_not_again() -> None:
    """Also the lines of one who has gone; an event of a line that was fetched is no second one."""
    sitting = Sitting("alice", mode="operator")
    sitting.answers["GET /v1/chat/desk"] = [
        at_the_desk(1, "alice", 3, 4),
        at_the_desk(9, "zoe", 1, gone=True),
    ]
    assert sitting.connect()[1:] == [
        "*** 3 lines wait for an operator:",
        "1 alice: line 3",
        "1 alice: line 4",
        "9 zoe: line 1",
    ]
    sitting.settle()
    assert sitting.said() == [("chat/desk/take", "1", "4"), ("chat/desk/take", "9", "1")]
    assert sitting.hear(1, "alice", "line 4", line=4) == []
    assert sitting.hear(1, "alice", "line 5", line=5) == ["1 alice: line 5"]
    sitting.answers["GET /v1/chat/desk"] = [at_the_desk(1, "alice", 5)]
    assert sitting.connect() == ["*** connected again"]


def test_what_the_daemon_did_not_give_away_is_taken_again() -> None:
    """The connection was lost between showing a line and taking it."""
    sitting = Sitting("alice", mode="operator")
    sitting.hear(1, "alice", "line 1", line=1)
    sitting.lose()
    sitting.settle()
    sitting.asked.clear()
    sitting.answers["GET /v1/chat/desk"] = [at_the_desk(1, "alice", 1)]
    assert sitting.connect() == ["*** connected again"]
    sitting.settle()
    assert sitting.said() == [("chat/desk/take", "1", "1")]


def test_two_operators() -> None:
    """What the other one says is shown; one's own line is not printed twice, nor its refusal."""
    sitting = Sitting(*NAMES)
    sitting.type("hello")
    sitting.type("to 2 you")
    assert sitting.hear(0, "operator", "hello") == []
    assert sitting.hear(0, "operator", "you", to="bob") == []
    assert sitting.hear(0, "operator", "hello") == ["operator: hello"]
    assert sitting.hear(0, "operator", "you", to="bob") == ["operator -> 2 bob: you"]
    sitting.refusals["POST /v1/chat/say"] = (400, "no")
    assert sitting.type("again") == ["*** no"]
    assert sitting.hear(0, "operator", "again") == ["operator: again"]
    assert sitting.happen("chat.attached", 0, "operator", message="here now: 1") == []
    assert sitting.happen("chat.attached", 0, "operator", message="here now: 2") != []


def test_the_mode_follows_what_others_do() -> None:
    """Whoever changed it: the prompt knows."""
    sitting = Sitting(*NAMES)
    assert sitting.console.prompt() == "all> "
    sitting.set_mode("operator")
    shown = sitting.happen("chat.announced", 0, "server", message="the mode is now operator")
    assert shown == ["*** the mode is now operator"]
    assert sitting.console.prompt() == "to whom? "


def test_after_a_gap_who_is_here_is_asked_anew() -> None:
    """Events that are lost may have told that somebody left."""
    sitting = Sitting(*NAMES)
    sitting.seat("alice")
    assert sitting.happen("gap", 0, "", message="events are missing here") != []
    assert [client.name for client in sitting.console.here()] == ["alice"]


def test_a_daemon_without_a_chat() -> None:
    """The console serves what there is, and says what there is not."""
    sitting = Sitting()
    for path in ("chat", "chat/members", "chat/desk"):
        sitting.refusals[f"GET /v1/{path}"] = (404, f"there is no /v1/{path}; /v1/openapi.json")
    assert sitting.connect()[1:] == ["*** this daemon runs no chat"]


def test_no_more_is_kept_than_memory_should_hold() -> None:
    """At the bound all is shown: nothing is thrown away."""
    sitting = Sitting(*NAMES)
    sitting.type("p2p 3")
    for number in range(console.MOST_KEPT - 1):
        assert sitting.hear(1, "alice", str(number)) == []
    shown = sitting.hear(2, "bob", "last")
    assert len(shown) == console.MOST_KEPT
    assert shown[-1] == "2 bob: last"


_STEPS = st.one_of(
    st.tuples(st.just("hear"), st.integers(1, 4)),
    st.tuples(st.just("type"), st.sampled_from(["all", "next", "unread", "to 1", "to 4"])),
    st.tuples(st.just("type"), st.sampled_from(["p2p 1", "p2p 2", "p2p 3", "p2p 4"])),
    st.tuples(st.just("settle"), st.none()),
    st.tuples(st.just("leave"), st.integers(1, 4)),
    st.tuples(st.just("restart"), st.none()),
)


@given(st.lists(_STEPS, max_size=40))
def test_no_line_is_lost_or_shown_twice(steps: list[tuple[str, object]]) -> None:
    """Whatever is typed, whoever leaves: each line is printed once, those of a client in order."""
    sitting = Sitting("c1", "c2", "c3", "c4")
    said: dict[object, list[str]] = {}
    for count, (step, what) in enumerate(steps):
        if step == "hear":
            text = f"c{what}: line {count}"
            said.setdefault(what, []).append(text)
            sitting.hear(int(str(what)), f"c{what}", f"line {count}")
        elif step == "type":
            sitting.type(str(what))
        elif step == "leave":
            sitting.happen("chat.left", int(str(what)), f"c{what}", message=f"c{what} left")
        elif step == "restart":
            sitting.lose()
            sitting.answers["GET /v1/status"] = {"pid": count + 2, "started": TIME}
            sitting.connect()
        else:
            sitting.settle()
    sitting.leave()
    shown = [line.partition(" ")[2] for line in sitting.shown if ": line " in line]
    for texts in said.values():
        assert [line for line in shown if line in texts] == texts
    assert len(shown) == sum(map(len, said.values()))
