"""What became of each probe, on recorded lists."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.fates import Direction, Fate, Flags, Running
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Reply, Stamps, Trace
from support.traces import MS, sent


def back(trace: Trace, *replies: tuple[int, float]) -> Trace:
    """Replies as (probe, its round trip in ms), in the order of arrival."""
    for seq, rtt_ms in replies:
        arrived_ns = trace.probes[seq - 1].sent_ns + round(rtt_ms * MS)
        trace.replies.append(Reply(seq, arrived_ns, 44))
    return trace


def test_each_probe_has_one_fate() -> None:
    """In time, at the last moment, late, lost and open are five probes and four fates."""
    trace = back(sent(5, interval_ms=100), (1, 2), (2, 1000 - 1e-6), (3, 1000))
    trace.ended_ns = trace.probes[3].sent_ns + 1000 * MS
    told = analyse(trace)
    assert [o.fate for o in told.outcomes] == [Fate.OK, Fate.OK, Fate.LATE, Fate.LOST, Fate.OPEN]
    assert (told.received, told.late, told.lost, told.open) == (2, 1, 1, 1)
    assert (told.loss.hits, told.loss.of) == (1, 4)


def test_late_replies_are_told_apart() -> None:
    """One of 300 ms where 100 is the timeout: late, its RTT told, and not in the figures."""
    told = analyse(back(sent(3, timeout_ms=100), (1, 10), (3, 12), (2, 300)))
    assert told.rtt
    assert told.late_rtt
    assert (told.rtt.count, told.rtt.max_ns, told.late_rtt.max_ns) == (2, 12 * MS, 300 * MS)
    assert [(o.fate, o.rtt_ns) for o in told.outcomes] == [
        (Fate.OK, 10 * MS),
        (Fate.LATE, 300 * MS),
        (Fate.OK, 12 * MS),
    ]
    assert told.outcomes[1].reordered


def test_a_late_reply_never_counts_for_the_next_probe() -> None:
    """Probe 2 is answered after the timeout of probe 3, which stays lost."""
    told = analyse(back(sent(3, interval_ms=100, timeout_ms=100), (1, 1), (2, 350)))
    assert [o.fate for o in told.outcomes] == [Fate.OK, Fate.LATE, Fate.LOST]


def test_the_first_and_the_last_lost_and_all_of_them() -> None:
    """Where the losses lie changes no count."""
    first, last, every = (
        analyse(back(sent(4), *((seq, 1) for seq in seqs))) for seqs in ((2, 3, 4), (1, 2, 3), ())
    )
    assert [o.seq for o in first.outcomes if o.fate is Fate.LOST] == [1]
    assert [o.seq for o in last.outcomes if o.fate is Fate.LOST] == [4]
    assert (every.lost, every.loss.share, every.rtt, every.directions) == (4, 1.0, None, None)
    assert every.why_no_directions


def test_the_time_at_the_server_is_no_part_of_the_round_trip() -> None:
    """T1 0, T2 1, T3 4, T4 5 ms: 2 ms; with only one server time, or an impossible stay, 5 ms."""
    for t2, t3, rtt_ms, bad in ((1, 4, 2, 0), (1, None, 5, 0), (4, 1, 5, 1), (1, 9, 5, 1)):
        trace, wall = sent(1), 10**18
        replied = None if t3 is None else wall + t3 * MS
        trace.replies.append(Reply(1, 5 * MS, 44, 0, wall + t2 * MS, replied))
        told = analyse(trace)
        assert (told.outcomes[0].rtt_ns, told.bad_stays) == (rtt_ms * MS, bad)


def test_each_reply_is_judged_as_it_comes() -> None:
    """In turn, overtaken, a copy, and late: what was said at once is what the end says."""
    trace = sent(4, timeout_ms=100)
    replies = ((1, 5), (3, 5), (2, 20), (1, 30), (4, 100))
    back(trace, *replies)
    running = Running(trace)
    assert [running.arrived(reply) for reply in trace.replies] == [
        Flags(5 * MS, late=False, duplicate=False, reordered=False),
        Flags(5 * MS, late=False, duplicate=False, reordered=False),
        Flags(20 * MS, late=False, duplicate=False, reordered=True),
        Flags(30 * MS, late=False, duplicate=True, reordered=False),
        Flags(100 * MS, late=True, duplicate=False, reordered=False),
    ]
    told = analyse(trace)
    assert [o.reordered for o in told.outcomes] == [False, True, False, False]
    assert [o.duplicates for o in told.outcomes] == [1, 0, 0, 0]


def test_a_reply_to_no_probe_is_a_stray() -> None:
    """Numbers that were never sent change no figure but their own."""
    trace = back(sent(2), (1, 1), (2, 1))
    trace.replies += [Reply(0, 0, 1), Reply(3, 0, 1), Reply(-1, 0, 1)]
    told = analyse(trace)
    assert (told.received, told.duplicates, told.strays) == (2, 0, 3)
    with pytest.raises(IndexError):
        Running(trace).arrived(Reply(3, 0, 1))


_maybe = st.none() | st.integers(-(2**40), 2**62)
_replies = st.lists(
    st.builds(
        Reply,
        seq=st.integers(-1, 12),
        arrived_ns=st.integers(-(10**9), 3 * 10**9),
        size_bytes=st.just(44),
        received_ns=_maybe,
        replied_ns=_maybe,
        number=st.none() | st.integers(0, 14) | st.sampled_from([0, 2**31, 2**32 - 1]),
        read_ns=st.integers(0, 10**9),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10), _replies, st.sampled_from(Stamps), st.integers(0, 2 * 10**9), _maybe)
def test_counts_add_up(
    count: int, replies: list[Reply], stamps: Stamps, ended_ns: int, error_ns: int | None
) -> None:
    """Whatever came in whatever order, nothing is counted twice, left out, or raises."""
    trace = sent(count)
    trace.replies, trace.ended_ns, trace.stamps = replies, ended_ns, stamps
    trace.clock_error_ns = trace.server_clock_error_ns = error_ns and abs(error_ns)
    for stateful in (False, True):
        trace.stateful = stateful
        told = analyse(trace)
        assert told.sent == told.received + told.late + told.lost + told.open == count
        assert len(replies) == told.received + told.late + told.duplicates + told.strays
        assert told.runs.lost == told.lost
        ways = told.directions
        if ways is None:
            assert told.why_no_directions
            continue
        assert told.lost == ways.lost_up + ways.lost_down + ways.lost_unknown
        assert min(ways.lost_up, ways.lost_down, ways.lost_unknown) >= 0
        assert told.duplicates == ways.up.duplicates + ways.down.duplicates
        certain = list(ways.told.values())
        assert certain.count(Direction.UP) <= ways.lost_up
        assert certain.count(Direction.DOWN) <= ways.lost_down
