"""The pipeline: rules, faults, delays and counters, without a socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.logger import capturedLogs, formatEvent

from netlabsvc.udp.classic import Form
from netlabsvc.udp.fate import parse as fate
from netlabsvc.udp.grammar import parse
from netlabsvc.udp.impair import chance
from netlabsvc.udp.irtt import Irtt
from netlabsvc.udp.parameters import Limits
from netlabsvc.udp.record import Record
from netlabsvc.udp.reflector import MAX_DELAYED
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.tongue import Tongue
from support.reflecting import STAMP, Memory, StoppedClocks, classic, replies, rules

MS = 10**6
FAR = "192.0.2.1"
PRIVATE = "192.168.1.5"


def tongues() -> list[Tongue | None]:
    """One of each kind; None: classic."""
    return [
        None,
        Stamp(lambda: 0),
        Stamp(lambda: 0, key=b"k" * 16),
        Irtt(lambda: 0, lambda n: b"r" * n, Limits()),
        Irtt(lambda: 0, lambda n: b"r" * n, Limits(), key=b"k"),
    ]


def test_other_faults_go_on_in_the_same_sequence() -> None:
    """Another loss is drawn from where the generator is."""
    reflector, draws = classic("up loss=30%"), chance(1, "up", "loss", "classic")
    for loss in (0.3, 0.8, 0.0001, 1.0, 0.5):
        reflector.change(parse(f"up loss={loss}"))
        lost = [not replies(reflector, b"x") for _ in range(50)]
        assert lost == [draws.random() < loss for _ in range(50)]


HOSTS = ["127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1", "224.0.0.1", "::", FAR, "2001:db8::1"]


@given(
    st.lists(
        st.tuples(
            st.binary(max_size=300) | st.integers(0, 200).map(bytes),
            st.sampled_from(HOSTS),
            st.integers(0, 65535),
        ),
        max_size=20,
    ),
    st.integers(0, 4),
    st.sampled_from(
        ["off", "up loss=30%", "both dup=50% corrupt=30%", "up delay=1ms dup=1; clock offset=1s"]
    ),
)
def test_nothing_raises_and_everything_is_counted(
    requests: list[tuple[bytes, str, int]], kind: int, faults: str
) -> None:
    """Any bytes from any source, through each tongue: replies or reasons, and the sum is right."""
    hand = StoppedClocks()
    reflector = classic(faults, tongue=tongues()[kind], clocks=hand.clocks(), rules=rules(5, 3))
    memory = Memory(requests)
    reflector.turn(memory)
    hand.ns = 10 * MS
    reflector.wake()
    counts = reflector.counts
    assert counts.received == len(requests)
    assert counts.received + counts.copies == counts.replied + sum(counts.reasons.values())


@given(st.binary(max_size=200), st.integers(0, 4))
def test_a_far_source_never_gets_more_than_it_sent(request: bytes, kind: int) -> None:
    """No tongue answers with more bytes than the request has, beyond private networks."""
    for reply in replies(classic(tongue=tongues()[kind]), request, FAR):
        assert len(reply) <= len(request)


def test_the_exceptions_are_for_near_sources_or_by_configuration() -> None:
    """The time stamp and STAMP's 44 bytes: here and in private networks, elsewhere if allowed."""
    short = bytes(14)
    for host, grows in (("127.0.0.1", True), (PRIVATE, True), ("fd00::1", True), (FAR, False)):
        assert bool(replies(classic(), b"x", host)) is grows, host
        assert bool(replies(classic(tongue=Stamp(lambda: 0)), short, host)) is grows, host
    allowed = rules()
    allowed.all_may_grow = True
    assert replies(classic(rules=allowed), b"x", FAR) == [STAMP + b"x"]
    assert replies(classic(form=Form.ECHO), b"x", FAR) == [b"x"]


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        *((FAR, port, "refused_port") for port in (0, 7, 13, 17, 19, 37, 53, 69, 111, 123, 137)),
        *((FAR, port, "refused_port") for port in (161, 389, 520, 1900, 2112, 3702, 5353, 11211)),
        ("224.0.0.251", 40000, "refused_address"),
        ("255.255.255.255", 40000, "refused_address"),
        ("ff02::1", 40000, "refused_address"),
        ("0.0.0.0", 40000, "refused_address"),
    ],
)
def test_some_sources_are_never_answered(host: str, port: int, reason: str) -> None:
    """Services that answer anything, and groups, get nothing and are counted."""
    reflector = classic(form=Form.ECHO)
    assert replies(reflector, b"x", host, port) == []
    assert str(reflector.counts) == f"received 1, replied 0, {reason} 1"
    assert replies(reflector, b"x", FAR, 862) == [b"x"]


def test_a_source_has_its_rate_and_the_first_drop_is_logged() -> None:
    """A burst, then the rate; what is over it is counted; the log tells once a minute."""
    hand = StoppedClocks()
    reflector = classic(form=Form.ECHO, clocks=hand.clocks(), rules=rules(per_s=10, burst=3))
    with capturedLogs() as events:
        assert len([r for _ in range(9) for r in replies(reflector, b"x", FAR)]) == 3
        hand.ns += 200 * MS
        assert len([r for _ in range(9) for r in replies(reflector, b"x", FAR)]) == 2
        told = [formatEvent(e) for e in events]
        assert told == [f"UDP classic: {FAR} is over its rate; what comes too fast is dropped"]
        reflector.tell("there")
        replies(reflector, b"x", FAR)
    assert len([e for e in events if "is over its rate" in (formatEvent(e) or "")]) == 2
    assert len([r for _ in range(500) for r in replies(reflector, b"x", "127.0.0.1")]) == 500


def test_copies_are_two_at_most_and_paid_for() -> None:
    """Duplicated both ways, one request has two replies; the copy comes out of the bucket."""
    hand = StoppedClocks()
    reflector = classic(
        "both dup=100%", form=Form.ECHO, clocks=hand.clocks(), rules=rules(per_s=10, burst=4)
    )
    assert [len(replies(reflector, b"x", FAR)) for _ in range(4)] == [2, 2, 0, 0]
    told = "received 4, copies 6, replied 4, over_its_rate 2, copy_dropped 4"
    assert str(reflector.counts) == told


def test_what_is_held_back_goes_at_its_time() -> None:
    """Delays up and down add up, the shorter overtakes, and the timer is set for the next."""
    hand, sent = StoppedClocks(), []
    due: list[int | None] = []
    reflector = classic("up delay=5ms; down delay=2ms", clocks=hand.clocks())
    reflector.send_to = lambda reply, address: sent.append((hand.ns, reply, address))
    reflector.wake_at = due.append
    reflector.turn(Memory([(b"x", "127.0.0.1", 5000)]))
    assert (due, sent, reflector.waiting) == ([5 * MS], [], 1)
    for hand.ns in (5 * MS, 7 * MS):
        reflector.wake()
    # Its time stamp is that of its making, before the way down.
    assert sent == [(7 * MS, b"1700000000128 x", ("127.0.0.1", 5000))]
    assert due == [5 * MS, 7 * MS, 7 * MS, None]


def test_only_so_many_are_held_back() -> None:
    """One more than there is room for is dropped and counted for itself."""
    reflector = classic("down delay=1s")
    for _ in range(MAX_DELAYED + 2):
        assert replies(reflector, b"x") == []
    assert reflector.waiting == MAX_DELAYED
    assert str(reflector.counts) == "received 1002, replied 0, too_many_delayed 2"


def test_the_request_arrives_when_it_has_passed_the_way_up() -> None:
    """STAMP's T2 is the arrival at the socket and the delay up; a wrong clock is wrong in both."""
    hand, sent = StoppedClocks(), []
    reflector = classic(
        "up delay=250ms; clock offset=1s", tongue=Stamp(lambda: 0), clocks=hand.clocks()
    )
    reflector.send_to = lambda reply, address: sent.append(reply)
    reflector.turn(Memory([(bytes(44), "127.0.0.1", 5000)]))
    hand.ns = 250 * MS
    reflector.wake()
    t2, t3 = (int.from_bytes(sent[0][at : at + 8], "big") for at in (16, 4))
    assert t2 == t3
    seconds = 1_700_000_000.123456789 + 0.25 + 1 + 2_208_988_800
    assert t2 / 2**32 == pytest.approx(seconds, abs=1e-6)


def test_a_fate_script_counts_for_each_client() -> None:
    """The second request of each client is lost, the third comes twice; others are spared."""
    reflector = classic()
    reflector.change(parse("off"), fate("2: drop, 3: duplicate-down"))
    for port in (5000, 5001):
        got = [len(replies(reflector, b"x", port=port)) for _ in range(4)]
        assert got == [1, 0, 2, 1]


def test_the_decision_log_tells_what_was_done(tmp_path: Path) -> None:
    """One line for each decision and each packet that went a way; what was lost has no reply."""
    record = Record(tmp_path / "log")
    reflector = classic("up loss=50%; down dup=50%", seed=3, record=record)
    got = [len(replies(reflector, b"x")) for _ in range(40)]
    record.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    lost = {one["number"] for one in lines if one["verdict"] == "lost"}
    assert lost == {n for n, count in enumerate(got, 1) if not count}
    sent = [one["number"] for one in lines if one["stage"] == "sent" and one["direction"] == "down"]
    assert [sent.count(n) for n in range(1, 41)] == got
    assert {one["client"] for one in lines} == {"127.0.0.1:50000"}
    assert reflector.counts.replied == sum(got)


def test_the_lane_and_the_long_way_draw_the_same(tmp_path: Path) -> None:
    """With a decision log, which takes every packet the long way, the same requests are lost."""
    plain = [len(replies(classic("up loss=50%", seed=9), b"x")) for _ in range(1)]
    record = Record(tmp_path / "log")
    short, long = (classic("up loss=40%; down loss=20%", seed=9, record=r) for r in (None, record))
    assert plain in ([0], [1])
    assert [len(replies(short, b"x")) for _ in range(200)] == [
        len(replies(long, b"x")) for _ in range(200)
    ]
    record.close()


@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"", b"x", STAMP + b"x", STAMP + STAMP + b"x", bytes(65494)]),
            st.sampled_from(HOSTS),
            st.sampled_from([7, 862, 5000, 5001]),
        ),
        max_size=30,
    ),
    st.sampled_from(["off", "up loss=30%", "up loss=every(3); down loss=50%"]),
    st.sampled_from([Form.TIMESTAMP, Form.ECHO]),
)
@example([(b"x", "127.0.0.1", 5000)] * 20, "up loss=30%", Form.TIMESTAMP)
@example([(b"x", "127.0.0.1", 5000)] * 20, "off", Form.TIMESTAMP)
def test_the_lane_and_the_long_way_say_the_same(
    requests: list[tuple[bytes, str, int]], faults: str, form: Form
) -> None:
    """The same replies to the same sources, and the same counters, whatever comes; and again when
    the sources are known.
    """
    both = []
    for lane in (True, False):
        reflector = classic(faults, form=form, rules=rules(5, 3))
        memory = Memory(requests, lane)
        reflector.send_to = memory.send_to
        reflector.turn(memory)
        reflector.turn(memory)
        both.append((memory.sent, str(reflector.counts)))
    assert sorted(both[0][0]) == sorted(both[1][0])
    assert both[0][1] == both[1][1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_decision_log_only() -> None:
    """It is said once, and replies go on."""
    reflector = classic(record=Record(Path("/dev/full")))
    with capturedLogs() as events:
        assert [len(replies(reflector, b"x")) for _ in range(5)] == [1] * 5
    assert len([e for e in events if "ends here" in (formatEvent(e) or "")]) == 1


def test_two_reflectors_of_ours_never_go_on_answering_each_other() -> None:
    """Whichever tongues they speak, a forged packet dies after a few replies."""
    forged = [b"forged", bytes(44), bytes(14), bytes.fromhex("14a75b01") + bytes(60)]
    for first, second in ((0, 0), (1, 1), (3, 3), (1, 3), (3, 1)):
        for packet in forged:
            pair = [classic(tongue=tongues()[kind]) for kind in (first, second)]
            packets, turns = [packet], 0
            while packets and turns < 10:
                reflector = pair[turns % 2]
                packets = [reply for one in packets for reply in replies(reflector, one)]
                turns += 1
            assert turns <= 3, (first, second, packet)
