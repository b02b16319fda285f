"""The sections of the prober's bench: what is measured, beside what, and the targets."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from ..report import Target
from ..run import Run

sys.path.append(str(Path(__file__).parents[2]))  # the tests' support: daemon, namespaces, path

from support import truth
from support.daemon import NETLAB, Daemon
from support.paths import why_not

ERROR = Target("truth: error of a round trip, median", 200, " us")
BESIDE = Target("truth: the same, times irtt's", 1)
LAST = Target("steady: lateness of the last probe", 1, " ms")
CPU = Target("steady: CPU, of a core", 15, " %")


def _us(time_ns: float) -> str:
    return f"{time_ns / 1000:.1f}"


def _truth(run: Run) -> None:
    """Round trips against those of a path that writes down what it does, in turn with irtt."""
    rounds, count = (1, 100) if run.quick else (5, 200)
    run.report.title(f"truth: {rounds} x {count} probes 20 ms apart over an emulated path, STAMP")
    why = why_not() or ("" if shutil.which("irtt") else "needs irtt")
    if why:
        run.report.note(f"left out: {why}")
        return
    run.report.note(f"load {os.getloadavg()[0]:.2f}; the emulator keeps one CPU busy")
    errors = truth.errors(run.directory, rounds, count, 0.02, seed=1)
    run.report.table(
        ("error of a round trip, us", "median", "p95", "trips"),
        [
            (name, _us(median(found)), _us(quantiles(found, n=20)[-1]), str(len(found)))
            for name, found in errors.items()
        ],
    )
    ours = median(errors["netlab"])
    run.report.judge(ERROR, ours / 1000)
    run.report.judge(BESIDE, ours / median(errors["irtt"]))


def _steady(run: Run) -> None:
    """A probe every 10 ms: how late they leave, and what that costs."""
    seconds = 10 if run.quick else 60
    run.report.title(f"steady: a probe every 10 ms for {seconds} s, to a reflector on loopback")
    run.report.note(f"load {os.getloadavg()[0]:.2f}")
    rows = []
    for proto, service in (("text", "udp"), ("stamp", "stamp")):
        told, used_s = _ping(run, seconds, proto, service)
        late = told["summary"]["tool"]["lateness_ns"]
        last = told["probes"][-1]
        last_ns = last["sent_ns"] - (last["seq"] - 1) * 10_000_000
        share = 100 * used_s / seconds
        rows.append((proto, _us(late["median"]), _us(late["p95"]), _us(last_ns), f"{share:.1f} %"))
        run.report.judge(LAST, abs(last_ns) / 1e6)
        run.report.judge(CPU, share)
    heads = ("lateness in us", "median", "p95", "last", "CPU")
    run.report.table(heads, rows)


def _ping(run: Run, seconds: int, proto: str, service: str) -> tuple[Any, float]:
    """The document of a run, and the seconds of CPU that it took."""
    with Daemon(run.directory, "--services=udp") as daemon:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        words = ["-c", str(seconds * 100), "-i", "0.01", "--proto", proto]
        command = [str(NETLAB), "ping", "--json", *words, f"127.0.0.1:{daemon.ports[service]}"]
        done = subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(done.stdout), used_s


SECTIONS: dict[str, Callable[[Run], None]] = {"truth": _truth, "steady": _steady}
