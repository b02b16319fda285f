"""Cases that known tools get wrong: each is made here, and its truth is known."""

from __future__ import annotations

from random import Random

import pytest

from netlabsvc.udp.report import report
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Trace
from support.traces import Truth, Way, once, sent, through


def drops(chance: Random, loss: float, twice: float) -> Way:
    """A way that loses and duplicates a share of what it carries."""

    def way(_: int) -> tuple[float, ...]:
        lost, again = chance.random() < loss, chance.random() < twice
        return () if lost else (1, 1.1) if again else (1,)

    return way


def impaired(count: int, loss: float, twice: float) -> tuple[Trace, Truth]:
    trace = sent(count)
    up, down = (drops(Random(f"6 {way}"), loss, twice) for way in ("up", "down"))
    return trace, through(trace, up, down)


def test_every_reply_duplicated() -> None:
    """Nothing is lost, in either direction, however many copies came; irtt: 1.8e19 %."""
    trace = sent(50)
    through(trace, once(), lambda _: (1, 2))
    told = analyse(trace)
    assert (told.lost, told.loss.share, told.duplicates) == (0, 0.0, 50)
    assert told.directions
    assert (told.directions.down.loss.hits, told.directions.down.loss.of) == (0, 50)
    assert (told.directions.up.duplicates, told.directions.down.duplicates) == (0, 50)


def test_loss_and_duplicates_in_both_directions() -> None:
    """10 % loss, 2 % duplicates: down is exact, up but for unseen copies; irtt: 2 % less."""
    trace, truth = impaired(1000, 0.1, 0.02)
    told = analyse(trace)
    ways = told.directions
    assert ways
    assert ways.down.loss.hits == truth.lost_replies
    assert ways.down.loss.of == 1000 - len(truth.lost_up) + truth.copies_up
    assert abs(ways.lost_up - len(truth.lost_up)) <= 2
    assert ways.up.loss.share
    assert 0.1 < ways.up.loss.share < 0.13
    assert ways.down.duplicates == truth.copies_down


@pytest.mark.parametrize("neighbour", [-1, 1, 2])
def test_overtaken_requests_and_lost_replies(neighbour: int) -> None:
    """Each 5th request overtaken by two, a neighbour's reply lost: 10 lost, all down; irtt: up."""

    def up(seq: int) -> tuple[float]:
        return (26 if seq % 5 == 0 else 1,)

    trace = sent(54)
    order = sorted(range(1, 55), key=lambda seq: 10 * seq + up(seq)[0])
    gone = {order.index(seq + neighbour) for seq in range(5, 51, 5)}
    truth = through(trace, up, lambda number: () if number in gone else (1,))
    ways = analyse(trace).directions
    assert ways
    assert (truth.lost_up, truth.lost_replies) == (set(), 10)
    assert (ways.lost_up, ways.lost_down, ways.lost_unknown, len(ways.told)) == (0, 10, 0, 10)
    assert ways.up.reordering.reordered == 10
    assert ways.up.reordering.max_extent <= 2


def test_replies_that_arrive_after_later_ones() -> None:
    """Of each ten three arrive one after the other after later ones: 30 reordered; irtt: 10."""
    trace = sent(105)
    # Of 0 to 9, sent every 10 ms: 0 1 5 6 2 3 4 7 8 9.
    held = {2: (44.1,), 3: (34.2,), 4: (24.3,)}
    through(trace, once(), lambda n: held.get(n % 10, (1,)) if n < 100 else (1,))
    told = analyse(trace)
    assert [r.number for r in trace.replies[:10]] == [0, 1, 5, 6, 2, 3, 4, 7, 8, 9]
    assert (told.late, told.lost) == (0, 0)
    assert told.reordering.reordered == 30
    assert told.directions
    assert told.directions.down.reordering.reordered == 30
    assert told.directions.up.reordering.reordered == 0


def test_loss_under_many_duplicates() -> None:
    """10 % loss and 20 % duplicates: no loss is negative; twampy: -24 %."""
    trace, truth = impaired(1000, 0.1, 0.2)
    told = analyse(trace)
    answered = {reply.seq for reply in trace.replies}
    assert told.lost == 1000 - len(answered) > 0
    assert told.directions
    assert told.directions.down.loss.hits == truth.lost_replies
    for share in (told.loss, told.directions.up.loss, told.directions.down.loss):
        assert 0 <= share.hits <= share.of


def test_microseconds_are_printed() -> None:
    """A path of 20 ms is told to the microsecond; fping has steps of 0.1 ms."""
    trace = sent(3, timeout_ms=50)
    through(trace, once(10), lambda n: (10.123 + n / 1000,))
    assert "min/avg/median/p99/max/stddev = 20.123/20.124/20.124/-/20.125/0.001 ms" in report(
        trace, analyse(trace), "x"
    )


def test_the_textbook_server() -> None:
    """randint(0, 10) < 4 is no 30 % but 4 of 11: 36.4 % lies inside the interval, 30 % does not."""
    chance, trace = Random(1), sent(3000)
    through(trace, lambda _: () if chance.randint(0, 10) < 4 else (1,), once())
    low, high = analyse(trace).loss.interval
    assert 0.30 < low < 4 / 11 < high
