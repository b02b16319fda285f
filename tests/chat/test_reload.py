"""netlabsvc.chat.room: other settings while clients talk."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest

from netlabsvc.chat.limits import Backlog, Bounds, TokenBucket
from netlabsvc.chat.settings import Settings
from support.scripted import Chat

LINES = [str(n) for n in range(10)]
SENT = "".join(f"{line}\n" for line in LINES).encode()


def apply(chat: Chat, **settings: Any) -> None:
    chat.room.apply(replace(chat.room.settings, **settings))


def test_who_talks_goes_on_at_the_new_rate() -> None:
    """What waits for the old rate waits for the new one, from then on."""
    chat = Chat(rate=1.0, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(SENT)
    assert reader.texts() == ["0"]
    apply(chat, rate=4.0, burst=2)
    for line in LINES[1:]:
        assert reader.texts() == []
        chat.turn(0.25)
        assert reader.texts() == [line]


def test_who_is_held_goes_on_when_the_limit_goes() -> None:
    """And when there is one again, a whole burst passes before it holds."""
    chat = Chat(rate=0.1, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(SENT)
    assert (reader.texts(), speaker.session.held) == (["0"], True)
    apply(chat, rate=None)
    chat.turn()
    assert (reader.texts(), speaker.session.held) == (LINES[1:], False)
    apply(chat, rate=0.1, burst=4)
    speaker.send(SENT)
    assert (reader.texts(), speaker.session.held) == (LINES[:4], True)


def test_a_slower_rate_holds_longer_and_not_for_ever() -> None:
    """The next line comes when the new rate lets it."""
    chat = Chat(rate=10.0, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"a\nb\n")
    apply(chat, rate=0.5)
    reader.lines()
    chat.turn(1.9)
    assert reader.texts() == []
    chat.turn(0.2)
    assert reader.texts() == ["b"]


def test_a_bucket_that_changes_forgets_nothing() -> None:
    """Who has used up a burst gets no second one; a smaller burst takes back what is too much."""
    bucket = TokenBucket(1, 10)
    for _ in range(10):
        bucket.take(0.0)
    assert bucket.change(0.0, 2, 10) == 0.5
    assert bucket.change(100.0, 2, 3) == 0.0
    assert [bucket.take(100.0) for _ in range(3)] == [0.0, 0.0, 0.5]


@pytest.mark.parametrize("framing", ["line", "length"])
def test_the_longest_message_follows(framing: str) -> None:
    """Also of those who are connected, in both directions."""
    chat = Chat(max_line=100, rate=None)
    reader, speaker = chat.join(), chat.join(framing)
    reader.lines()
    sizes = []
    for longest in (None, 200, 1000):
        apply(chat, max_line=longest)
        size = longest or 300
        text = b"x" * size
        speaker.send(struct.pack("!I", size) + text if framing == "length" else text + b"\n")
        sizes += [len(t) for t in reader.texts()]
    assert sizes == [300, 200, 1000]
    apply(chat, max_line=80)
    speaker.send(struct.pack("!I", 81) if framing == "length" else b"x" * 81 + b"\n")
    assert any("80" in line for line in speaker.lines())


def test_newcomers_meet_the_new_door() -> None:
    """How many may come in, and whether they are asked for a name; who is here stays."""
    chat = Chat()
    here = chat.join()
    apply(chat, max_clients=1, login="prompt")
    assert "the hub is full (1 of 1)" in chat.join().greeting[0]
    apply(chat, max_clients=None)
    assert chat.join().greeting == ["*** what is your name?"]
    here.send(b"/who\n")
    assert "guest1" in here.lines()[-1]


def test_an_operators_mode_stays_until_the_configured_one_changes() -> None:
    """Only a key that changes in the configuration is applied."""
    chat = Chat(mode="hub")
    chat.room.hub.set_mode("echo")
    apply(chat, rate=5.0)
    assert chat.room.hub.mode == "echo"
    client = chat.join()
    apply(chat, mode="operator")
    chat.turn()
    assert chat.room.hub.mode == "operator"
    assert client.lines() == ["*** the mode is now operator: you talk with the operator alone"]
    apply(chat, mode="operator")
    chat.turn()
    assert client.lines() == []


def test_who_is_behind_is_held_to_the_new_bounds() -> None:
    """A reader that stopped before the change is judged by what holds after it."""
    chat = Chat(rate=None, stall_s=1000.0)
    stopped, speaker = chat.join(), chat.join()
    stopped.session.outlet.pauseProducing()
    speaker.send(b"hello\n")
    for _ in range(40):
        chat.turn(0.05)
    apply(chat, stall_s=3.0)
    for _ in range(18):
        chat.turn(0.05)
    assert not stopped.transport.disconnected
    for _ in range(4):
        chat.turn(0.05)
    assert stopped.transport.disconnected
    assert speaker.lines()[-1].endswith("left: cut: read nothing for 3 s")


def test_bounds_are_looked_up_when_they_are_needed() -> None:
    """A smaller queue counts for what waits already."""
    backlog = Backlog(Bounds(), 0.0)
    backlog.observe(0.0, 100_000, 0, blocked=True)
    assert backlog.verdict(2.0) is None
    settings = Settings(queue=16 * 1024)
    backlog.bounds = Bounds.of(settings.queue, settings.stall_s)
    assert backlog.verdict(2.0) == "does not read, and more than 16384 bytes wait"
