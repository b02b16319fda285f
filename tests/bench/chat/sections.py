"""The sections of the chat's bench: what is measured, beside what, and the targets."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..report import Target
from ..run import Run
from . import arrival
from .burst import Burst, Load, burst
from .servers import Netlab, Other, Server, installed
from .steady import Pace, Steady, Stopped, steady, stopped

#: The daemon as it is delivered, but for its rate limit.
RATE_OFF = {"NETLAB_CHAT_RATE": "off"}
MANY = {**RATE_OFF, "NETLAB_CHAT_MAX_CLIENTS": "10050"}

MISSING = Target("burst: clients that did not get every line once, in order", 0)
CUT = Target("burst: readers that were cut", 0)
STOCK = Target("burst: copies/s, times the stock hub's", 5, least=True)
NGIRCD = Target("burst: copies/s, times ngircd's", 1, least=True)
PEAK = Target("burst: peak memory", 150, " MB")
HELD_UP = Target("burst with ten stopped readers: time, times that without them", 1.3)
STOPPED_CUT = Target("burst with ten stopped readers: of those, still there", 0)
CONNECT = Target("200 that connect at once: all greeted after", 0.2, " s")
PACE_LOST = Target("steady pace: copies lost", 0)
PACE_CPU = Target("steady pace: CPU, times ncat's", 1.4)
PACE_AGE = Target("steady pace: median age of a copy, times ncat's", 1.5)
STOPPED_AGE = Target("stopped readers: 99th percentile of the others' ages, times before", 2)
STOPPED_GONE = Target("stopped readers: the last is cut after", 10, " s")
IDLE_BYTES = Target("idle clients: memory of each", 12, " kB")
IDLE_REACH = Target("idle clients: something said reaches all after", 1, " s")


def _others(run: Run) -> dict[str, Server]:
    also = {name: Other(name, line=line) for name, line in run.also.items()}
    return {**installed(), **also}


def _title(run: Run, text: str, settings: dict[str, str]) -> None:
    keys = " ".join(f"{name}={value}" for name, value in settings.items())
    run.report.title(f"{text}  ({keys or 'defaults'}, log on)")
    run.report.note(f"load {os.getloadavg()[0]:.2f}; waited: seconds without a CPU, 0 when quiet")
    for name, package in (("ncat", "ncat"), ("ngircd", "ngircd")):
        if not any(server.split()[0] == name for server in installed()):
            run.report.note(f"without {name}, which is not installed (Debian: {package})")


def _burst(run: Run) -> None:
    """A burst, and the same with ten stopped readers beside."""
    lines, rounds = (2_000, 1) if run.quick else (20_000, 3)
    load = Load(lines=lines)
    _title(run, f"burst: 4 x {lines} lines of 64 bytes to 204 clients", RATE_OFF)
    ours, beside = Netlab(settings=RATE_OFF), Load(lines=lines, stopped=10)
    plain, held = [], []
    for _ in range(rounds):
        plain.append(burst(ours, load, run.directory))
        held.append(burst(ours, beside, run.directory))
    best, best_held = min(plain, key=_seconds), min(held, key=_seconds)
    results = {"netlab": best, "netlab, 10 stopped": best_held}
    for name, server in _others(run).items():
        # Without back-pressure a hub would need GBs for all of it, and some need minutes.
        few = name in ("stock hub", "ngircd") and not run.quick
        results[name] = burst(server, Load(lines=lines // 4) if few else load, run.directory)
    heads = ["", "lines", "copies", "lost", "whole", "copies/s", "to ours", "CPU s", "waited", "MB"]
    run.report.table([*heads, "load's CPU"], [_burst_row(n, b, best) for n, b in results.items()])
    judge = run.report.judge
    judge(MISSING, max(result.clients - result.whole for result in [*plain, *held]))
    judge(CUT, max(result.cut for result in [*plain, *held]))
    judge(PEAK, max(result.peak_bytes for result in [*plain, *held]) / 1e6)
    judge(STOCK, best.rate / results["stock hub"].rate)
    if "ngircd" in results:
        judge(NGIRCD, best.rate / results["ngircd"].rate)
    judge(HELD_UP, best_held.seconds / best.seconds)
    judge(STOPPED_CUT, beside.stopped - min(result.stopped_cut for result in held))


def _seconds(result: Burst) -> float:
    return result.seconds


def _burst_row(name: str, result: Burst, ours: Burst) -> list[str]:
    limit = ", its limit" if result.crowd_s > 0.9 * result.seconds else ""
    return [
        name if result.alive else f"{name} (died)",
        str(result.load.lines * result.load.speakers),
        str(result.copies),
        str(result.lost),
        f"{result.whole}/{result.clients}",
        f"{result.rate / 1e6:.2f} M",
        f"{result.rate / ours.rate:.2f}",
        f"{result.cpu_s:.2f}",
        f"{result.waited_s:.2f}",
        f"{result.peak_bytes / 1e6:.0f}",
        f"{result.crowd_s:.2f} of {result.seconds:.2f} s{limit}",
    ]


def _connect(run: Run) -> None:
    """Clients that come all at once."""
    _title(run, "connect: 200 clients at once", {})
    results = {name: arrival.rush(s, 200, run.directory) for name, s in _others(run).items()}
    rounds = [arrival.rush(Netlab(), 200, run.directory) for _ in range(3)]
    results = {"netlab": sorted(rounds, key=lambda r: r.all_s)[1], **results}
    rows = [[n, f"{r.greeted}/{r.clients}", f"{r.seconds * 1e3:.1f}"] for n, r in results.items()]
    run.report.table(["", "greeted", "ms"], rows)
    run.report.judge(CONNECT, results["netlab"].all_s)


def _pace(run: Run) -> None:
    """A steady pace, in turn with the others, so that noise hits all alike."""
    pace, rounds = (Pace(seconds=2), 1) if run.quick else (Pace(), 3)
    _title(run, "pace: 200 lines/s of 64 bytes to 204 clients", RATE_OFF)
    servers = {"netlab": Netlab(settings=RATE_OFF), **_others(run)}
    results: dict[str, list[Steady]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            results[name].append(steady(server, pace, run.directory))
    heads = ["", "lost", "CPU s", "waited", "median ms", "99 % ms", "MB"]
    run.report.table(heads, [_pace_row(n, r) for n, all_ in results.items() for r in all_])
    run.report.judge(PACE_LOST, max(result.lost for result in results["netlab"]))
    if theirs := results.get("ncat --chat"):
        ours = results["netlab"]
        run.report.judge(PACE_CPU, min(r.cpu_s for r in ours) / min(r.cpu_s for r in theirs))
        ages = [min(r.ages.median_ms for r in each) for each in (ours, theirs)]
        run.report.judge(PACE_AGE, ages[0] / ages[1])


def _pace_row(name: str, result: Steady) -> list[str]:
    ages = result.ages
    return [
        name,
        str(result.lost),
        f"{result.cpu_s:.2f}",
        f"{result.waited_s:.2f}",
        f"{ages.median_ms:.2f}",
        f"{ages.p99_ms:.2f}",
        f"{result.peak_bytes / 1e6:.0f}",
    ]


def _stopped(run: Run) -> None:
    """Readers that stop, while others talk.

    With less to read it takes longer until one can know: the stopped client's own kernel goes on
    taking what is sent, some hundred kB of it.
    """
    pace = Pace(seconds=12, line_bytes=1000)
    _title(run, "stopped: 200 lines/s of 1000 bytes, and nc under SIGSTOP", RATE_OFF)
    ours, rounds = Netlab(settings=RATE_OFF), 1 if run.quick else 2
    rows = []
    for count in (1, 10):
        results = [stopped(ours, pace, count, run.directory) for _ in range(rounds)]
        rows += [_stopped_row(result) for result in results]
        run.report.judge(STOPPED_AGE, min(r.meanwhile.p99_ms / r.before.p99_ms for r in results))
        run.report.judge(STOPPED_GONE, max(result.last_cut_s for result in results))
    heads = ["stopped", "median ms", "99 % ms before", "99 % ms with", "waited", "cut after", "why"]
    run.report.table(heads, rows)


def _stopped_row(result: Stopped) -> list[str]:
    return [
        str(result.count),
        f"{result.meanwhile.median_ms:.2f}",
        f"{result.before.p99_ms:.2f}",
        f"{result.meanwhile.p99_ms:.2f}",
        f"{result.waited_s:.2f}",
        f"{result.last_cut_s:.1f} s",
        result.cuts[-1][1] if result.cuts else "",
    ]


def _idle(run: Run) -> None:
    """Many who only listen."""
    clients = 1_000 if run.quick else 10_000
    _title(run, f"idle: {clients} clients of two processes", MANY)
    result = arrival.idle(Netlab(settings=MANY), clients, 2, run.directory)
    run.report.note(
        f"all in after {result.in_s:.2f} s, {result.cpu_s:.2f} s of CPU; "
        f"{result.rest_bytes / 1e6:.0f} MB before the first"
    )
    run.report.judge(IDLE_BYTES, result.bytes_each / 1e3)
    run.report.judge(IDLE_REACH, result.reach_s)


SECTIONS: dict[str, Callable[[Run], None]] = {
    "burst": _burst,
    "connect": _connect,
    "pace": _pace,
    "stopped": _stopped,
    "idle": _idle,
}
