"""The sections of the sandbox's bench: what is measured, beside what, and the targets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from twisted.internet.defer import execute

from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.record import Facts, Record
from netlabsvc.mail.store import Mail, Store

from ..process import Process, free_port
from ..report import Target
from ..run import Run

STORED = Target("messages stored per second, times those aiosmtpd accepts", 1.0, least=True)
FIRST_PAGE = Target("first page of an inbox with 50 000 mails", 100.0, " ms")
SESSIONS, SIZE = 10, 4096
_TWISTD = str(Path(sys.executable).with_name("twistd"))


def _netlab(port: int, directory: Path) -> list[str]:
    options = ["--services=mail", f"--smtp-port={port}", "--control=off"]
    return [_TWISTD, "-n", "--pidfile=", "netlab", *options, f"--state-dir={directory / 'state'}"]


def _aiosmtpd(port: int, directory: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("accepting.py")), str(port)]


def _per_second(command: Callable[[int, Path], list[str]], count: int, source: str) -> float:
    """Start a server and send it a load; the messages of a second."""
    with tempfile.TemporaryDirectory(prefix="netlab-bench-mail-") as name:
        port = free_port()
        with Process(command(port, Path(name)), Path(name)) as process:
            process.wait_until_it_listens(port)
            load = [source, "-s", str(SESSIONS), "-l", str(SIZE), "-d", f"127.0.0.1:{port}"]
            subprocess.run([*load[:-1], "-m", str(count // 10), load[-1]], check=True)
            begun_s = time.perf_counter()
            subprocess.run([*load[:-1], "-m", str(count), load[-1]], check=True)
            return count / (time.perf_counter() - begun_s)


def _rate(run: Run) -> None:
    """In turn, so that noise hits both alike; the best round counts."""
    source = shutil.which("smtp-source") or shutil.which("smtp-source", path="/usr/sbin")
    if source is None:
        run.report.note("there is no smtp-source (package postfix)")
        return
    count, rounds = (2_000, 1) if run.quick else (10_000, 3)
    run.report.title(f"rate: smtp-source, {count} mails of {SIZE} bytes, {SESSIONS} sessions")
    servers = {"netlab, on disk": _netlab, "aiosmtpd, kept nowhere": _aiosmtpd}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, command in servers.items():
            rates[name].append(_per_second(command, count, source))
    rows = [(name, *(f"{one:.0f}" for one in some)) for name, some in rates.items()]
    run.report.table(["mails/s", *(f"round {n + 1}" for n in range(rounds))], rows)
    ours, theirs = (max(some) for some in rates.values())
    run.report.judge(STORED, ours / theirs)


def _described(record: Record, mail_id: int) -> Record:
    return record


def _page(run: Run) -> None:
    """A full inbox, opened anew for its first page as the web inbox does it."""
    count = 50_000
    run.report.title(f"page: the first page of {count} mails of {SIZE} bytes")
    record = Record(1.5, Facts("127.0.0.1:4000", "me", True), "ada@lab", size_bytes=SIZE)
    data = b"From: Ada <ada@lab>\r\nSubject: hi\r\n\r\n" + b"lorem ipsum dolor\r\n" * 200
    with tempfile.TemporaryDirectory(prefix="netlab-bench-mail-") as name:
        store = Store(Path(name), execute)
        for start in range(0, count, 1000):
            numbers = range(start, start + 1000)
            mails = [Mail(partial(_described, replace(record, time_s=t)), data) for t in numbers]
            store._write(mails)
        store.close()
        times_ms = []
        for _ in range(5):
            begun_s = time.perf_counter()
            with Mailbox(Path(name)) as mailbox:
                assert len(mailbox.page()) == 100
            times_ms.append((time.perf_counter() - begun_s) * 1000)
    run.report.judge(FIRST_PAGE, max(times_ms))


SECTIONS: dict[str, Callable[[Run], None]] = {"rate": _rate, "page": _page}
