"""Offset, its bound, and one-way delays; the expected values are worked out beside them."""

from __future__ import annotations

from netlabsvc.udp.clocks import OneWay, resolution
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Reply, Trace
from support.traces import MS, WALL_NS, once, sent, through


def clocks(trace: Trace) -> OneWay:
    told = analyse(trace).one_way
    assert told
    return told


def test_an_asymmetric_path() -> None:
    """10 ms up, 2 down, offset 5: seen as (15 - -3) / 2 = 9 +- 6, which contains the 5."""
    trace = sent(5)
    through(trace, once(10), once(2), offset_ns=5 * MS)
    told = clocks(trace)
    assert (told.offset_ns, told.bound_ns, told.moved_ns) == (9 * MS, 6 * MS, 0)
    assert abs(told.offset_ns - 5 * MS) <= told.bound_ns
    assert told.up
    assert told.down
    assert (told.up.min_ns, told.down.min_ns, told.error_ns) == (6 * MS, 6 * MS, 6 * MS)


def test_the_quickest_reply_says_it_best() -> None:
    """Ways of 1 + 30, 3 + 1 and 18 + 2 ms: the second says ((3 - 7) - (1 + 7)) / 2 = -6 +- 2."""
    trace = sent(3, interval_ms=100)
    up, down = {1: (1.0,), 2: (3.0,), 3: (18.0,)}, {0: (30.0,), 1: (1.0,), 2: (2.0,)}
    through(trace, up.__getitem__, down.__getitem__, offset_ns=-7 * MS)
    told = clocks(trace)
    assert (told.offset_ns, told.bound_ns, told.moved_ns) == (-6 * MS, 2 * MS, 0)
    assert told.up
    assert (told.up.min_ns, told.up.max_ns) == (0, 17 * MS)


def test_negative_one_way_delays_are_shown() -> None:
    """Clocks that claim 4 ms and are 3 ms apart: up is 1 - 3 = -2 ms, down 1 + 3 = 4."""
    trace = sent(3)
    through(trace, once(1), once(1), offset_ns=-3 * MS)
    trace.clock_error_ns = trace.server_clock_error_ns = 2 * MS
    told = clocks(trace)
    assert told.synchronised
    assert told.up
    assert told.down
    assert (told.up.min_ns, told.down.max_ns, told.error_ns) == (-2 * MS, 4 * MS, 4 * MS)


def test_clocks_that_cannot_both_be_right() -> None:
    """Each claims 1 ms and they are 30 ms apart on a path of 2 ms: the claim is not believed."""
    trace = sent(3)
    through(trace, once(1), once(1), offset_ns=30 * MS)
    trace.clock_error_ns = trace.server_clock_error_ns = MS
    told = clocks(trace)
    assert (told.synchronised, told.contradicted) == (False, True)
    assert told.error_ns == told.bound_ns == MS


def test_a_clock_that_steps() -> None:
    """Ours jumps by 1 s after the second probe: no delay of one way; the round trips stay exact."""
    trace = sent(4)
    through(trace, once(1), once(1))
    for probe in trace.probes[2:]:
        probe.sent_wall_ns += 10**9
    told = clocks(trace)
    assert told.moved_ns == 10**9 - 2 * MS
    assert (told.up, told.down) == (None, None)
    rtt = analyse(trace).rtt
    assert rtt
    assert (rtt.min_ns, rtt.max_ns) == (2 * MS, 2 * MS)


def test_a_servers_clock_that_steps_while_it_holds_a_probe() -> None:
    """Back by 1 s between T2 and T3: the RTT is T4 - T1, and the step is told."""
    trace = sent(1)
    trace.replies = [Reply(1, 3 * MS, 44, 0, WALL_NS + MS, WALL_NS + MS - 10**9)]
    told = analyse(trace)
    assert told.outcomes[0].rtt_ns == 3 * MS
    assert told.bad_stays == 1
    assert told.one_way
    assert told.one_way.moved_ns == 10**9


def test_variation_does_not_hold_the_offset() -> None:
    """Up takes 1, 3, 2 ms: above the least 0, 2, 1; steps of +2 and -1, an hour apart or not."""
    for offset_ns in (0, 3600 * 10**9):
        trace = sent(3)
        through(trace, lambda seq: (1, 3, 2)[seq - 1 : seq], once(1), offset_ns=offset_ns)
        up = clocks(trace).up_variation
        assert up.pdv
        assert up.ipdv
        assert (up.pdv.min_ns, up.pdv.median_ns, up.pdv.max_ns) == (0, MS, 2 * MS)
        assert (up.ipdv.min_ns, up.ipdv.max_ns) == (-MS, 2 * MS)


def test_coarse_server_times() -> None:
    """One stamp in whole ms: its step widens the bound, which still contains the truth."""
    trace = sent(20, interval_ms=10.1)
    through(trace, once(0.2), once(0.1), offset_ns=3 * MS)
    cut = [(r.received_ns or 0) // MS * MS for r in trace.replies]
    trace.replies = [
        Reply(r.seq, r.arrived_ns, 44, received_ns=t2)
        for r, t2 in zip(trace.replies, cut, strict=True)
    ]
    told = clocks(trace)
    assert told.resolution_ns == MS
    assert told.moved_ns == 0
    assert abs(told.offset_ns - 3 * MS) <= told.bound_ns <= 2 * MS


def test_resolution() -> None:
    """The step of server times is the largest power of ten that fits all of them."""
    assert resolution([1_700_000_000_123_000_000, 1_700_000_000_120_000_000]) == MS
    assert resolution([5_000_000_000]) == 10**9
    assert resolution([1_700_000_000_123_456_789]) == 1


def test_without_server_times_nothing_is_said() -> None:
    """An echo server tells no time."""
    trace = sent(1)
    trace.replies = [Reply(1, MS, 44)]
    assert analyse(trace).one_way is None
