"""Many at once: whoever keeps reading hears each line of the others once, in one order."""

from __future__ import annotations

import os
import random
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crowd import Crowd, Voice, cut_anywhere, speaker, text
from support.daemon import Daemon

FAREWELL = b"*** the server is going down; goodbye\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Daemon]:
    """A chat whose clients may talk as fast as they like."""
    many = "--chat-max-clients=2000"
    with Daemon(tmp_path, "--services=chat", many, NETLAB_CHAT_RATE="off") as running:
        yield running


def talk(crowd: Crowd, talkers: list[Voice], lines: int, rng: random.Random) -> None:
    """Let clients say numbered lines, all at once, cut at random places."""
    for voice in talkers:
        said = b"".join(b"%d of %s\n" % (n, voice.peer.encode()) for n in range(lines))
        crowd.send(voice, *cut_anywhere(said, rng, 1 + lines // 3))


def settle(crowd: Crowd, readers: list[Voice], lines: int, within_s: float = 20) -> None:
    """Wait until each has heard as many lines, and a little longer for those it should not."""
    crowd.run(lambda: all(voice.heard_lines >= lines for voice in readers), within_s)
    crowd.rest(0.2)


def check_order(order: list[bytes], readers: list[Voice], talkers: list[Voice], n: int) -> None:
    """`order` holds each line of each talker once; readers heard it, but for their own lines."""
    for voice in talkers:
        own = [text(line) for line in order if voice.peer.encode() == speaker(line)]
        assert own == [b"%d of %s" % (k, voice.peer.encode()) for k in range(n)]
    assert len(order) == len(talkers) * n
    speakers = [speaker(line) for line in order]
    for voice in readers:
        me = voice.peer.encode()
        assert voice.said() == [x for x, by in zip(order, speakers, strict=True) if by != me]


@pytest.mark.parametrize(
    ("clients", "lines"),
    [(5, 400), (50, 40), pytest.param(1000, 1), pytest.param(1000, 3, marks=pytest.mark.soak)],
)
def test_everyone_hears_all_others_in_one_order(hub: Daemon, clients: int, lines: int) -> None:
    """All talk at once; a silent one tells the order, and nobody's differs from it."""
    with Crowd(hub.ports["chat"], clients + 1) as crowd:
        for voice in crowd.voices:
            voice.forget()
        crowd.rest(0.3)
        silent, *talkers = crowd.voices
        for voice in crowd.voices:
            voice.forget()
        talk(crowd, talkers, lines, random.Random(clients))
        settle(crowd, crowd.voices, (clients - 1) * lines, within_s=60)
        check_order(silent.said(), talkers, talkers, lines)


def test_who_comes_late_hears_the_end_of_the_same_order(hub: Daemon) -> None:
    """The last 20 lines, then all that follow: no gap, and none twice."""
    rng = random.Random(7)
    with Crowd(hub.ports["chat"], 5) as crowd:
        silent, *talkers = crowd.voices
        for _ in range(20):
            # All that is sent and all who knock meanwhile come to the hub in one turn of it.
            hub.process.send_signal(signal.SIGSTOP)
            talk(crowd, talkers, 3, rng)
            crowd.rest(0.02)
            crowd.knock(1)
            talk(crowd, talkers, 3, rng)
            crowd.rest(0.02)
            hub.process.send_signal(signal.SIGCONT)
            crowd.rest(0.02)
        count = 20 * 6 * len(talkers)
        crowd.run(lambda: silent.heard.count(b" of ") == count)
        crowd.rest(0.2)
        order = silent.said()
        for voice in [*crowd.voices[5:], *crowd.join(1)]:
            heard = voice.said()
            assert heard == order[len(order) - len(heard) :]
            assert len(heard) >= 20
        assert crowd.voices[-1].said() == order[-20:]


def test_a_burst_leaves_the_memory_flat(tmp_path: Path) -> None:
    """4 clients write 5000 lines each to 50 readers: nothing lost, nobody cut, below 150 MB."""
    lines = 5000
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off") as hub,
        Crowd(hub.ports["chat"], 54) as crowd,
    ):
        for voice in crowd.voices:
            voice.forget()
        readers, talkers = crowd.voices[:50], crowd.voices[50:]
        for voice in talkers:
            words = (b"%d of %s" % (n, voice.peer.encode()) for n in range(lines))
            crowd.send(voice, b"".join(word.ljust(63, b".") + b"\n" for word in words))
        settle(crowd, crowd.voices, 3 * lines, within_s=120)
        settle(crowd, readers, 4 * lines)
        order = readers[0].said()
        assert all(voice.said() == order for voice in readers)
        assert len(set(order)) == len(order) == 4 * lines
        assert not any("left:" in line for line in hub.lines)
        assert highest_memory_kb(hub) < 150 * 1024


@pytest.mark.parametrize("length", [60, 2000])
def test_all_paste_at_once(tmp_path: Path, length: int) -> None:
    """100 clients paste 20 lines in the same moment, as the default rate allows: below 150 MB."""
    with Daemon(tmp_path, "--services=chat") as hub, Crowd(hub.ports["chat"], 100) as crowd:
        crowd.rest(0.3)
        for voice in crowd.voices:
            voice.forget()
        hub.process.send_signal(signal.SIGSTOP)
        for voice in crowd.voices:
            crowd.send(voice, (b"z" * (length - 1) + b"\n") * 20)
        crowd.rest(1)
        hub.process.send_signal(signal.SIGCONT)
        settle(crowd, crowd.voices, 99 * 20, within_s=60)
        assert all(voice.heard.count(b"z\n") == 99 * 20 for voice in crowd.voices)
        assert highest_memory_kb(hub) < 150 * 1024


def test_a_signal_while_all_talk(hub: Daemon) -> None:
    """Everyone who reads has the farewell as the last line, behind whole lines without a gap."""
    with Crowd(hub.ports["chat"], 100) as crowd:
        for voice in crowd.voices:
            said = b"".join(b"%d of %s\n" % (n, voice.peer.encode()) for n in range(200))
            crowd.send(voice, *[said[at : at + 100] for at in range(0, len(said), 100)])
        crowd.run(lambda: crowd.voices[0].heard_lines > 2000)
        hub.process.send_signal(signal.SIGTERM)
        crowd.run(lambda: all(voice.ended for voice in crowd.voices))
        assert hub.stop() in (0, -signal.SIGTERM)
        for voice in crowd.voices:
            assert voice.heard.endswith(b"\n" + FAREWELL)
            assert voice.heard.count(FAREWELL) == 1
            heard: dict[bytes, list[bytes]] = {}
            for line in voice.said():
                heard.setdefault(speaker(line), []).append(text(line))
            for peer, texts in heard.items():
                assert texts == [b"%d of %s" % (n, peer) for n in range(len(texts))]


@pytest.mark.soak
def test_ten_thousand_idle_clients(tmp_path: Path) -> None:
    """At most 12 kB each, and a line reaches all."""
    count = 10_000
    enough_descriptors(count + 100)
    size = f"--chat-max-clients={count + 10}"
    with Daemon(tmp_path, "--services=chat", size) as hub, Crowd(hub.ports["chat"], 1) as crowd:
        before_kb = hub.status("VmRSS")
        for _ in range(count // 100):
            crowd.join(100)
            for voice in crowd.voices:
                voice.forget()
        crowd.rest(3)
        each_kb = (hub.status("VmRSS") - before_kb) / count
        print(f"{each_kb:.1f} kB for each of {count} idle clients")
        for voice in crowd.voices:
            voice.forget()
        crowd.send(crowd.voices[0], b"does this reach you all\n")
        asked = time.monotonic()
        settle(crowd, crowd.voices[1:], 1)
        print(f"a line reached all in {time.monotonic() - asked - 0.2:.2f} s")
        assert all(voice.said()[-1].endswith(b"reach you all") for voice in crowd.voices[1:])
        assert each_kb <= 12


def enough_descriptors(count: int) -> None:
    """Raise the soft limit as far as needed; without enough of them the test cannot be run."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count:
        reason = f"needs {count} descriptors in each of two processes; the limit is {hard}"
        if os.environ.get("OUTSIDE") == "require":
            pytest.fail(reason)
        pytest.skip(reason)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def highest_memory_kb(hub: Daemon) -> int:
    kb = hub.status("VmHWM")
    print(f"the daemon took {kb // 1024} MB at most")
    return kb
