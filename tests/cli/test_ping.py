"""`netlab ping`, as people run it, against servers that nobody here wrote."""

from __future__ import annotations

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

import pytest
import pytest_twisted
from twisted.internet import reactor

from netlabsvc.cli.ping import line, ping, report
from netlabsvc.udp.probe import Arrival
from netlabsvc.udp.prober import Address, Plan, TimedOut
from netlabsvc.udp.stats import Probe, summary
from support.outside import need

NETLAB = Path(sys.executable).with_name("netlab")
HERE = Address(socket.AF_INET, ("127.0.0.1", 12000))
REPLY = r"\d+ bytes from 127\.0\.0\.1:\d+: seq=(\d+) rtt=\d+\.\d{3} ms"


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


def test_ncat_as_echo_server() -> None:
    """`ncat -u -l -k -e /bin/cat` gives every probe back."""
    with bound() as (_, where):
        host, port = where.split(":")
    echo = subprocess.Popen([need("ncat"), "-u", "-l", "-k", "-e", "/bin/cat", host, port])
    try:
        # Until ncat listens, ICMP refuses; each try ends at once.
        while run("-q", "-c", "1", where).returncode == 2:
            assert echo.poll() is None
        done = run("-c", "5", "-i", "0.02", where)
    finally:
        echo.terminate()
        echo.wait()
    assert re.findall(REPLY, done.stdout) == ["1", "2", "3", "4", "5"]


def test_no_reply_is_status_1() -> None:
    """Silence is told probe by probe and ends with status 1."""
    with bound() as (_, where):
        done = run("-c", "2", "-i", "0.01", "-W", "0.05", where)
    assert done.stdout.splitlines() == [
        "seq=1 timeout",
        "seq=2 timeout",
        f"--- {where}",
        "2 sent, 0 received, 2 lost, 0 late, 0 duplicates",
        "loss 100.0%, 95% interval 34.2% to 100.0%",
    ]
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
        (["127.0.0.1", "-i", "0.009"], "0.009 is not in the range"),
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
    first, *rest = done.stdout.splitlines()
    assert re.fullmatch(REPLY, first)
    assert len(rest) == 4
    assert done.stdout.replace("\n", "").isprintable()


def test_quiet_prints_the_summary_only() -> None:
    """With -q there is no line per probe."""
    with bound() as (_, where):
        done = run("-q", "-c", "2", "-i", "0.01", "-W", "0.02", where)
    assert done.stdout.startswith(f"--- {where}\n2 sent,")


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
        status = await ping(reactor, addresses, Plan(1, 10**7, 10**7), quiet=False)
    assert status == 1
    assert capsys.readouterr().out.startswith(f"seq=1 timeout\n--- {where}\n")


def test_the_lines_of_events() -> None:
    """A reply shows its size, number, and time in ms with microseconds; flags say the rest."""
    assert line(TimedOut(2), HERE) == "seq=2 timeout"
    told = line(Arrival(1, 10, 213_400, late=False, duplicate=False), HERE)
    assert told == "10 bytes from 127.0.0.1:12000: seq=1 rtt=0.213 ms"
    told = line(Arrival(1, 10, 2 * 10**9, late=True, duplicate=True), HERE)
    assert told.endswith("rtt=2000.000 ms late duplicate")
    assert str(Address(socket.AF_INET6, ("::1", 7, 0, 0))) == "[::1]:7"


def test_the_report_of_a_run() -> None:
    """3 of 10 lost: the share with its interval, and the round trips of the other seven."""
    probes = [Probe(n, 0, [n * 100_000] if n <= 7 else []) for n in range(1, 11)]
    assert report(summary(probes, 10**9, 10**10), HERE).splitlines() == [
        "--- 127.0.0.1:12000",
        "10 sent, 7 received, 3 lost, 0 late, 0 duplicates",
        "loss 30.0%, 95% interval 10.8% to 60.3%",
        "rtt min/mean/median/max/stddev = 0.100/0.400/0.400/0.700/0.216 ms",
    ]


def test_the_report_of_one_reply() -> None:
    """One round trip has no standard deviation; one whose time is not up is called open."""
    figures = summary([Probe(1, 0, [5000]), Probe(2, 0)], 10**9, 10**8)
    assert report(figures, HERE).splitlines()[1:] == [
        "2 sent, 1 received, 0 lost, 0 late, 0 duplicates, 1 still open",
        "loss 0.0%, 95% interval 0.0% to 79.3%",
        "rtt min/mean/median/max/stddev = 0.005/0.005/0.005/0.005/- ms",
    ]


def test_help_has_examples() -> None:
    """--help shows commands that can be typed."""
    help_text = run("--help").stdout
    assert "netlab ping -c 100 -i 0.05 127.0.0.1:12000" in help_text
    assert "Exit status: 0 a reply came" in help_text
