"""The table of sessions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.sessions import Sessions


def table() -> Sessions[str, int]:
    """Three sessions at most; idle after 300, half open for 5."""
    return Sessions(cap=3, idle_ns=300, half_open_ns=5)


def test_a_session_that_is_used_lives_until_it_is_idle() -> None:
    """Half open it lasts 5, then 300 from each use on; looking at it is no use."""
    sessions = table()
    sessions.add("a", 1, 0)
    assert sessions.find("a", 5) == 1
    assert sessions.find("a", 6) is None
    assert sessions.use("a", 5) == 1
    assert sessions.use("a", 305) == 1
    assert sessions.find("a", 605) == 1
    assert sessions.use("a", 606) is None


def test_a_half_open_session_ends_sooner() -> None:
    """One that was never used is gone after 5, and cannot be used any more."""
    sessions = table()
    sessions.add("a", 1, 0)
    assert sessions.use("a", 6) is None


def test_the_least_recently_used_goes() -> None:
    """A fourth session takes the place of the one that was used longest ago."""
    sessions = table()
    for at_ns, key in enumerate("abc"):
        sessions.add(key, 0, at_ns)
        sessions.use(key, at_ns)
    sessions.use("a", 4)
    sessions.add("d", 0, 5)
    assert [key in sessions for key in "abcd"] == [True, False, True, True]


def test_openings_push_out_no_session_that_is_used() -> None:
    """Who only opens, from a thousand forged addresses, pushes out half-open ones."""
    sessions = table()
    sessions.add("mine", 1, 0)
    sessions.use("mine", 0)
    for i in range(1000):
        sessions.add(f"forged {i}", 0, 1)
    assert sessions.use("mine", 1) == 1
    assert len(sessions) == 3


def test_what_is_over_is_forgotten() -> None:
    """The next session that begins clears away all that are over."""
    sessions: Sessions[int, int] = Sessions(cap=1000, idle_ns=300, half_open_ns=5)
    for key in range(100):
        sessions.add(key, 0, 0)
        sessions.use(key, key % 2)
    for key in range(100, 200):
        sessions.add(key, 0, 100)
    sessions.add(-1, 0, 1000)
    assert len(sessions) == 1


def test_a_session_begins_anew() -> None:
    """Adding a key again replaces its session; removing it ends it; both may be repeated."""
    sessions = table()
    sessions.add("a", 1, 0)
    sessions.use("a", 0)
    sessions.add("a", 2, 1)
    assert (sessions.use("a", 1), len(sessions)) == (2, 1)
    sessions.remove("a")
    sessions.remove("a")
    assert (sessions.use("a", 1), len(sessions)) == (None, 0)


@given(
    st.lists(st.tuples(st.sampled_from("aur"), st.integers(0, 9), st.integers(0, 200))),
)
def test_never_more_than_the_cap(steps: list[tuple[str, int, int]]) -> None:
    """Whatever happens, the table is bounded, and what was just added is there."""
    sessions: Sessions[int, int] = Sessions(cap=3, idle_ns=300, half_open_ns=50)
    now_ns = 0
    for what, key, later_ns in steps:
        now_ns += later_ns
        if what == "a":
            sessions.add(key, key, now_ns)
            assert sessions.find(key, now_ns) == key
        elif what == "u":
            assert sessions.use(key, now_ns) in (None, key)
        else:
            sessions.remove(key)
        assert len(sessions) <= 3
