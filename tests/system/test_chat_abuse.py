"""Clients that mean harm, or behave as if they did: the others never wait for them for long."""

from __future__ import annotations

import itertools
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from support.crowd import Crowd, answering, reset
from support.daemon import PATIENCE_S, Daemon
from support.outside import need

#: Two seconds for every line, or, where a machine is quiet enough, 100 ms for 99 of 100.
LENIENT, STRICT = (2.0, 1.0), (0.1, 0.99)
BOUNDS = pytest.mark.parametrize(
    ("within_s", "share", "rounds"),
    [(*LENIENT, 1), pytest.param(*STRICT, 10, marks=pytest.mark.soak)],
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Daemon]:
    """A chat with its default limits."""
    with Daemon(tmp_path, "--services=chat") as running:
        yield running


def connect(hub: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", hub.ports["chat"]), PATIENCE_S)


@contextmanager
def meanwhile(work: Callable[[threading.Event], object]) -> Iterator[None]:
    """Do something in another thread until this ends; it is given an event that says so."""
    over = threading.Event()

    def run() -> None:
        with suppress(OSError):  # being cut is what most of them deserve
            work(over)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def read_slowly(client: socket.socket, size: int, pause_s: float, over: threading.Event) -> None:
    while not over.wait(pause_s) and client.recv(size):
        pass


def read_all(client: socket.socket, over: threading.Event) -> None:
    client.settimeout(0.1)
    while not over.is_set():
        with suppress(TimeoutError):
            if not client.recv(1 << 20):
                return


def send_for(client: socket.socket, data: bytes, seconds: float, most: int = 1 << 40) -> int:
    """Send the same bytes again and again; returns how many were taken before it was cut."""
    client.settimeout(0.1)
    end, sent = time.monotonic() + seconds, 0
    with suppress(ConnectionError):
        while time.monotonic() < end and sent < most:
            with suppress(TimeoutError):
                sent += client.send(data)
    return sent


def memory_mb(hub: Daemon, name: str) -> int:
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) // 1024


def times_woken(hub: Daemon) -> int:
    """How often the daemon has slept and gone on."""
    status = Path(f"/proc/{hub.process.pid}/status").read_text()
    return int(re.findall(r"\nvoluntary_ctxt_switches:\s+(\d+)", status)[0])


@pytest.mark.parametrize("count", [1, 10])
def test_who_stops_reading_is_cut(tmp_path: Path, count: int) -> None:
    """Stopped nc's are gone within 10 s, the room hears why, and the others go on."""
    nc = need("nc")
    with ExitStack() as stack:
        hub = stack.enter_context(Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off"))
        talker = stack.enter_context(connect(hub))
        command = [nc, "127.0.0.1", str(hub.ports["chat"])]
        programs = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            for _ in range(count)
        ]
        for program in programs:
            stack.callback(program.communicate)
            stack.callback(program.kill)
        hub.wait_for(rf"guest{1 + count} .* joined")
        stack.enter_context(meanwhile(lambda over: read_all(talker, over)))
        with answering(hub.ports["chat"]):
            for program in programs:
                program.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            while sum("left: cut: " in line for line in hub.lines) < count:
                talker.sendall(b"x" * 1999 + b"\n")
                time.sleep(0.0005)
                assert time.monotonic() - stopped < 10
        assert not any("guest1 " in x or "end of input" in x for x in hub.lines if "left" in x)
        whys = {x.partition("left: ")[2] for x in hub.lines if "left: cut: " in x}
        assert whys
        assert all(re.match("cut: (read nothing for|does not read)", x) for x in whys)


@BOUNDS
def test_connections_that_are_reset(
    hub: Daemon, within_s: float, share: float, rounds: int
) -> None:
    """300 come and reset at once, while others join."""
    with answering(hub.ports["chat"], within_s, share), Crowd(hub.ports["chat"]) as crowd:
        for number in range(300 * rounds):
            client = connect(hub)
            if number % 3 == 1:
                client.sendall(b"half a li")
            if number % 3 == 2:
                client.recv(10)
            reset(client)
            if number % (10 * rounds) == 0:
                crowd.join(1)
        crowd.rest(1.5)
        crowd.voices[0].forget()
        crowd.send(crowd.voices[1], b"still here\n")
        crowd.run(lambda: b": still here\n" in crowd.voices[0].heard)
        crowd.send(crowd.voices[0], b"/who\n")
        crowd.rest(0.3)
        here = sum(b" idle " in line for line in crowd.voices[0].lines())
        assert here == len(crowd.voices) + 2  # and the two that measure
        assert not any(voice.ended for voice in crowd.voices)


@BOUNDS
def test_port_scans(hub: Daemon, within_s: float, share: float, rounds: int) -> None:
    """300 times nc -z."""
    nc, port = need("nc"), str(hub.ports["chat"])
    with answering(hub.ports["chat"], within_s, share):
        for _ in range(300 * rounds):
            subprocess.run([nc, "-z", "127.0.0.1", port], check=True)


def test_half_closed_connections(hub: Daemon) -> None:
    """100 end their input at once: each is heard, reads what is said, and is let go."""
    with Crowd(hub.ports["chat"], 100) as crowd:
        for number, voice in enumerate(crowd.voices):
            voice.sock.send(b"last words %d" % number)
            voice.sock.shutdown(socket.SHUT_WR)
        crowd.run(lambda: all(voice.ended for voice in crowd.voices))
        for number, voice in enumerate(crowd.voices):
            words = [x.partition(b"): ")[2] for x in voice.said()]
            others = [b"last words %d" % n for n in range(100) if n != number]
            assert sorted(words) == sorted(others)


@BOUNDS
def test_bytes_without_a_line_end(hub: Daemon, within_s: float, share: float, rounds: int) -> None:
    """100 clients send them for ever: no memory grows, and each is told what is wrong."""
    with Crowd(hub.ports["chat"], 100) as crowd:
        before_mb = memory_mb(hub, "VmRSS")
        with answering(hub.ports["chat"], within_s, share):
            end = time.monotonic() + rounds
            while time.monotonic() < end:
                for voice in crowd.voices:
                    if not voice.unsent and not voice.ended:
                        crowd.send(voice, b"no line end " * 300)
                crowd.turn(0.01)
        assert memory_mb(hub, "VmHWM") - before_mb < 20
        assert all(b"2048 bytes" in voice.heard for voice in crowd.voices)


def test_bytes_one_at_a_time(hub: Daemon) -> None:
    """100 clients send a segment for each byte; every line arrives whole."""
    with Crowd(hub.ports["chat"], 101) as crowd, answering(hub.ports["chat"]):
        listener, *talkers = crowd.voices
        said = "慢慢来 slow\r\n".encode()
        for voice in talkers:
            voice.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            crowd.send(voice, *[said[n : n + 1] for n in range(len(said))])
        crowd.run(lambda: listener.heard.count("): 慢慢来 slow\n".encode()) == 100)


@pytest.mark.soak
@pytest.mark.parametrize(("within_s", "share"), [LENIENT, STRICT])
@pytest.mark.parametrize("rate", ["10", "off"])
@pytest.mark.parametrize("line", [b"y" * 1999 + b"\n", b"/help\n"], ids=["text", "help"])
def test_a_hundred_megabytes_without_reading(
    tmp_path: Path, line: bytes, rate: str, within_s: float, share: float
) -> None:
    """From one who never reads: it is slowed down or cut, and the others are served."""
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE=rate) as hub,
        connect(hub) as client,
    ):
        with answering(hub.ports["chat"], within_s, share):
            sent = send_for(client, line * (60_000 // len(line)), 5, 100_000_000)
        print(f"{sent / 1e6:.1f} MB were taken; {memory_mb(hub, 'VmHWM')} MB of memory at most")
        assert memory_mb(hub, "VmHWM") < 150


STORMS = {
    "ayt": b"\xff\xf6",
    "do": b"\xff\xfd\x01",
    "subnegotiation": b"\xff\xfa\x18\x01\xff\xf0",
    "who": b"/who\n",
    "nick": b"/nick a\n/nick b\n",
    "empty": b"\n",
    "help": b"/help\n",
    "msg": b"/msg nobody x\n",
    "escape": b"\x1b" * 2040 + b"\n",
    "rubout": b"ab\x08\x08" * 500 + b"\n",
    "undecodable": b"\xe4" * 2040 + b"\n",
    "long": b"z" * 3000 + b"\n",
}
#: The rest of all combinations takes minutes.
QUICK_STORMS = {
    ("ayt", True, "10"),
    ("do", False, "10"),
    ("who", True, "off"),
    ("nick", True, "off"),
}
QUICK_STORMS |= {("empty", True, "off"), ("undecodable", True, "off"), ("who", True, "10")}


@pytest.mark.parametrize(
    ("storm", "reads", "rate"),
    [
        pytest.param(*case, marks=[] if case in QUICK_STORMS else pytest.mark.soak)
        for case in itertools.product(STORMS, (True, False), ("10", "off"))
    ],
)
def test_storms(tmp_path: Path, storm: str, reads: bool, rate: str) -> None:
    """One client sends the same thing as fast as it can, whether it reads the answers or not."""
    unit = STORMS[storm]
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE=rate) as hub,
        Crowd(hub.ports["chat"], 50) as crowd,
        connect(hub) as client,
        ExitStack() as stack,
    ):
        stack.enter_context(meanwhile(lambda over: keep_reading(crowd, over)))
        if reads:
            stack.enter_context(meanwhile(lambda over: read_all(client.dup(), over)))
        with answering(hub.ports["chat"]):
            send_for(client, unit * (1 + 50_000 // len(unit)), 1)
            time.sleep(0.2)
        assert not any(voice.ended for voice in crowd.voices)
        assert memory_mb(hub, "VmHWM") < 150


def keep_reading(crowd: Crowd, over: threading.Event) -> None:
    while not over.is_set():
        crowd.turn(0.01)
        for voice in crowd.voices:
            voice.forget()


@pytest.mark.parametrize(
    ("window", "size", "pause_s"),
    [
        (2304, 600, 0.02),
        (4096, 4000, 0.5),
        pytest.param(16_000, 4000, 0.05, marks=pytest.mark.soak),
    ],
)
def test_who_reads_slowly_neither_stops_the_room_nor_fills_the_memory(
    tmp_path: Path, window: int, size: int, pause_s: float
) -> None:
    """A client reads a little, for ever, while another talks fast: two more talk undisturbed."""
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off") as hub,
        socket.socket() as slow,
        connect(hub) as talker,
    ):
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        slow.connect(("127.0.0.1", hub.ports["chat"]))
        slow.settimeout(PATIENCE_S)
        with (
            meanwhile(lambda over: read_slowly(slow, size, pause_s, over)),
            answering(hub.ports["chat"]),
        ):
            send_for(talker, (b"x" * 1999 + b"\n") * 20, 4)
        assert memory_mb(hub, "VmHWM") < 100


def test_a_room_that_is_silent_costs_nothing(tmp_path: Path) -> None:
    """No timer runs for 50 clients that say nothing, though they were behind a moment ago."""
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off") as hub,
        Crowd(hub.ports["chat"], 50) as crowd,
        connect(hub) as talker,
    ):
        lines = send_for(talker, b"x" * 1999 + b"\n", 0.1) // 2000
        assert lines > 100
        crowd.run(lambda: all(voice.heard.count(b"x\n") == lines for voice in crowd.voices))
        crowd.send(crowd.voices[0], b"in the middle of")
        woken = []
        for _ in range(6):  # on a busy machine it takes a while until all is said
            before = times_woken(hub)
            crowd.rest(2)
            woken.append(times_woken(hub) - before)
            if woken[-1] < 12:
                break
        assert woken[-1] < 12, woken
        assert not any(voice.ended for voice in crowd.voices)


def test_a_request_of_http_is_a_text_to_talk_about(hub: Daemon) -> None:
    """Only who begins with one took the wrong door; in a class it is quoted, too."""
    with Crowd(hub.ports["chat"], 2) as crowd:
        ada, bob = crowd.voices
        crowd.send(ada, b"what does this mean?\n")
        crowd.run(lambda: b"mean?\n" in bob.heard)
        crowd.send(ada, b"GET / HTTP/1.1\n")
        crowd.run(lambda: b"GET / HTTP/1.1\n" in bob.heard or ada.ended)
        assert not ada.ended


def test_a_paste_is_not_told_that_it_has_no_line_end(hub: Daemon) -> None:
    """It waits for its turn, which is not its fault."""
    with Crowd(hub.ports["chat"], 1) as crowd:
        paste = b"".join(b"line %d of what somebody has pasted\n" % n for n in range(3000))
        crowd.send(crowd.voices[0], paste)
        crowd.rest(2.7)
        assert b"line end" not in crowd.voices[0].heard


def test_a_program_that_sends_in_a_loop_and_ends(hub: Daemon) -> None:
    """All of its 40 lines are heard, though it reads nothing and the rate makes it wait."""
    with Crowd(hub.ports["chat"], 1) as crowd:
        with connect(hub) as hasty:
            hasty.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(40):
                hasty.send(b"line %d\n" % number)
                time.sleep(0.001)
        crowd.run(lambda: b"left:" in crowd.voices[0].heard)
        texts = [line.rpartition(b"): ")[2] for line in crowd.voices[0].said()]
        assert texts == [b"line %d" % number for number in range(40)]


def test_who_was_turned_away_takes_no_place(tmp_path: Path) -> None:
    """When a member of a full hub leaves, the next client is let in, whoever knocked meanwhile."""
    with (
        Daemon(tmp_path, "--services=chat", "--chat-max-clients=5") as hub,
        Crowd(hub.ports["chat"], 5) as crowd,
        ExitStack() as stack,
    ):
        for _ in range(20):
            assert b"full" in stack.enter_context(connect(hub)).recv(4096)
        crowd.send(crowd.voices[0], b"q\n")
        crowd.run(lambda: b"left: quit" in crowd.voices[1].heard and crowd.voices[0].ended)
        crowd.voices[0].sock.close()
        hub.wait_for("left: quit")
        with connect(hub) as late:
            assert b"welcome" in late.recv(4096)


@pytest.mark.soak
def test_twenty_thousand_visits_leave_nothing(hub: Daemon) -> None:
    """No memory, no descriptor, no member stays behind."""

    def visit(count: int) -> int:
        for number in range(count):
            with connect(hub) as client:
                if number % 2:
                    client.sendall(b"/nick n%d\nhello\n" % number)
                if number % 5 == 0:
                    reset(client)
        time.sleep(2)
        return memory_mb(hub, "VmRSS")

    first_mb = visit(5_000)
    assert visit(15_000) - first_mb < 8
    assert len(list(Path(f"/proc/{hub.process.pid}/fd").iterdir())) < 20
    with connect(hub) as client:
        client.sendall(b"/who\nq\n")
        client.settimeout(PATIENCE_S)
        assert b"".join(iter(lambda: client.recv(4096), b"")).count(b" idle ") == 1
