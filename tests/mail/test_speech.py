"""Replies on their way: late, byte by byte, or at once."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netlabsvc.mail.command import Reply
from netlabsvc.mail.personality import Manner
from netlabsvc.mail.speech import Speech


class Writes(StringTransport):
    """Keeps each write apart: those of one turn go out in one segment, those of two do not."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)


def turn(clock: Clock) -> None:
    """What a reactor does in one turn: calls that it makes itself wait for the next one."""
    due, clock.calls = clock.calls, []
    for call in due:
        call.called = 1
        call.func(*call.args, **call.kw)


def speaking() -> tuple[Speech, Writes, Clock, list[str]]:
    transport, clock, done = Writes(), Clock(), list[str]()
    return Speech(transport.write, clock, lambda: done.append("done")), transport, clock, done


def deed(done: list[str], word: str) -> Callable[[], None]:
    return lambda: done.append(word)


def reply(text: str, **manner: float | bool) -> Reply:
    return Reply(250, "", (text,), Manner(**manner))  # type: ignore[arg-type]


def test_what_can_be_said_at_once_is_one_write() -> None:
    """Pipelined commands get their replies in one segment."""
    speech, transport, _, done = speaking()
    speech.say([reply("a"), reply("b"), reply("c")])
    assert transport.parts == [b"250 a\r\n250 b\r\n250 c\r\n"]
    assert (speech.busy, done) == (False, [])


def test_a_late_reply_holds_up_those_behind_it() -> None:
    """Two seconds, no less; the order stays, and the end is told once."""
    speech, transport, clock, done = speaking()
    speech.say([reply("a"), reply("b", delay_s=2.0), reply("c")])
    speech.say([reply("d")])
    assert (transport.parts, speech.busy) == ([b"250 a\r\n"], True)
    clock.advance(1.99)
    assert transport.parts == [b"250 a\r\n"]
    clock.advance(0.01)
    assert transport.parts[1:] == [b"250 b\r\n", b"250 c\r\n250 d\r\n"]
    assert (speech.busy, done) == (False, ["done"])


def test_one_byte_a_turn() -> None:
    """No turn of the reactor writes two bytes, so none share a segment."""
    speech, transport, clock, done = speaking()
    speech.say([reply("ab", bytewise=True), reply("c")])
    for count in range(8):
        assert (len(transport.parts), speech.busy, done) == (count, True, [])
        turn(clock)
    assert transport.parts == [b"2", b"5", b"0", b" ", b"a", b"b", b"\r", b"\n", b"250 c\r\n"]
    assert done == ["done"]


def test_deeds_are_done_in_their_place() -> None:
    """STARTTLS begins, and the connection is closed, behind the reply that says so."""
    speech, transport, clock, done = speaking()
    speech.say([reply("a"), deed(done, "first"), reply("b", delay_s=1.0), deed(done, "second")])
    assert (transport.parts, done) == ([b"250 a\r\n"], ["first"])
    clock.advance(1)
    assert (transport.parts[1:], done) == ([b"250 b\r\n"], ["first", "second", "done"])


def test_nothing_is_said_to_who_has_gone() -> None:
    """The timer ends with the connection."""
    speech, transport, clock, done = speaking()
    speech.say([reply("a", delay_s=1.0), deed(done, "never")])
    speech.stop()
    assert clock.getDelayedCalls() == []
    clock.advance(5)
    assert (transport.parts, done, speech.busy) == ([], [], False)
