"""netlabsvc.chat.pressure: who waits for whom, and who is cut."""

from __future__ import annotations

from support.scripted import Chat, Client

LINE = b"x" * 1000 + b"\n"


def stuff(speaker: Client, lines: int) -> None:
    """Say so many lines of a thousand bytes."""
    for _ in range(lines // 50):
        speaker.send(LINE * 50)


def paused(client: Client) -> bool:
    """Whether what the client says waits."""
    return client.session.held


def test_who_writes_waits_for_a_slow_reader_and_goes_on_when_it_has_caught_up() -> None:
    """At a quarter of the bound the writers are not read; nothing is lost on the way."""
    chat = Chat(rate=None)
    slow, speaker = chat.join(), chat.join()
    slow.lines()
    slow.session.outlet.pauseProducing()  # its transport has enough
    stuff(speaker, 250)
    assert not paused(speaker)
    slow.session.outlet.resumeProducing()
    slow.session.outlet.pauseProducing()
    stuff(speaker, 350)
    assert paused(speaker)
    slow.session.outlet.resumeProducing()
    assert not paused(speaker)
    assert len(slow.texts()) == 600


def test_a_reader_that_stopped_pauses_nobody_for_long_and_is_cut() -> None:
    """The room is told why; whoever speaks goes on after a tenth of a second."""
    chat = Chat(rate=None)
    stopped, reader, speaker = chat.join(), chat.join(), chat.join()
    reader.lines()
    stopped.session.outlet.pauseProducing()
    stuff(speaker, 300)
    for _ in range(3):
        chat.turn(0.05)
    assert not paused(speaker)
    stuff(speaker, 1000)
    assert not paused(speaker)
    assert len(reader.texts()) == 1300
    for _ in range(40):
        chat.turn(0.05)
    assert stopped.transport.disconnected
    (line,) = reader.lines()
    assert line.endswith("left: cut: does not read, and more than 1048576 bytes wait")


def test_a_little_that_is_not_read_for_five_seconds_cuts_too() -> None:
    """Whatever the queue's bound."""
    chat = Chat(rate=None)
    stopped, speaker = chat.join(), chat.join()
    stopped.session.outlet.pauseProducing()
    speaker.send(b"hello\n")
    for _ in range(99):
        chat.turn(0.05)
    assert not stopped.transport.disconnected
    for _ in range(3):
        chat.turn(0.05)
    assert stopped.transport.disconnected
    assert speaker.lines()[-1].endswith("left: cut: read nothing for 5 s")


def test_a_quiet_reader_is_never_cut() -> None:
    """Who has nothing to read is behind with nothing."""
    chat = Chat()
    quiet, speaker = chat.join(), chat.join()
    speaker.send(b"hello\n")
    chat.turn(3600.0)
    assert not quiet.transport.disconnected


def test_who_does_not_take_what_it_is_sent_is_not_listened_to() -> None:
    """In echo mode a client could else fill the memory by itself."""
    chat = Chat(rate=None, mode="echo")
    program = chat.join("raw")
    program.session.outlet.pauseProducing()
    for _ in range(5):
        program.send(b"x" * 65536)
    assert paused(program)
    program.session.outlet.resumeProducing()
    assert not paused(program)


def test_the_bounds_can_be_switched_off() -> None:
    """Then nobody is cut, and slow readers still pause those who write."""
    chat = Chat(rate=None, queue=None, stall_s=None, max_line=None, max_clients=None)
    stopped, speaker = chat.join(), chat.join()
    stopped.session.outlet.pauseProducing()
    speaker.send(b"y" * 100_000 + b"\n")
    stuff(speaker, 3000)
    chat.turn(60.0)
    chat.turn(60.0)
    assert not stopped.transport.disconnected
    stopped.session.outlet.resumeProducing()
    assert len(stopped.texts()) == 3001


def test_writers_go_on_at_once_when_the_last_reader_has_caught_up() -> None:
    """No time passes between a reader's last waiting byte and the next read from a writer."""
    chat = Chat(rate=None)
    slow, speaker = chat.join(), chat.join()
    slow.session.outlet.pauseProducing()
    stuff(speaker, 350)
    assert paused(speaker)
    slow.session.outlet.resumeProducing()
    assert not paused(speaker)
