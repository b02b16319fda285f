"""`netlab ping`, as people run it, against servers that nobody here wrote."""

from __future__ import annotations

import gc
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Thread
from xml.etree import ElementTree

import jsonschema
import pytest
import pytest_twisted
from twisted.internet import reactor

import netlabsvc
from netlabsvc.cli.ping import protocol
from netlabsvc.cli.ping_run import Order, outcome, ping
from netlabsvc.udp.endpoint import Address
from netlabsvc.udp.probe import Text
from netlabsvc.udp.prober import Plan, Prober
from support.screen import Screen

SCHEMA = Path(netlabsvc.__file__).with_name("data") / "ping.schema.json"
NETLAB = Path(sys.executable).with_name("netlab")
REPLY = r"\d+ bytes from 127\.0\.0\.1:\d+: seq=(\d+) rtt=\d+\.\d{3} ms ttl=64"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    return subprocess.run(
        [NETLAB, "ping", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def started(*arguments: str) -> subprocess.Popen[str]:
    """The real command, running, its output in pipes."""
    return subprocess.Popen(
        [NETLAB, "ping", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@contextmanager
def bound() -> Iterator[tuple[socket.socket, str]]:
    """A UDP socket on loopback, and where it is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield server, f"127.0.0.1:{server.getsockname()[1]}"


def textbook(server: socket.socket, chance: Random) -> None:
    """The ping server of the textbook; an empty datagram ends it."""
    while True:
        rand = chance.randint(0, 10)
        message, address = server.recvfrom(1024)
        if not message:
            return
        message = message.upper()
        if rand < 4:
            continue
        server.sendto(message, address)


@contextmanager
def textbook_server(seed: int) -> Iterator[str]:
    """The textbook server in a thread, with chance that can be foretold."""
    with bound() as (server, where):
        thread = Thread(target=textbook, args=(server, Random(seed)))
        thread.start()
        try:
            yield where
        finally:
            server.sendto(b"", server.getsockname())
            thread.join()


def test_the_textbook_server() -> None:
    """Capitals and random drops: exactly the requests that it answered are received."""
    chance = Random(5)
    answered = [str(n) for n in range(1, 13) if chance.randint(0, 10) >= 4]
    with textbook_server(5) as where:
        done = run("-c", "12", "-i", "0.02", "-W", "1", where)
    assert re.findall(REPLY, done.stdout) == answered
    assert f"12 sent, {len(answered)} received, {12 - len(answered)} lost, 0 late" in done.stdout
    assert done.stdout.count("timeout") == 12 - len(answered) > 0
    assert (done.returncode, done.stderr) == (0, "")


def test_no_reply_is_status_1() -> None:
    """Silence is told probe by probe and ends with status 1."""
    with bound() as (_, where):
        done = run("-c", "2", "-i", "0.01", "-W", "0.05", where)
    assert done.stdout.startswith(f"seq=1 timeout\nseq=2 timeout\n--- {where}, text\n2 sent, 0 ")
    assert "loss: 100.0%, 95% interval 34.2% to 100.0%" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_refused_port_is_said_at_once() -> None:
    """ICMP ends the run with status 2 and one line, not after ten timeouts of an hour."""
    with bound() as (_, where):
        pass
    done = run("-W", "3600", where)
    assert done.stderr == f"Error: {where} refuses: nothing listens on that UDP port (ICMP)\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nosuch.invalid"], "no address for 'nosuch.invalid'"),
        (["a..b"], "no address for 'a..b'"),
        (["127.0.0.1:0"], "'0' is no port"),
        (["224.0.0.1"], "224.0.0.1 stands for many hosts; netlab ping probes one"),
        (["255.255.255.255"], "255.255.255.255 stands for many hosts"),
        (["127.0.0.1", "-i", "0.009"], "less than 0.01 needs --fast"),
        (["127.0.0.1", "-i", "0"], "0 is not in the range"),
        (["127.0.0.1", "-6"], "no address for '127.0.0.1'"),
        (["127.0.0.1", "-s", "20"], "the probes of this run need 25"),
        (["127.0.0.1:862", "-s", "43"], "the probes of this run need 44"),
        (["127.0.0.1", "-s", "65508"], "65508 is not in the range"),
        (["127.0.0.1", "--key-file", __file__], "say --proto stamp"),
        (["127.0.0.1:862", "--key-file", "/no/key"], "/no/key: cannot be read: No such file"),
        (["127.0.0.1", "--plot", "/no/where.svg"], "'/no/where.svg' cannot be written"),
        (["127.0.0.1", "--schedule", "often"], "'often' is not one of"),
        (["127.0.0.1", "-W", "nan"], "'nan' is no number of seconds"),
        (["127.0.0.1", "-c", "0"], "0 is not in the range"),
        (["127.0.0.1", "-c", "90000"], "a run lasts 24 at most"),
    ],
)
def test_mistakes_are_named(arguments: list[str], named: str) -> None:
    """A bad host, port or option ends with status 2, and the last line names what was wrong."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_prints_the_summary(number: signal.Signals) -> None:
    """A run that is broken off sums up what was sent so far, and keeps its status."""
    options = ["-c", "1000", "-i", "0.02", "-W", "50"]
    with textbook_server(1) as where, started(*options, where) as process:
        assert process.stdout is not None
        shown = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        rest = process.stdout.read()
        status = process.wait()
    received = len(re.findall(REPLY, "".join(shown) + rest))
    found = re.search(r"(\d+) sent, (\d+) received, 0 lost, 0 late, .* (\d+) still open", rest)
    assert found is not None
    assert int(found[2]) == received >= 3
    assert int(found[1]) == received + int(found[3])
    assert status == 0


def test_the_text_of_a_reply_is_never_printed() -> None:
    """Whatever a server hides in its reply, only numbers reach the terminal."""
    evil = b"\x1b[2J\x1b]0;owned\x07 Ping 1 \x00\xff\r\nseq=9 rtt=0.001 ms\n"
    with bound() as (server, where):

        def answer() -> None:
            server.sendto(evil, server.recvfrom(100)[1])

        thread = Thread(target=answer)
        thread.start()
        done = run("-c", "1", where)
        thread.join()
    assert re.fullmatch(REPLY, done.stdout.splitlines()[0])
    assert "owned" not in done.stdout
    assert done.stdout.replace("\n", "").isprintable()


def test_quiet_prints_the_summary_only() -> None:
    """With -q there is no line per probe."""
    with bound() as (_, where):
        done = run("-q", "-c", "2", "-i", "0.01", "-W", "0.02", where)
    assert done.stdout.startswith(f"--- {where}, text\n2 sent,")


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    """`netlab ping ... | head -1` ends when head does, without a word on stderr."""
    options = ["-c", "100000", "-i", "0.01"]
    with textbook_server(1) as where, started(*options, where) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == -signal.SIGPIPE


@pytest_twisted.ensureDeferred
async def test_a_name_with_two_addresses(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the first address refuses and none has answered yet, the next one is tried."""
    with bound() as (first, _):
        refusing = Address(socket.AF_INET, first.getsockname())
    with bound() as (second, where):
        addresses = [refusing, Address(socket.AF_INET, second.getsockname())]
        order = Order("two", 9, Plan(1, 10**7, 10**7), "text", size_bytes=0, key=None, seed=1)
        status = await ping(reactor, addresses, order)
    assert status == 1
    assert capsys.readouterr().out.startswith(f"seq=1 timeout\n--- {where}, text\n")


@pytest.mark.parametrize(
    ("wanted", "port", "chosen"),
    [
        *(("auto", 862, "stamp"), ("auto", 8620, "stamp"), ("auto", 12000, "text")),
        *(("text", 862, "text"), ("stamp", 7, "stamp")),
    ],
)
def test_what_is_spoken_is_told_by_the_port(wanted: str, port: int, chosen: str) -> None:
    """No probe is sent to find out; who names a protocol gets it."""
    assert protocol(wanted, port, keyed=False) == chosen


def test_the_size_of_probes() -> None:
    """With -s each probe is that long, and so is what an echo sends back."""
    with textbook_server(5) as where:
        done = run("-c", "3", "-i", "0.02", "-s", "300", where)
    assert set(re.findall(r"^(\d+) bytes", done.stdout, re.MULTILINE)) == {"300"}


def test_one_document(tmp_path: Path) -> None:
    """--json prints nothing else and keeps to the schema in the package; --plot adds a picture."""
    chance, picture = Random(3), tmp_path / "run.svg"
    fates = ["ok" if chance.randint(0, 10) >= 4 else "lost" for _ in range(8)]
    options = ["-c", "8", "-i", "0.02", "-W", "0.3", "--seed", "17", "--schedule", "poisson"]
    with textbook_server(3) as where:
        done = run(*options, "--json", "--plot", str(picture), where)
    told = json.loads(done.stdout)
    jsonschema.validate(told, json.loads(SCHEMA.read_text("utf-8")))
    assert [probe["fate"] for probe in told["probes"]] == fates
    assert [probe["seq"] for probe in told["probes"]] == list(range(1, 9))
    assert all((probe["rtt_ns"] is None) == (probe["fate"] == "lost") for probe in told["probes"])
    assert (told["config"]["seed"], told["config"]["schedule"]) == (17, "poisson")
    assert told["summary"]["lost"] == fates.count("lost") > 0
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


def test_the_seed_repeats_a_schedule() -> None:
    """The probes of two runs with one seed leave at the same times, to the lateness of each."""
    times = []
    options = ["-c", "6", "-i", "0.05", "--schedule", "poisson", "--seed", "5", "--json"]
    with textbook_server(1) as where:
        for _ in range(2):
            told = json.loads(run(*options, "-W", "0.1", where).stdout)
            times.append([probe["sent_ns"] for probe in told["probes"]])
    assert all(abs(a - b) < 20_000_000 for a, b in zip(*times, strict=True))


def test_a_terminal_has_a_line_that_moves() -> None:
    """A sparkline and how far it is, below the replies; Ctrl-C takes it away. A pipe has none."""
    options = "-c 1000 -i 0.05 -W 0.2"
    with textbook_server(1) as where:
        with Screen(f"LC_ALL=C.UTF-8 {NETLAB} ping {options} {where}; sleep 100") as screen:
            shown = screen.until(r"(?m)^\d+/1000  [1-9]\d* lost .*×.*[▁-█]")
            assert re.search(REPLY, shown)
            screen.press("C-c")
            shown = screen.until("this tool: ")
            assert "/1000" not in shown
        piped = run("-c", "3", "-i", "0.05", "-W", "0.2", where).stdout
    assert "\x1b" not in piped
    assert not re.search("[▁-█×\r]", piped)


def test_a_terminal_without_blocks() -> None:
    """In the encoding of LC_ALL=C the line that moves is drawn in ASCII, and fits 40 columns."""
    shell = f"stty cols 40; LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {NETLAB} ping"
    with textbook_server(1) as where, Screen(f"{shell} -c 1000 -i 0.05 -W 0.2 {where}") as screen:
        shown = screen.until(r"(?m)^\d+/1000  \d+ lost .*[_.~=+*#x-]{3}")
        line = [text for text in shown.splitlines() if "/1000" in text][-1]
        assert len(line) < 40
        assert line.isascii()


@pytest_twisted.ensureDeferred
async def test_no_search_for_garbage_delays_a_probe() -> None:
    """However often Python would collect, it does not while probes leave, and does afterwards."""
    searches: list[str] = []
    old = gc.get_threshold()
    with bound() as (server, _):
        address = Address(socket.AF_INET, server.getsockname())
        order = Order("here", 9, Plan(50, 10**6, 10**7), "text", size_bytes=0, key=None, seed=1)
        prober = Prober(address, order.plan, Text(), lambda _: None, reactor)
        gc.callbacks.append(lambda phase, _: searches.append(phase))
        gc.set_threshold(1, 1, 1)
        try:
            await outcome(prober)
            while_running = [*searches]
        finally:
            gc.set_threshold(*old)
            gc.callbacks.pop()
    assert len(prober.trace.probes) == 50
    assert while_running.count("start") < 10
    assert gc.isenabled()


def test_explain_says_how_and_by_which_rfc() -> None:
    """It needs no host."""
    done = run("--explain")
    assert done.returncode == 0
    assert all(f"RFC {n}" in done.stdout for n in (3393, 3550, 4737, 5481, 5560))


def test_help_has_examples() -> None:
    """--help shows commands that can be typed."""
    help_text = run("--help").stdout
    assert "netlab ping -c 100 -i 0.05 127.0.0.1:12000" in help_text
    assert "Exit status: 0 a reply came" in help_text
