"""How late a delay ends, as the daemon's own decision log has it."""

from __future__ import annotations

import json
import socket
import statistics
import time

from ..report import Target
from ..run import Run
from .servers import netlab

LATE = Target("delays: how late, median", 0.1, " ms")

PAYLOAD = b"Ping 1 1700000000.123456"
DELAY_MS = 10
#: Requests in a second: each of their delays ends with a wake of its own.
RATES = (50, 1000)


def delays(run: Run) -> None:
    """A fixed delay, at two rates; the lower is judged: nothing else keeps the process awake."""
    count = 200 if run.quick else 1000
    run.report.title(f"delays: {count} datagrams, held back for {DELAY_MS} ms  (decision log on)")
    rows, median_ms = [], []
    for rate in RATES:
        late_ns, cpu = _late_ns(run, count, rate)
        figures = [statistics.median(late_ns), late_ns[len(late_ns) * 95 // 100], late_ns[-1]]
        median_ms.append(figures[0] / 1e6)
        rows.append([f"{rate} in a second", *(f"{one / 1e6:.3f}" for one in figures), f"{cpu:.1%}"])
    run.report.table(["", "median ms", "p95 ms", "most ms", "CPU"], rows)
    run.report.judge(LATE, median_ms[0])


def _late_ns(run: Run, count: int, rate: int) -> tuple[list[int], float]:
    """By how much each was late, sorted; and the share of a core that it took."""
    log = run.directory / f"decisions-{rate}"
    log.unlink(missing_ok=True)
    faults = f"--udp-impair=down delay={DELAY_MS}ms"
    server = netlab(f"delays {rate}", "udp", PAYLOAD, faults, f"--udp-decisions={log}", "--seed=1")
    process, port, asked = server.start(run.directory)
    with process, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        began_s, cpu_s = time.monotonic(), process.cpu_s()
        for n in range(count):
            time.sleep(max(0.0, began_s + n / rate - time.monotonic()))
            sock.send(PAYLOAD)
        time.sleep(2 * DELAY_MS / 1000)
        share = (process.cpu_s() - cpu_s) / (time.monotonic() - began_s)
    ends = (json.loads(line) for line in log.read_text("ascii").splitlines())
    late = [
        one["applied_ns"] - DELAY_MS * 1_000_000
        for one in ends
        if one["direction"] == "down" and one["stage"] == "sent" and one["number"] > asked
    ]
    assert len(late) == count, f"{len(late)} of {count} replies"
    return sorted(late), share
