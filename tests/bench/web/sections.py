"""The sections of the site's bench: what is measured, beside what, and the targets."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

from ..report import Target
from ..run import Run
from . import beside
from .load import Rate, downloads, fetch, wrk
from .servers import Server, in_python, netlab, nginx

SMALL, SMALL_BYTES, CONNECTIONS = "/small.txt", 1200, 32
BIG, BIG_BYTES = "/big", 100_000_000
SPARSE, SPARSE_BYTES = "/sparse", 5 << 30
IDLE = 1000

TIMES_NGINX = Target("1.2 kB: requests/s, times nginx's", 0.8, least=True)
LOGGED = Target("1.2 kB, both with an access log: requests/s, times nginx's", 0.8, least=True)
FAILED = Target("1.2 kB: requests without a good answer", 0)
BIG_RATE = Target("100 MB: bytes/s, times nginx's", 0.95, least=True)
BIG_CPU = Target("100 MB: CPU for a byte, times nginx's", 1.3)
IDLE_BYTES = Target("idle: memory of each of 1000 connections", 20, " kB")
SPARSE_WHOLE = Target("5 GiB: bytes missing", 0)
SPARSE_GROWTH = Target("5 GiB: memory, more than before", 1, " MB")
BESIDE = Target("chat beside a download of 1 GB: 99th percentile, more than without", 5, " ms")
BESIDE_COLD = Target("the same while the file comes from the disk", 5, " ms")


def _times(name: str) -> Target:
    return Target(f"1.2 kB: requests/s, times {name}'s", 6, least=True)


def site(directory: Path) -> Path:
    """The directory that all serve; its files are old, as files of a site are."""
    root = directory / "site"
    if not root.exists():
        directory.chmod(0o755)
        root.mkdir()
        (root / SMALL[1:]).write_bytes(b"0123456789ab" * (SMALL_BYTES // 12))
        (root / BIG[1:]).write_bytes(bytes(BIG_BYTES))
        with (root / SPARSE[1:]).open("wb") as file:
            file.truncate(SPARSE_BYTES)
        time.sleep(2.5)
    return root


def _present(run: Run, servers: list[Server]) -> list[Server]:
    """Those that this machine has; the others are named."""
    run.report.note(f"load {os.getloadavg()[0]:.2f}; waited: seconds without a CPU, 0 when quiet")
    for server in servers:
        if server.missing:
            run.report.note(f"without {server.name}: there is no {server.needs.strip('.')}")
    return [server for server in servers if not server.missing]


def _small(run: Run) -> None:
    """Small files, in turn with the others, so that noise hits all alike; the best round counts."""
    run.report.title(f"small: {SMALL_BYTES} bytes, {CONNECTIONS} connections, server on one CPU")
    if shutil.which("wrk") is None:
        run.report.note("not measured: there is no wrk")
        return
    servers = _present(run, [netlab(access_log="off"), nginx(), *in_python()])
    best = _rounds(run, servers)
    ours = best["netlab"].per_s
    for name in [server.name for server in in_python() if server.name in best]:
        run.report.judge(_times(name), ours / best[name].per_s)
    if "nginx" in best:
        run.report.judge(TIMES_NGINX, ours / best["nginx"].per_s)
    logging = [netlab("netlab, log"), nginx("nginx, log", "{place}/access")]
    best |= _rounds(run, [server for server in logging if not server.missing])
    if "nginx, log" in best:
        run.report.judge(LOGGED, best["netlab, log"].per_s / best["nginx, log"].per_s)
    run.report.judge(FAILED, best["netlab"].failed + best["netlab, log"].failed)


def _rounds(run: Run, servers: list[Server]) -> dict[str, Rate]:
    """The best rate of each."""
    seconds, rounds = (1, 1) if run.quick else (4, 3)
    root, rates, rows = site(run.directory), [], []
    for _ in range(rounds):
        for server in servers:
            process, port = server.start(root, run.directory)
            with process:
                wrk(port, SMALL, CONNECTIONS, 1)
                cpu_s, waited_s = process.cpu_s(), process.waited_s()
                rate = wrk(port, SMALL, CONNECTIONS, seconds)
                cpu_s, waited_s = process.cpu_s() - cpu_s, process.waited_s() - waited_s
            rates.append((server.name, rate))
            rows.append([server.name, f"{rate.per_s / 1e3:.1f} k", f"{rate.failed}"])
            rows[-1] += [f"{cpu_s / max(1, rate.requests) * 1e6:.1f}", f"{waited_s:.2f}"]
    run.report.table(["", "requests/s", "failed", "CPU us each", "waited"], rows)
    return dict(sorted(rates, key=lambda pair: pair[1].per_s))


def _big(run: Run) -> None:
    """Big files: how fast, and what it costs."""
    run.report.title("big: 100 MB, 4 connections, server on one CPU")
    seconds, rounds = (1.0, 1) if run.quick else (4.0, 3)
    servers, root = _present(run, [netlab(), nginx()]), site(run.directory)
    rates: dict[str, list[tuple[float, float]]] = {server.name: [] for server in servers}
    rows = []
    for _ in range(rounds):
        for server in servers:
            process, port = server.start(root, run.directory)
            with process:
                fetch(port, BIG)
                cpu_s, waited_s = process.cpu_s(), process.waited_s()
                rate = downloads(port, BIG, 4, seconds)
                cpu_s, waited_s = process.cpu_s() - cpu_s, process.waited_s() - waited_s
            rates[server.name].append((rate, cpu_s / rate / seconds))
            rows.append([server.name, f"{rate / 1e9:.2f}", f"{cpu_s:.2f}", f"{waited_s:.2f}"])
    run.report.table(["", "GB/s", "CPU s", "waited"], rows)
    if "nginx" in rates:
        (ours, our_cpu), (theirs, their_cpu) = max(rates["netlab"]), max(rates["nginx"])
        run.report.judge(BIG_RATE, ours / theirs)
        run.report.judge(BIG_CPU, our_cpu / their_cpu)


def _idle(run: Run) -> None:
    """Connections that were asked for something once, and are kept."""
    run.report.title(f"idle: {IDLE} connections kept alive  (max_connections=2000)")
    server = netlab(max_connections="2000")
    process, port = server.start(site(run.directory), run.directory)
    with process:
        kept = [_asked(port) for _ in range(20)]
        process.wait_until_it_rests()
        before = process.resident_bytes()
        kept += [_asked(port) for _ in range(IDLE)]
        process.wait_until_it_rests()
        after = process.resident_bytes()
        for sock in kept:
            sock.close()
    run.report.note(f"{before / 1e6:.0f} MB before, {after / 1e6:.0f} MB with them")
    run.report.judge(IDLE_BYTES, (after - before) / IDLE / 1e3)


def _asked(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 20)
    sock.sendall(f"GET {SMALL} HTTP/1.1\r\nHost: bench.lab\r\n\r\n".encode("ascii"))
    assert sock.recv(12) == b"HTTP/1.1 200"
    sock.recv(SMALL_BYTES + 1000)
    return sock


def _sparse(run: Run) -> None:
    """A file larger than memory should hold."""
    run.report.title("sparse: 5 GiB, whole and its last 1000 bytes")
    process, port = netlab().start(site(run.directory), run.directory)
    with process:
        fetch(port, BIG)
        before, begin_s = process.peak_bytes(), time.monotonic()
        missing = SPARSE_BYTES - fetch(port, SPARSE)
        seconds = time.monotonic() - begin_s
        missing += 1000 - fetch(port, SPARSE, "Range: bytes=-1000")
        after = process.peak_bytes()
    run.report.note(f"{seconds:.1f} s, {after / 1e6:.0f} MB at most")
    run.report.judge(SPARSE_WHOLE, missing)
    run.report.judge(SPARSE_GROWTH, (after - before) / 1e6)


def _beside(run: Run) -> None:
    """The chat, while somebody downloads; in turn, the best round of each."""
    run.report.title("beside: 200 lines/s to 204 clients, and a download of 1 GB, again and again")
    seconds, rounds = (2.0, 1) if run.quick else (5.0, 3)
    root = site(run.directory)
    beside.write(root)
    results = [
        (what, beside.talk(root, run.directory, seconds, what))
        for _ in range(rounds)
        for what in beside.Beside
    ]
    rows = []
    for what, talk in results:
        rows.append([what.value, f"{talk.ages.median_ms:.2f}", f"{talk.ages.p99_ms:.2f}"])
        rows[-1] += [str(talk.downloads), f"{talk.waited_s:.2f}", f"{talk.late_s:.2f}"]
    heads = ["", "median ms", "99 % ms", "downloads", "daemon waited s", "clients waited s"]
    run.report.table(heads, rows)
    best = {w: min(t.ages.p99_ms for was, t in results if was is w) for w in beside.Beside}
    quiet_ms = best[beside.Beside.NOTHING]
    run.report.judge(BESIDE, best[beside.Beside.WARM] - quiet_ms)
    run.report.judge(BESIDE_COLD, best[beside.Beside.COLD] - quiet_ms)


SECTIONS: dict[str, Callable[[Run], None]] = {
    "small": _small,
    "big": _big,
    "idle": _idle,
    "sparse": _sparse,
    "beside": _beside,
}
