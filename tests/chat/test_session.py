"""netlabsvc.chat.session: from the bytes of a client to lines that others read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from netlabsvc.chat import commands
from support.chunks import chunkings
from support.scripted import Chat

SENT = {
    "LF": (b"one\ntwo\n\nthree\n", ["one", "two", "", "three"]),
    "CR LF": (b"one\r\ntwo\r\n", ["one", "two"]),
    "CR NUL": (b"one\r\0two\r\0", ["one", "two"]),
    "Chinese": ("你好\n再见\n".encode(), ["你好", "再见"]),
    "GBK": ("你好\n再见\n".encode("gbk"), ["你好", "再见"]),
    "Ctrl-C": (b"a\xff\xf4\xff\xfd\x06b\n", ["ab"]),
    # GNU telnet on a terminal sends BRK for the byte 0x9C, AO for 0x8F.
    "朋友 through telnet": (
        b"\xe6\xff\xf3\xff\xfd\x06\x8b\xe5\xff\xf5\xff\xfd\x06\x8b\r\n" + "你好\r\n".encode(),
        [r"\xe6\x8b\xe5\x8b", "你好"],
    ),
    "GBK after Ctrl-C": (b"\xff\xf4\xff\xfd\x06" + "朋友\r\n".encode("gbk"), ["朋友"]),
    "rubbing out": (b"helo\x7flo\r\0", ["hello"]),
    "controls": (b"a\x1b[2Jb\rc\x0bd\n", [r"a\x1b[2Jb\rc\x0bd"]),
    "a forged header": (
        b"x\r[2026-11-20 14:03:07] root (1.2.3.4:5): su\n",
        [r"x\r[2026-11-20 14:03:07] root (1.2.3.4:5): su"],
    ),
    "a forged server line": (
        "*** root left\n\u2028*** x\n".encode(),
        ["*** root left", r"\u2028*** x"],
    ),
    "no text": (b"\xfe\xfe\n", [r"\xfe\xfe"]),
    "a line too long": (b"a\n" + b"x" * 3000 + b"\nb\n", ["a", "b"]),
    "the longest line": (b"y" * 2048 + b"\r\n", ["y" * 2048]),
}


@pytest.mark.parametrize("case", SENT)
@pytest.mark.parametrize("size", [1, 2, 3, 100_000])
def test_what_others_read_of_what_one_sends(case: str, size: int) -> None:
    """The same, whole and in segments of one, two and three bytes."""
    sent, texts = SENT[case]
    chat = Chat(rate=None)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert reader.texts() == texts


@given(st.sampled_from(sorted(SENT)), st.data())
def test_any_chunking_gives_the_same_lines(case: str, data: st.DataObject) -> None:
    """Cut anywhere: inside a character, inside a command of telnet, inside a line end."""
    sent, texts = SENT[case]
    chat = Chat(rate=None)
    reader, speaker = chat.join(), chat.join()
    speaker.send(*data.draw(chunkings(sent)))
    assert reader.texts() == texts


@pytest.mark.parametrize("size", [1, 5, 100_000])
def test_a_line_that_telnet_cut_settles_no_encoding(size: int) -> None:
    """Neither while it is read at once, nor when it waits for its turn; whole lines still do."""
    sent = b"1\n2\n" + SENT["朋友 through telnet"][0] + "朋友\r\n".encode("gbk")
    chat = Chat(rate=8.0, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
    for _ in range(4):
        assert speaker.session.style.encoding == "utf-8"
        chat.turn(0.125)
    assert reader.texts() == ["1", "2", r"\xe6\x8b\xe5\x8b", "你好", "朋友"]
    assert speaker.session.style.encoding == "gb18030"


def test_every_line_has_a_header_that_no_text_can_break() -> None:
    """Each line at a reader begins with the header of the one who said it, or with ``***``."""
    chat = Chat()
    reader, speaker = chat.join(), chat.join()
    speaker.send("a\r\0b\x0bc\x0cd\x85e\u2028f\u2029g\x1bEh\u202ei\n".encode())
    lines = reader.lines()
    assert all(x.startswith(("*** ", "[2023-11-1")) for x in lines)
    assert lines[-1].startswith("[2023-11-1")


def test_answers_come_in_the_clients_own_line_end_and_encoding() -> None:
    """telnet reads CR LF, a GBK program reads GBK."""
    chat = Chat()
    telnet, gbk = chat.join(), chat.join()
    telnet.send(b"hi\r\n")
    gbk.send("你好\n".encode("gbk"))
    assert telnet.bytes().endswith("): 你好\r\n".encode())
    telnet.send("再见\r\n".encode())
    assert gbk.bytes().endswith("): 再见\n".encode("gbk"))


def test_a_long_line_is_told_and_the_third_in_a_row_ends_it() -> None:
    """Others never see any of it, and hear why the client left."""
    chat = Chat(max_line=100)
    reader, speaker = chat.join(), chat.join()
    speaker.send(b"x" * 500 + b"\n" + b"y" * 500)
    assert (
        speaker.lines()
        == ["*** a line may have 100 bytes; yours was longer and is not passed on"] * 2
    )
    speaker.send(b"\n" + b"z" * 500)
    assert "3 lines in a row" in speaker.lines()[0]
    assert speaker.transport.half_closed
    assert "3 lines in a row were longer than 100 bytes" in reader.lines()[-1]


def test_a_good_line_between_long_ones_starts_the_count_again() -> None:
    """Three long lines are only cut when nothing else came between."""
    chat = Chat(max_line=100)
    speaker = chat.join()
    for _ in range(5):
        speaker.send(b"x" * 500 + b"\nok\n")
    assert not speaker.transport.half_closed


def test_fast_lines_wait_and_none_is_dropped() -> None:
    """The burst passes at once, the rest at the rate, and the client is not read meanwhile."""
    chat = Chat(rate=8.0, burst=5)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"".join(b"%d\n" % n for n in range(20)))
    assert reader.texts() == [str(n) for n in range(5)]
    assert speaker.session.held
    for n in range(5, 20):
        chat.turn(0.125)
        assert reader.texts() == [str(n)]
    chat.turn(0.125)
    assert not speaker.session.held


def test_lines_that_arrived_are_said_even_if_their_speaker_has_gone() -> None:
    """A program that sends and exits at once loses nothing to the rate limit."""
    chat = Chat(rate=1.0, burst=2)
    reader, speaker = chat.join(), chat.join()
    speaker.send(b"".join(b"%d\n" % n for n in range(10)))
    speaker.session.connectionLost(Failure(ConnectionLost()))
    chat.turn()
    lines = reader.lines()
    assert [x.partition("): ")[2] for x in lines if x.startswith("[")] == [
        str(n) for n in range(10)
    ]
    assert lines[-1].endswith("left: connection lost")


def test_the_end_of_input_delivers_the_last_line_and_waits_for_answers() -> None:
    """nc -N: what stands after the last line end is said, and answers reach it for a second."""
    chat = Chat()
    reader, speaker = chat.join(), chat.join()
    speaker.send(b"one\ntwo")
    speaker.session.readConnectionLost()
    chat.turn()
    assert reader.texts() == ["one", "two"]
    reader.send(b"answer\n")
    assert speaker.texts() == ["answer"]
    assert not speaker.transport.disconnecting
    chat.turn(1.0)
    assert speaker.transport.disconnecting
    assert reader.lines()[-1].endswith("left: end of input")


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("word", [b"q", b"exit", b"/quit", b"q\r", b"q\xff\xf1"])
def test_leaving(word: bytes, size: int) -> None:
    """A word that leaves, what follows it is not said, and the others are told."""
    chat = Chat()
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    sent = b"bye\n" + word + b"\nlate\nlater\n"
    speaker.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
    assert reader.texts() == ["bye"]
    assert speaker.lines() == ["*** goodbye"]
    assert speaker.transport.half_closed


@pytest.mark.parametrize(
    ("sent", "word"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_who_took_the_wrong_door_is_told(sent: bytes, word: str, size: int) -> None:
    """One line that explains, then the end."""
    chat = Chat()
    reader, browser = chat.join(), chat.join()
    reader.lines()
    for at in range(0, len(sent), size):
        browser.send(sent[at : at + size])
    (line,) = browser.lines()
    assert word in line
    assert browser.transport.half_closed
    assert reader.texts() == []


def test_the_hub_is_full() -> None:
    """One more than the limit gets a line that says so, and a place once somebody leaves."""
    chat = Chat(max_clients=2)
    first, _ = chat.join(), chat.join()
    third = chat.join()
    assert third.greeting == ["*** the hub is full (2 of 2); try again later"]
    third.session.connectionLost(Failure(ConnectionDone()))
    first.session.connectionLost(Failure(ConnectionDone()))
    assert "welcome" in chat.join().greeting[0]


def test_at_the_end_everyone_hears_a_farewell() -> None:
    """And the room is drained when the last connection has gone."""
    chat = Chat(rate=1.0, burst=1)
    ada, bob = chat.join(), chat.join()
    bob.send(b"1\n2\n3\n")
    ada.lines()
    drained: list[None] = []
    chat.room.drain().addCallback(drained.append)
    chat.turn()
    assert ada.lines()[-1] == "*** the server is going down; goodbye"
    for client in (ada, bob):
        assert client.transport.half_closed
        assert not drained
        client.session.connectionLost(Failure(ConnectionDone()))
    assert drained


def test_who_speaks_while_the_server_goes_down_is_not_heard_and_hurts_nobody() -> None:
    """Between the farewell's turn and the end of the connection."""
    chat = Chat()
    ada = chat.join()
    ada.session.dataReceived(b"half")
    chat.room.drain()
    ada.session.dataReceived(b" a line\nq\n/nick x\n")
    ada.session.readConnectionLost()
    chat.turn()
    assert ada.lines()[-1:] == ["*** the server is going down; goodbye"]


def test_what_follows_a_long_line_is_read_like_everything_else() -> None:
    """In any chunking: its telnet commands and line ends are looked at once."""
    sent = b"x" * 3000 + b"\nhello\r\n\xff\xff\xff\xf1\n"
    for size in (1, 7, 3001, 3008, 100_000):
        chat = Chat(rate=None)
        reader, speaker = chat.join(), chat.join()
        reader.lines()
        speaker.send(*(sent[at : at + size] for at in range(0, len(sent), size)))
        assert reader.texts() == ["hello", r"\xff"]


@pytest.mark.parametrize(("length", "heard"), [(2048, True), (2049, False), (2050, False)])
def test_the_longest_line_is_exactly_as_long_as_configured(length: int, heard: bool) -> None:
    """With either line end."""
    for end in (b"\n", b"\r\n"):
        chat = Chat()
        reader, speaker = chat.join(), chat.join()
        speaker.send(b"x" * length + end)
        assert (reader.texts() == ["x" * length]) == heard


def test_nothing_is_left_to_do_for_a_client_that_has_gone() -> None:
    """No timer of any kind outlives its connection."""
    chat = Chat(rate=1.0, burst=1)
    speaker = chat.join()
    speaker.send(b"1\n2\n3")
    speaker.session.connectionLost(Failure(ConnectionLost()))
    chat.turn()
    chat.turn(0.1)
    assert chat.clock.getDelayedCalls() == []


def test_a_little_is_read_ahead_of_a_client_that_is_held_and_then_no_more() -> None:
    """Its own kernel makes it wait; when its turn comes it is read again, and nothing is lost."""
    chat = Chat(rate=8.0, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"first\n")
    speaker.send(b"x" * 1000 + b"\n")
    assert speaker.transport.producerState == "producing"
    for _ in range(20):
        speaker.send(b"x" * 1000 + b"\n")
    assert speaker.transport.producerState == "paused"
    for _ in range(25):
        chat.turn(0.125)
    assert speaker.transport.producerState == "producing"
    assert len(reader.texts()) == 22


def test_a_flood_of_who_hangs_up_is_cut_short() -> None:
    """A pasted text is heard to its end; sixty thousand lines are not."""
    chat = Chat()
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"\n" * 60_000)
    speaker.session.connectionLost(Failure(ConnectionLost()))
    chat.turn()
    assert 200 <= len(reader.texts()) <= 250


def test_commands_keep_their_place_among_lines() -> None:
    """They are run one in a turn, and what stands behind them waits for them."""
    chat = Chat(rate=None)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"/who\n" * 3 + b"before\n/nick eve\nlast\n", b"and more\n")
    assert len(speaker.lines()) == 7
    assert [line.partition(")")[2] for line in reader.lines()] == [
        ": before",
        " is now eve",
        ": last",
        ": and more",
    ]


def test_the_end_of_input_waits_for_what_is_held() -> None:
    """nc -N with more lines than the rate allows: all are said before it leaves."""
    chat = Chat(rate=8.0, burst=1)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.send(b"one\ntwo\nthree")
    speaker.session.readConnectionLost()
    chat.turn(0.125)
    chat.turn(0.125)
    assert reader.texts() == ["one", "two", "three"]
    chat.turn(0.9)
    assert not speaker.transport.disconnecting
    chat.turn(0.2)
    assert speaker.transport.disconnecting


def test_who_was_turned_away_or_said_goodbye_takes_no_place() -> None:
    """However long it takes to hang up."""
    chat = Chat(max_clients=2)
    first, _ = chat.join(), chat.join()
    for _ in range(3):
        assert "full" in chat.join().greeting[0]
    first.send(b"q\n")
    assert "welcome" in chat.join().greeting[0]


def test_what_waits_for_the_next_turn_goes_with_who_is_removed() -> None:
    """Nothing is said by who has no seat any more."""
    chat = Chat(rate=None)
    reader, speaker = chat.join(), chat.join()
    reader.lines()
    speaker.session.dataReceived(b"/time\nlate\n")
    commands.run_for_operator(chat.room.hub, "/kick guest2")
    chat.turn()
    assert reader.texts() == []
    assert "removed" in speaker.lines()[-1]
