"""What each stage does to a packet, told by what leaves the path."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.grammar import parse
from netlabsvc.udp.impair import IPV6_OVERHEAD_BYTES, Path
from netlabsvc.udp.notation import MAX_DELAY_NS
from netlabsvc.udp.stages import different_bits, turned_over
from support.reflecting import classic, replies

MS = 1_000_000


def path(words: str) -> Path:
    return Path("up", parse(f"up {words}").up, 1)


def lost(words: str, count: int = 12) -> list[int]:
    """The numbers, from 1, of the packets that are lost."""
    under = path(words)
    return [n for n in range(1, count + 1) if not under.pass_through(0, n, b"x")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("loss=every(5)", [5, 10]),
        ("loss=every(1)", [*range(1, 13)]),
        ("loss=list(3,7)", [3, 7]),
        ("loss=list(1,1,12,99)", [1, 12]),
        ("loss=100%", [*range(1, 13)]),
        ("loss=0%", []),
        ("loss=ge(p=100%,r=0%)", [*range(1, 13)]),
        ("loss=ge(p=100%,r=100%)", [1, 3, 5, 7, 9, 11]),
        ("loss=ge(p=0%,r=50%)", []),
        ("loss=ge(p=0%,r=50%,k=0%)", [*range(1, 13)]),
    ],
)
def test_loss_that_leaves_nothing_to_chance(words: str, expected: list[int]) -> None:
    """Every n-th, a list, and the ends of all probabilities are exact."""
    assert lost(words) == expected


def test_a_link_drops_what_its_queue_cannot_hold() -> None:
    """One is on the wire and 5 wait; when the first has left, one more finds room."""
    under = path("rate=1Mbit/s queue=5")
    sent = [under.pass_through(0, n, bytes(97)) for n in range(20)]  # 125 bytes on the wire: 1 ms
    assert sent == [[(n * MS, bytes(97))] for n in range(1, 7)] + [[]] * 14
    assert under.pass_through(MS - 1, 20, bytes(97)) == []
    assert under.pass_through(MS, 21, bytes(97)) == [(6 * MS, bytes(97))]
    assert under.pass_through(MS, 22, bytes(97)) == []


def test_a_link_without_queue_carries_what_finds_it_free() -> None:
    """queue=0: nothing waits."""
    under = path("rate=1Mbit/s queue=0")
    passed = [n for n in range(5) if under.pass_through(n * MS // 2, n, bytes(97))]
    assert passed == [0, 2, 4]


def test_a_link_drops_what_it_cannot_send_in_two_minutes() -> None:
    """However long its queue: 125 bytes take 50 s at 20 bit/s, so that a third has no chance."""
    under = path("rate=20bit/s")
    waits = [[ns for ns, _ in under.pass_through(0, n, bytes(97))] for n in range(4)]
    assert waits == [[50_000 * MS], [100_000 * MS], [], []]


def test_headers_take_their_time_on_the_link() -> None:
    """28 bytes for IPv4, 48 for IPv6, even around an empty datagram."""
    faults = parse("up rate=8kbit/s").up
    assert Path("up", faults, 1).pass_through(0, 1, b"") == [(28 * MS, b"")]
    six = Path("up", faults, 1).pass_through(0, 1, b"", overhead_bytes=IPV6_OVERHEAD_BYTES)
    assert six == [(48 * MS, b"")]


def test_a_reflector_knows_the_headers_of_its_client() -> None:
    """An IPv6 client's packets, 20 bytes longer, take 20 ms longer each way at 8 kbit/s."""
    waits: list[int | None] = []
    for host in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        reflector = classic("up rate=8kbit/s")
        reflector.wake_at = waits.append
        assert replies(reflector, b"x", host) == []
    assert waits == [29 * MS, 49 * MS, 29 * MS]


def test_a_fixed_delay_is_exact() -> None:
    """To the nanosecond."""
    assert path("delay=20000001ns").pass_through(5, 1, b"x") == [(20_000_001, b"x")]


@settings(deadline=None)
@given(st.lists(st.integers(0, 40 * MS), max_size=50), st.sampled_from(["", " dup=50%"]))
def test_fifo_keeps_the_order_and_no_fifo_does_not_wait(gaps: list[int], more: str) -> None:
    """With FIFO none leaves before the one before it, and none earlier than it drew."""
    free = path(f"delay=20ms~20ms{more}")
    kept = path(f"delay=20ms~20ms{more} fifo")
    now_ns, last = 0, 0
    for n, gap in enumerate(gaps):
        now_ns += gap
        expected = last
        for (drew_ns, _), (held_ns, _) in zip(
            free.pass_through(now_ns, n, b"x"), kept.pass_through(now_ns, n, b"x"), strict=True
        ):
            expected = max(expected, now_ns + drew_ns)
            assert now_ns + held_ns == expected
        last = expected


def test_delays_overtake_without_fifo() -> None:
    """Packets 1 ms apart under 20 ms more or less are out of order."""
    under = path("delay=20ms~20ms")
    left = [n * MS + under.pass_through(n * MS, n, b"x")[0][0] for n in range(50)]
    assert left != sorted(left)


def test_a_packet_held_back_is_overtaken_in_spite_of_fifo() -> None:
    """The share that is held back waits its time more; the others do not wait for it."""
    under = path("delay=20ms fifo reorder=20%:10ms")
    waits = [under.pass_through(n, n, b"x")[0][0] for n in range(200)]
    assert set(waits) == {20 * MS, 30 * MS}


def test_a_negative_draw_is_no_delay_and_the_longest_is_two_minutes() -> None:
    """A normal delay is cut at 0, and no tail holds a packet for ever."""
    under = path("delay=1ms~1s:normal")
    waits = [under.pass_through(0, n, b"x")[0][0] for n in range(200)]
    assert min(waits) == 0
    assert waits.count(0) > 50
    under = path("delay=100s~100s:lognormal")
    assert max(under.pass_through(0, n, b"x")[0][0] for n in range(200)) == MAX_DELAY_NS


def test_copies_have_delays_of_their_own() -> None:
    """Both copies hold the same bytes, and either may come first."""
    under = path("dup=100% delay=20ms~5ms")
    pairs = [under.pass_through(0, n, b"%d" % n) for n in range(20)]
    assert all(first[1] == second[1] for first, second in pairs)
    assert {first[0] < second[0] for first, second in pairs} == {True, False}


@settings(deadline=None)
@given(st.binary(max_size=20), st.integers(1, 64))
def test_exactly_as_many_bits_are_turned_over(datagram: bytes, bits: int) -> None:
    """As many as asked for, or all there are; the length stays, and nothing is lost."""
    [(_, changed)] = path(f"corrupt=100%:{bits}bit").pass_through(0, 1, datagram)
    assert len(changed) == len(datagram)
    differing = int.from_bytes(changed, "big") ^ int.from_bytes(datagram, "big")
    assert differing.bit_count() == min(bits, 8 * len(datagram))


def test_bits_are_numbered_from_the_highest_of_the_first_byte() -> None:
    """As diagrams of RFCs number them; draws at the ends of their range stay inside."""
    assert turned_over(b"\0\0", (0, 15)) == b"\x80\x01"
    assert different_bits([0.0, 0.0, 1 - 2**-53], 16) == (0, 1, 15)
