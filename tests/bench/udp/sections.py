"""The sections of the reflectors' bench: what is measured, beside what, and the targets."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netlabsvc.udp.impair import chance

from ..report import Target
from ..run import Run
from .delays import delays
from .load import Load
from .servers import Server, netlab, others

STOCK = Target("classic: replies per CPU second, times a stock DatagramProtocol's", 1.8, least=True)
LOOP = Target("classic: times a recvfrom/sendto loop's in Python", 1.2, least=True)
IN_C = Target("classic: times the same loop's in C", 0.9, least=True)
LOSSY = Target("classic with 10 % loss and a seed: times that without", 0.8, least=True)
STAMP = Target("STAMP, unauthenticated: times classic", 0.4, least=True)
UNANSWERED = Target("flat: datagrams without a reply", 0)
GROWTH = Target("flat: memory after 1 000 000 datagrams, more than after 100 000", 1, " MB")

PAYLOAD = b"Ping 1234567 1700000000.123456 abcdef"
#: Sequence number, time, Error Estimate, 30 zeros.
STAMP_REQUEST = bytes.fromhex("00000001e8fe6f801f9add371384").ljust(44, b"\0")
WARM_UP = 20_000
LOSS, SEED, LOSING = 0.1, 1, "netlab, 10 % loss"


@dataclass(frozen=True)
class Figures:
    """What a server did with a load."""

    sent: int
    received: int
    cpu_s: float
    waited_s: float

    @property
    def rate(self) -> float:
        """Replies per second of CPU."""
        return self.received / self.cpu_s


def measure(server: Server, count: int, directory: Path, loss: float = 0.0) -> Figures:
    """Start a server, warm it up, and send it a load.

    :param loss: with which the server loses, by `SEED`.
    """
    process, port, asked = server.start(directory)
    draws = chance(SEED, "up", "loss", "classic")
    for _ in range(asked):
        draws.random()
    with process:
        load = Load(port, server.payload, lambda: draws.random() >= loss)
        load.run(WARM_UP)
        cpu_s, waited_s = process.cpu_s(), process.waited_s()
        answered = load.run(count)
        load.close()
        spent_s, waited_s = process.cpu_s() - cpu_s, process.waited_s() - waited_s
    return Figures(answered.sent, answered.received, spent_s, waited_s)


def _replies(run: Run) -> None:
    """Replies per second of CPU, in turn, so that noise hits all alike; the best round counts."""
    count, rounds = (100_000, 1) if run.quick else (400_000, 5)
    run.report.title(f"replies: {count} datagrams of {len(PAYLOAD)} bytes  (defaults, log on)")
    run.report.note(f"load {os.getloadavg()[0]:.2f}; waited: seconds without a CPU, 0 when quiet")
    servers = [
        netlab("netlab", "udp", PAYLOAD),
        netlab(LOSING, "udp", PAYLOAD, f"--udp-loss={LOSS}", f"--seed={SEED}"),
        netlab("netlab, STAMP", "stamp", STAMP_REQUEST),
        *others(run.directory, run.also),
    ]
    results: dict[str, list[Figures]] = {server.name: [] for server in servers}
    for _ in range(rounds):
        for server in servers:
            loss = LOSS if server.name == LOSING else 0.0
            results[server.name].append(measure(server, count, run.directory, loss))
    best = {name: max(some, key=_rate) for name, some in results.items()}
    heads = ["", "sent", "replies", "CPU s", "waited", "replies per CPU s"]
    run.report.table(heads, [_row(name, one) for name, some in results.items() for one in some])
    if "loop in C" not in best:
        run.report.note("without the loop in C: there is no cc")
    judge, ours = run.report.judge, best["netlab"].rate
    judge(STOCK, ours / best["stock DatagramProtocol"].rate)
    judge(LOOP, ours / best["loop in Python"].rate)
    if "loop in C" in best:
        judge(IN_C, ours / best["loop in C"].rate)
    judge(LOSSY, best[LOSING].rate / ours)
    judge(STAMP, best["netlab, STAMP"].rate / ours)


def _rate(figures: Figures) -> float:
    return figures.rate


def _row(name: str, figures: Figures) -> list[str]:
    return [
        name,
        str(figures.sent),
        str(figures.received),
        f"{figures.cpu_s:.2f}",
        f"{figures.waited_s:.2f}",
        f"{figures.rate / 1e3:.0f} k",
    ]


def _flat(run: Run) -> None:
    """A million in a row."""
    run.report.title("flat: 1 000 000 datagrams in a row")
    process, port, _ = netlab("netlab", "udp", PAYLOAD).start(run.directory)
    with process:
        load = Load(port, PAYLOAD)
        first = load.run(100_000)
        before = process.resident_bytes()
        rest = load.run(900_000)
        after = process.resident_bytes()
        load.close()
    run.report.note(f"{after / 1e6:.1f} MB at the end")
    run.report.judge(UNANSWERED, first.sent + rest.sent - first.received - rest.received)
    run.report.judge(GROWTH, (after - before) / 1e6)


SECTIONS: dict[str, Callable[[Run], None]] = {
    "replies": _replies,
    "delays": delays,
    "flat": _flat,
}
