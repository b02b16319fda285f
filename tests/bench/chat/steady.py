"""Talk at a steady pace: how old is a copy when it arrives, and what does it cost the server?"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .crowd import Client, Crowd
from .servers import Server

_CUT = re.compile(rb"\*\*\* \S+ \S+ left: cut: ([^\r\n]*)")
_STAMP = re.compile(rb"@(\d{20}) ")


@dataclass(frozen=True)
class Pace:
    """What is sent.

    :ivar rate: lines per second, of all speakers together.
    """

    speakers: int = 4
    readers: int = 200
    rate: int = 200
    seconds: float = 10.0
    line_bytes: int = 64

    @property
    def copies(self) -> int:
        return round(self.rate * self.seconds) * (self.readers + self.speakers - 1)


@dataclass
class Ages:
    """How old each copy was when a client had it, in seconds."""

    values_s: list[float] = field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        """:param share: 0.5 for the median."""
        ordered = sorted(self.values_s) or [float("inf")]
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1e3

    @property
    def median_ms(self) -> float:
        return self.quantile_ms(0.5)

    @property
    def p99_ms(self) -> float:
        return self.quantile_ms(0.99)


class Clocked:
    """Notes the age of each line that one client hears."""

    __slots__ = ("_ages", "_rest")

    def __init__(self, ages: Ages) -> None:
        self._ages = ages
        self._rest = b""

    def __call__(self, buffer: bytearray, size: int) -> None:
        now_ns = time.monotonic_ns()
        *lines, self._rest = (self._rest + buffer[:size]).split(b"\n")
        for line in lines:
            if stamp := _STAMP.search(line):
                self._ages.values_s.append((now_ns - int(stamp[1])) / 1e9)


def talk(
    crowd: Crowd, clients: list[Client], pace: Pace, ear: Callable[[Ages], Clocked] = Clocked
) -> Ages:
    """Let the first clients speak in turn, evenly spaced, and all listen."""
    ages = Ages()
    for client in clients:
        client.ear = ear(ages)
    begin_s = time.monotonic()
    for number in range(round(pace.rate * pace.seconds)):
        due_s = begin_s + number / pace.rate
        while (left_s := due_s - time.monotonic()) > 0:
            crowd.turn(left_s)
        text = f"@{time.monotonic_ns():020} ".encode()
        crowd.say(clients[number % pace.speakers], text.ljust(pace.line_bytes - 1, b"."))
    crowd.settle(0.3, 10.0)
    return ages


@dataclass(frozen=True)
class Steady:
    """:ivar cpu_s: of the server; :ivar waited_s: how long it had none, though it could run."""

    pace: Pace
    ages: Ages
    cpu_s: float
    waited_s: float
    peak_bytes: int

    @property
    def lost(self) -> int:
        return self.pace.copies - len(self.ages.values_s)


def steady(server: Server, pace: Pace, directory: Path) -> Steady:
    """Start a server, join the crowd, talk."""
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd:
        clients = crowd.join(pace.readers + pace.speakers)
        crowd.settle()
        process.wait_until_it_rests()
        cpu_s, waited_s = process.cpu_s(), process.waited_s()
        ages = talk(crowd, clients, pace)
        cpu_s, waited_s = process.cpu_s() - cpu_s, process.waited_s() - waited_s
        return Steady(pace, ages, cpu_s, waited_s, process.peak_bytes())


class Witness(Clocked):
    """Hears, too, who is cut, and why.

    :ivar cuts: when (monotonic) and what the room was told.
    """

    __slots__ = ("cuts",)

    def __init__(self, ages: Ages) -> None:
        super().__init__(ages)
        self.cuts: list[tuple[float, str]] = []

    def __call__(self, buffer: bytearray, size: int) -> None:
        for notice in _CUT.findall(buffer, 0, size):
            self.cuts.append((time.monotonic(), notice.decode()))
        super().__call__(buffer, size)


@dataclass(frozen=True)
class Stopped:
    """How the others fared while some did not read.

    :ivar before: ages without them; `meanwhile` with them.
    :ivar cuts: seconds from the stop to each cut, and what the room was told.
    :ivar waited_s: how long the server had no CPU, though it could run.
    """

    count: int
    before: Ages
    meanwhile: Ages
    cuts: list[tuple[float, str]]
    waited_s: float

    @property
    def last_cut_s(self) -> float:
        return self.cuts[-1][0] if len(self.cuts) == self.count else float("inf")


def stopped(server: Server, pace: Pace, count: int, directory: Path) -> Stopped:
    """Talk; then stop some readers and talk on, all in one run of one server."""
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd, _netcats(port, count) as netcats:
        idle = [] if netcats else crowd.join(count)
        clients = crowd.join(pace.readers + pace.speakers)
        crowd.settle()
        before = talk(crowd, clients, pace)
        waited_s = process.waited_s()
        stop_s = time.monotonic()
        for netcat in netcats:
            netcat.send_signal(signal.SIGSTOP)
        for client in idle:
            crowd.ignore(client)
        meanwhile = talk(crowd, clients, pace, Witness)
        waited_s = process.waited_s() - waited_s
        witness = clients[-1].ear
        assert isinstance(witness, Witness)
        cuts = [(at_s - stop_s, why) for at_s, why in witness.cuts]
        return Stopped(count, before, meanwhile, cuts, waited_s)


@contextmanager
def _netcats(port: int, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Real clients that can be stopped; none where nc is not installed."""
    nc = shutil.which("nc") or ""
    netcats = [
        subprocess.Popen(
            [nc, "127.0.0.1", str(port)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        for _ in range(count if nc else 0)
    ]
    try:
        yield netcats
    finally:
        for netcat in netcats:
            netcat.kill()
            netcat.communicate()
