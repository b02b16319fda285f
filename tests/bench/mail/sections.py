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
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path

from twisted.internet.defer import execute

from netlabsvc.mail.record import Facts, Record
from netlabsvc.mail.store import Mail, Store

from ..process import Process, free_port
from ..report import Target
from ..run import Run

STORED = Target("messages stored per second, times those aiosmtpd accepts", 1.0, least=True)
FIRST_PAGE = Target("first page of an inbox with 50 000 mails", 100.0, " ms")
SESSIONS, SIZE = 10, 4096
_PAGES = {
    "first page": "/inbox",
    "first page as JSON": "/inbox/api/mails",
    "an old page": "/inbox?before=200",
    "a search that finds all": "/inbox?q=lorem",
    "a search that finds none": "/inbox?q=ada@lab+nowhere",
}
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


def _fill(directory: Path, count: int) -> None:
    """Keep mails as if they had come by SMTP."""
    record = Record(1.5, Facts("127.0.0.1:4000", "me", True), "ada@lab", size_bytes=SIZE)
    data = b"From: Ada <ada@lab>\r\nSubject: hi\r\n\r\n" + b"lorem ipsum dolor\r\n" * 200
    store = Store(directory, execute)
    for start in range(0, count, 1000):
        numbers = range(start, start + 1000)
        mails = [Mail(partial(_described, replace(record, time_s=t)), data) for t in numbers]
        store._write(mails)
    store.close()


def _got_ms(port: int, path: str) -> float:
    """How long a page takes, from connecting to its last byte."""
    begun_s = time.perf_counter()
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == HTTPStatus.OK
    assert b"ada@lab" in answer.read()
    connection.close()
    return (time.perf_counter() - begun_s) * 1000


def _page(run: Run) -> None:
    """A full inbox of a daemon that runs, read over HTTP; the slowest of each path counts."""
    count, times = 50_000, 5 if run.quick else 20
    run.report.title(f"page: {count} mails of {SIZE} bytes, over HTTP, {times} times each")
    with tempfile.TemporaryDirectory(prefix="netlab-bench-mail-") as name:
        directory = Path(name)
        (directory / "state").mkdir()
        _fill(directory / "state", count)
        port = free_port()
        options = ["--services=mail,web", f"--http-port={port}", "--smtp-port=0", "--control=off"]
        command = [_TWISTD, "-n", "--pidfile=", "netlab", *options]
        with Process([*command, f"--state-dir={directory / 'state'}"], directory) as process:
            process.wait_until_it_listens(port)
            rows, slowest = [], {}
            for what, path in _PAGES.items():
                took_ms = sorted(_got_ms(port, path) for _ in range(times))
                slowest[path] = took_ms[-1]
                rows.append((what, f"{took_ms[times // 2]:.1f}", f"{took_ms[-1]:.1f}"))
    run.report.table(["ms", "median", "slowest"], rows)
    run.report.judge(FIRST_PAGE, slowest["/inbox"])


SECTIONS: dict[str, Callable[[Run], None]] = {"rate": _rate, "page": _page}
