"""Two network namespaces and an emulated path between them, which tells what it did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

A, B = "10.77.0.1", "10.77.0.2"


@dataclass(frozen=True)
class Passage:
    """One packet on its way."""

    way: str
    client_port: int
    #: The first 16 bytes of its payload.
    payload: bytes
    in_ns: int
    #: None: it was lost.
    out_ns: int | None


@dataclass(frozen=True)
class Between:
    """The path; `a` and `b` are commands that run another in its namespace."""

    a: tuple[str, ...]
    b: tuple[str, ...]
    log: Path

    def passages(self) -> list[Passage]:
        """What it did; known when it has ended."""
        read = (json.loads(line) for line in self.log.read_text("ascii").splitlines())
        return [Passage(w, port, bytes.fromhex(p), t_in, t_out) for w, port, p, t_in, t_out in read]


def why_not() -> str:
    """Why there can be no such path here; empty where there can."""
    if shutil.which("ip") is None:
        return "needs ip: apt-get install iproute2"
    if not os.access("/dev/net/tun", os.W_OK):
        return "needs /dev/net/tun"
    name = f"lab-try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if tried.returncode:
        return f"network namespaces are not allowed here: {tried.stderr.decode().strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


@contextmanager
def path(
    directory: Path, seed: int, loss: float = 0.0, delay_ms: tuple[float, float] = (2, 6)
) -> Iterator[Between]:
    """A path from `A` to `B` with chance from a seed; both ways alike."""
    names = [f"lab-{side}-{os.getpid()}" for side in "ab"]
    log = directory / "passages"
    emulator: subprocess.Popen[str] | None = None
    try:
        for name in names:
            _ip("netns", "add", name)
        words = [*names, *map(str, (seed, loss, *delay_ms, log))]
        program = str(Path(__file__).with_name("emulator.py"))
        emulator = subprocess.Popen(
            [sys.executable, program, *words], stdout=subprocess.PIPE, text=True
        )
        assert emulator.stdout is not None
        assert emulator.stdout.readline() == "ready\n"
        for name, address in zip(names, (A, B), strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "lab0")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "lab0", "up")
        inside = [("ip", "netns", "exec", name) for name in names]
        yield Between(inside[0], inside[1], log)
    finally:
        if emulator is not None:
            emulator.terminate()
            emulator.communicate()
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
