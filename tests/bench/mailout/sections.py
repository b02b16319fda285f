"""The sections of the mail client's bench: many mails, and one through a fresh connection.

Both sides send the same mail to the same smtp-sink (Postfix) in the same run, in turns, each in a
process of its own that tells the mails per second, its start left out. On our side that is
`netlab mail --count`, which gives each mail a Message-ID of its own; smtplib sends the same bytes
each time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from ..process import Process, free_port
from ..report import Target
from ..run import Run
from .mail import MESSAGE

RATE = Target("2000 mails, one connection: per second, times smtplib's", 1, least=True)
FOUR = Target("2000 mails, four connections: per second, times smtplib's one", 1, least=True)
FRESH = Target("one mail through a fresh connection", 10, " ms")


def _smtplib(port: int, count: int) -> float:
    """Mails per second over one connection."""
    return _figure("-m", "tests.bench.mailout.with_smtplib", str(port), str(count))


def _fresh_ms(port: int, count: int) -> float:
    """Milliseconds for each mail over a connection of its own."""
    return _figure("-m", "tests.bench.mailout.with_netlab", str(port), str(count))


def _netlab(run: Run, port: int, count: int, connections: int) -> float:
    """Mails per second of the command."""
    eml = run.directory / "mail.eml"
    eml.write_bytes(MESSAGE)
    words = ["mail", "--server", f"127.0.0.1:{port}", "--eml", str(eml), "--json"]
    words += ["--count", str(count), "--connections", str(connections)]
    command = [str(Path(sys.executable).with_name("netlab")), *words]
    ran = subprocess.run(command, capture_output=True, check=True)
    return float(json.loads(ran.stdout)["per_s"])


def _figure(*words: str) -> float:
    command = [sys.executable, *words]
    return float(subprocess.run(command, capture_output=True, check=True).stdout)


def _load(run: Run) -> None:
    count, rounds = (500, 1) if run.quick else (2000, 5)
    run.report.title(f"mailout: {count} mails to smtp-sink, the best of {rounds} rounds")
    with _sink(run) as port:
        rates: dict[str, list[float]] = {"smtplib": [], "netlab, 1": [], "netlab, 4": []}
        for _ in range(rounds):
            rates["smtplib"].append(_smtplib(port, count))
            rates["netlab, 1"].append(_netlab(run, port, count, 1))
            rates["netlab, 4"].append(_netlab(run, port, count, 4))
    best = {name: max(figures) for name, figures in rates.items()}
    run.report.table(
        ("client, connections", "mails/s"), [(name, f"{rate:.0f}") for name, rate in best.items()]
    )
    run.report.judge(RATE, best["netlab, 1"] / best["smtplib"])
    run.report.judge(FOUR, best["netlab, 4"] / best["smtplib"])


def _fresh(run: Run) -> None:
    count = 20 if run.quick else 200
    run.report.title(f"mailout: one mail through a fresh connection, mean of {count}")
    with _sink(run) as port:
        ms = _fresh_ms(port, count)
    run.report.judge(FRESH, ms)


class _sink:
    """smtp-sink on a free port while the block runs."""

    def __init__(self, run: Run) -> None:
        self._port = free_port()
        program = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            raise RuntimeError("needs smtp-sink: apt-get install postfix (or: make outside)")
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = Process([program, *user, f"127.0.0.1:{self._port}", "100"], run.directory)

    def __enter__(self) -> int:
        self._process.wait_until_it_listens(self._port)
        return self._port

    def __exit__(self, *error: object) -> None:
        self._process.stop()


SECTIONS: dict[str, Callable[[Run], None]] = {"load": _load, "fresh": _fresh}
