"""What is printed: each reply as it comes, and the report at the end."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import explain
from netlabsvc.udp.fates import Flags
from netlabsvc.udp.report import ASCII, ms, reply_line, report, sparkline
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Matching, Reply, Stamps, Trace
from support.traces import MS, once, sent, through


def told(trace: Trace) -> str:
    return report(trace, analyse(trace), "127.0.0.1:8620")


def eventful() -> Trace:
    """Loss, duplicates and reordering both ways, a late one, kernel stamps: every line is there."""
    trace = sent(120, timeout_ms=50)
    up = {3: (), 8: (1, 2), 12: (14,), 40: (80,)}
    down = {20: (), 30: (1, 2), 33: (18,)}
    through(trace, lambda n: up.get(n, (1,)), lambda n: down.get(n, (1,)), offset_ns=5)
    trace.stamps = Stamps.KERNEL
    for probe in trace.probes:
        probe.wrote_ns = probe.sent_ns - 30_000
        probe.due_ns = probe.sent_ns - 70_000
    return trace


def test_times_have_microseconds() -> None:
    """Rounded to the microsecond, negative ones with their sign; what is not known is a dash."""
    times = (0, 1_234_567, 499, 500, -499, -1500, -2_000_500, None)
    assert [ms(time) for time in times] == [
        *("0.000", "1.235", "0.000", "0.001", "0.000", "-0.001", "-2.000", "-"),
    ]


@pytest.mark.parametrize(
    ("ttl", "flags", "end"),
    [
        (0, (False, False, False), "seq=7 rtt=1.235 ms"),
        (64, (True, False, False), "seq=7 rtt=1.235 ms ttl=64 late"),
        (64, (False, True, False), "seq=7 rtt=1.235 ms ttl=64 duplicate"),
        (0, (True, False, True), "seq=7 rtt=1.235 ms late reordered"),
    ],
)
def test_the_line_of_a_reply(ttl: int, flags: tuple[bool, bool, bool], end: str) -> None:
    """Number, round trip, TTL where it is known, and what is odd about it."""
    line = reply_line(Reply(7, 0, 44, ttl), Flags(1_234_567, *flags), "[::1]:862")
    assert line == f"44 bytes from [::1]:862: {end}"


def test_the_order_of_the_report() -> None:
    """Counts, loss, round trips, jitter, directions, offset, the tool's own error."""
    names = [line.split(":")[0] for line in told(eventful()).splitlines() if ":" in line]
    order = ["loss", "rtt", "late", "jitter", "up", "down", "offset", "one-way", "this tool"]
    assert [name for name in dict.fromkeys(names) if name in order] == order


def test_what_the_report_says() -> None:
    """The figures of a run whose truth is known."""
    lines = told(eventful()).splitlines()
    assert "120 sent, 117 received, 2 lost, 1 late, 2 duplicates, 3 reordered" in lines
    assert "lost: 1 up, 1 down; which of them is told for 2 of 2" in lines
    assert any(line.startswith("up: lost 1 of 120 probes = 0.8%") for line in lines)
    assert any(line.startswith("down: lost 1 of 120 replies = 0.8%") for line in lines)
    assert "offset: the server's clock less this one = 0.000 ms +- 1.000 ms" in lines
    assert any(line.startswith("this tool: sent 0.070 ms late (p95)") for line in lines)


def test_ten_probes_say_little_and_the_report_says_so() -> None:
    """3 of 10: the interval, what it takes to know more, and no p99."""
    trace = sent(10)
    through(trace, lambda n: () if n in (2, 5, 6) else (1,), once())
    text = told(trace)
    assert "3 of 10 lost means a loss between 10.8% and 60.3%" in text
    assert "loss runs: 2, mean 1.5, longest 2; Gilbert p 0.333, r 0.667" in text
    assert "(p99 takes 100 replies)" in text


def test_the_warning_about_the_tool_itself() -> None:
    """Late by 3 ms where the jitter is 0: said where that is in the round trips, and only there."""
    trace = sent(10)
    through(trace, once(), once())
    assert "warning" not in told(trace)
    for probe in trace.probes:
        probe.due_ns -= 3 * MS
    assert "warning: this tool's own error, 3.000 ms, is larger than the jitter" in told(trace)
    trace.stamps = Stamps.KERNEL
    trace.replies = [replace(reply, read_ns=reply.arrived_ns + 2 * MS) for reply in trace.replies]
    for probe in trace.probes:
        probe.wrote_ns -= MS
    assert "warning" not in told(trace)
    assert "none of it is in the rtt" in told(trace)
    trace.probes[4].sent_ns = trace.probes[4].wrote_ns  # one that the kernel did not stamp
    said = told(trace)
    assert "none of it is in the rtt" not in said
    assert analyse(trace).tool.error_ns == MS


def test_one_reply_does_not_vary() -> None:
    """Of a single reply nothing is said about variation."""
    trace = sent(1)
    through(trace, once(), once())
    assert "variation" not in told(trace)
    assert "one-way" in told(trace)


def test_what_a_reader_must_know() -> None:
    """How replies were matched, where the stamps come from, strays, and notes of the run."""
    trace = sent(2)
    trace.replies = [Reply(1, MS, 20), Reply(9, MS, 20)]
    trace.matching, trace.why_user = Matching.ORDER, "no kernel stamps here"
    trace.notes = ["the server answers 38 bytes"]
    text = told(trace)
    assert "note: the server sends no number back" in text
    assert "note: 1 replies belong to no probe" in text
    assert "note: the server answers 38 bytes" in text
    assert "time stamps of this program (no kernel stamps here)" in text
    assert "per direction: not known: the server is not seen to count its replies" in text


def test_a_sparkline() -> None:
    """From the quickest to the slowest of those shown; a lost one is a cross."""
    assert sparkline([0, 7, None, 3]) == "▁█×▄"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([None, *range(100)], width=8) == "▁▂▃▄▅▆▇█"
    assert sparkline([]) == ""
    assert sparkline([0, 7, None, 3], signs=ASCII) == "_#x~"


@given(st.lists(st.none() | st.integers(-(10**9), 10**12), max_size=60), st.integers(0, 50))
def test_a_sparkline_has_one_place_for_each(rtts_ns: list[int | None], width: int) -> None:
    """It is never wider than asked for."""
    assert len(sparkline(rtts_ns, width)) == min(len(rtts_ns), width)


def test_every_figure_is_explained() -> None:
    """Each name with which a line of the report begins, and each figure in it, has its place."""
    lines = (told(eventful()) + "\n" + told(sent(2))).splitlines()
    names = {line.split(":")[0] for line in lines[1:] if re.match("[a-z -]+:", line)}
    figures = ("stddev", "median", "p95", "p99", "ipdv", "pdv", "rtp (smoothed)", "Gilbert p, r")
    names |= {*figures, "extent", "duplicates", "reordered", "still open", "received"}
    assert [name for name in names - {"note", "warning"} if name not in explain.TEXT] == []
    rfcs = ("2681", "3357", "3393", "3550", "4737", "5481", "5560", "5905", "7679", "7680", "8762")
    assert all(f"RFC {rfc}" in explain.TEXT for rfc in rfcs)
    assert max(map(len, explain.TEXT.splitlines())) <= 100
