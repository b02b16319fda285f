"""The reflectors that are measured."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..process import PATIENCE_S, Process
from .load import answers

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Server:
    """A reflector: how to start it on a port of 127.0.0.1.

    :ivar line: its command line; {port} stands for the port, {state} for a directory.
    """

    name: str
    line: tuple[str, ...]
    payload: bytes = b"Ping 1234567 1700000000.123456 abcdef"

    def start(self, directory: Path) -> tuple[Process, int, int]:
        """A running server, its port, and how many requests it has had."""
        place = directory / self.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            port = int(sock.getsockname()[1])
        words = {"port": port, "state": place / "state"}
        process = Process([word.format(**words) for word in self.line], place)
        until_s = time.monotonic() + PATIENCE_S
        asked = 0
        while not (answered := answers(port, self.payload)):
            asked += answered is False
            if not process.alive() or time.monotonic() > until_s:
                process.stop()
                said = process.output.read_text("utf-8", "replace")
                raise RuntimeError(f"{self.name} does not answer:\n{said}")
            time.sleep(0.05)
        return process, port, asked + 1


def netlab(name: str, tongue: str, payload: bytes, *options: str) -> Server:
    """The daemon of this environment, its log on and all else at its defaults.

    :param tongue: ``udp``, ``stamp`` or ``irtt``; the others are off.
    """
    twistd = str(Path(sys.executable).with_name("twistd"))
    off = [f"--{other}-port=off" for other in ("udp", "stamp", "irtt") if other != tongue]
    line = [twistd, "-n", "--pidfile=", "netlab", "--services=udp", "--state-dir={state}"]
    return Server(name, (*line, *off, f"--{tongue}-port={{port}}", *options), payload)


def others(directory: Path, also: Mapping[str, str]) -> list[Server]:
    """What to compare with: two in Python, one in C where there is a compiler, and more."""
    found = [
        Server("stock DatagramProtocol", (sys.executable, f"{_HERE}/stock_protocol.py", "{port}")),
        Server("loop in Python", (sys.executable, f"{_HERE}/blocking_loop.py", "{port}")),
    ]
    if compiler := shutil.which("cc"):
        program = directory / "blocking_loop"
        source = str(_HERE / "blocking_loop.c")
        subprocess.run([compiler, "-O2", "-o", str(program), source], check=True)
        found.append(Server("loop in C", (str(program), "{port}")))
    return [*found, *(Server(name, tuple(shlex.split(line))) for name, line in also.items())]
