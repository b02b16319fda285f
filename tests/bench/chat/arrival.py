"""Many clients: how soon they are let in, what they cost while they are quiet, and how soon
something said reaches all of them.

Run as a program it is a crowd that only listens, for more clients than one process should hold:
``python -m tests.bench.chat.arrival PORT CLIENTS``. It prints ``in`` when all are greeted, then the
monotonic time when the last of them heard `MARK`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .crowd import Client, Crowd
from .servers import Netlab, Server

MARK = b"does everyone hear this?"
PATIENCE_S = 120.0
#: A listener with a short queue loses connections, and SYNs are repeated after 1, 3, 7 and 15 s.
RUSH_S = 20.0


@dataclass(frozen=True)
class Rush:
    """:ivar seconds: until the last of those that were greeted was; :ivar greeted: how many."""

    clients: int
    greeted: int
    seconds: float

    @property
    def all_s(self) -> float:
        """Seconds until all were greeted; inf when some never were."""
        return self.seconds if self.greeted == self.clients else float("inf")


def rush(server: Server, count: int, directory: Path) -> Rush:
    """Let clients connect all at once."""
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd:
        begin_s = time.monotonic()
        clients = [crowd.connect() for _ in range(count)]
        crowd.run(lambda: all(c.heard for c in clients), RUSH_S)
        return Rush(count, sum(c.heard > 0 for c in clients), time.monotonic() - begin_s)


@dataclass(frozen=True)
class Idle:
    """What clients cost that say nothing.

    :ivar in_s: seconds until all were greeted.
    :ivar bytes_each: resident memory of the server, per client.
    :ivar rest_bytes: resident memory before the first of them.
    :ivar reach_s: seconds until something said had reached all.
    """

    clients: int
    in_s: float
    bytes_each: float
    rest_bytes: int
    cpu_s: float
    reach_s: float


def idle(server: Server, clients: int, crowds: int, directory: Path) -> Idle:
    """Let clients in, from several processes, and say one thing to all."""
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd:
        (speaker,) = crowd.join(1)
        process.wait_until_it_rests()
        rest_bytes, begin_s = process.resident_bytes(), time.monotonic()
        listeners = [_Listeners(port, clients // crowds) for _ in range(crowds)]
        try:
            for listener in listeners:
                listener.wait_for_all()
            in_s = time.monotonic() - begin_s
            crowd.settle()
            process.wait_until_it_rests()
            cpu_s = process.cpu_s()
            each = (process.resident_bytes() - rest_bytes) / clients
            said_s = time.monotonic()
            crowd.say(speaker, MARK)
            reach_s = max(listener.heard_s() for listener in listeners) - said_s
            return Idle(clients, in_s, each, rest_bytes, cpu_s, reach_s)
        finally:
            for listener in listeners:
                listener.stop()


class _Listeners:
    """A process full of clients."""

    def __init__(self, port: int, clients: int) -> None:
        command = [sys.executable, "-m", "tests.bench.chat.arrival", str(port), str(clients)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="ascii")

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("a crowd of listeners has died")
        return line

    def wait_for_all(self) -> None:
        assert self._line() == "in"

    def heard_s(self) -> float:
        return float(self._line())

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()


class _Marked:
    """An ear that waits for the mark."""

    __slots__ = ("_crowd", "_rest")

    def __init__(self, crowd: _Waiting) -> None:
        self._crowd = crowd
        self._rest = b""

    def __call__(self, buffer: bytearray, size: int) -> None:
        data = self._rest + buffer[:size]
        self._rest = data[1 - len(MARK) :]
        if MARK in data:
            self._crowd.count -= 1


@dataclass
class _Waiting:
    """:ivar count: how many have not heard the mark."""

    count: int


def listen(port: int, count: int) -> None:
    """Be the crowd that only listens."""
    with Crowd(Netlab(), port) as crowd:
        clients: list[Client] = crowd.join(count, at_once=100, patience_s=PATIENCE_S)
        waiting = _Waiting(count)
        for client in clients:
            client.ear = _Marked(waiting)
        print("in", flush=True)
        crowd.run(lambda: waiting.count == 0, PATIENCE_S)
        print(crowd.heard_s if waiting.count == 0 else float("inf"), flush=True)


if __name__ == "__main__":
    listen(int(sys.argv[1]), int(sys.argv[2]))
