"""Which way lost, copied or overtook what; each list is (probe, the server's number) as it came."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.directions import Directions
from netlabsvc.udp.fates import Direction
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Trace
from support.traces import once, recorded, sent, through

UP, DOWN = Direction.UP, Direction.DOWN


def ways(trace: Trace) -> Directions:
    told = analyse(trace).directions
    assert told
    return told


def test_no_hole_is_a_loss_up() -> None:
    """Of 1 2 3 4 the server answers 1 2 4 with 0 1 2: probe 3 never reached it."""
    told = ways(recorded(4, (1, 0), (2, 1), (4, 2)))
    assert told.told == {3: UP}
    assert (told.up.loss.hits, told.up.loss.of) == (1, 4)
    assert (told.down.loss.hits, told.down.loss.of) == (0, 3)


def test_a_hole_is_a_loss_down() -> None:
    """It answers 4 with 3: its reply to 3 was number 2, and is lost."""
    told = ways(recorded(4, (1, 0), (2, 1), (4, 3)))
    assert told.told == {3: DOWN}
    assert (told.up.loss.hits, told.up.loss.of) == (0, 4)
    assert (told.down.loss.hits, told.down.loss.of) == (1, 4)


def test_some_of_both_is_a_count_and_no_guess() -> None:
    """3, 4 and 5 are missing and one number: two were lost up, one down, which is not said."""
    told = ways(recorded(6, (1, 0), (2, 1), (6, 3)))
    assert told.told == {}
    assert (told.lost_up, told.lost_down, told.lost_unknown) == (2, 1, 0)


@pytest.mark.parametrize(("number", "way"), [(0, UP), (1, DOWN)])
def test_the_first_is_lost(number: int, way: Direction) -> None:
    """The server's first reply has number 0: that tells where the first probe was lost."""
    assert ways(recorded(3, (2, number), (3, number + 1))).told == {1: way}


def test_after_the_last_reply_nothing_is_known() -> None:
    """A tail that is lost may be lost either way, and is no part of either share."""
    told = ways(recorded(10, (1, 0), (2, 1), (3, 2)))
    assert told.told == {}
    assert (told.lost_up, told.lost_down, told.lost_unknown) == (0, 0, 7)
    assert (told.up.loss.of, told.down.loss.of) == (3, 3)


def test_copies_of_requests_and_of_replies() -> None:
    """Probe 2 is answered as 1 and 2: copied up. Number 4 comes twice: copied down."""
    told = ways(recorded(4, (1, 0), (2, 1), (2, 2), (3, 3), (4, 4), (4, 4)))
    assert (told.up.duplicates, told.down.duplicates) == (1, 1)
    assert (told.up.loss.hits, told.down.loss.hits) == (0, 0)


def test_the_first_probe_copied() -> None:
    """A copy of probe 1 takes number 1 and leaves no hole."""
    told = ways(recorded(3, (1, 0), (1, 1), (2, 2), (3, 3)))
    assert (told.up.duplicates, told.down.duplicates, told.down.loss.hits) == (1, 0, 0)


def test_overtaking_up_and_down() -> None:
    """Order there 1 3 4 2: one reordered by extent 2. Order here of numbers 0 2 1 3: one, by 1."""
    up = ways(recorded(4, (1, 0), (3, 1), (4, 2), (2, 3)))
    assert (up.up.reordering.reordered, up.up.reordering.max_extent) == (1, 2)
    assert up.down.reordering.reordered == 0
    down = ways(recorded(4, (1, 0), (3, 2), (2, 1), (4, 3)))
    assert (down.down.reordering.reordered, down.down.reordering.max_extent) == (1, 1)
    assert (down.up.reordering.reordered, down.down.reordering.of) == (0, 4)


def test_the_servers_number_wraps() -> None:
    """From 2^32 - 2 to 1: one hole among five, and no known way for what came before."""
    top = 2**32
    told = ways(recorded(7, (2, top - 2), (3, top - 1), (5, 1), (7, 2)))
    assert told.told == {4: DOWN, 6: UP}
    assert told.lost_unknown == 1
    assert (told.down.loss.hits, told.down.loss.of) == (1, 5)


def test_numbers_that_arrive_in_disorder_around_the_wrap() -> None:
    """0 before 2^32 - 1 is one that was overtaken, and no jump of four thousand millions."""
    top = 2**32
    told = ways(recorded(4, (1, top - 2), (3, 0), (2, top - 1), (4, 1)))
    assert (told.down.loss.hits, told.down.loss.of) == (0, 4)
    assert told.down.reordering.reordered == 1


def test_a_hole_next_to_nothing_missing_leaves_a_doubt() -> None:
    """3 and 7 are missing and one number is far from both: a count, not a verdict."""
    told = ways(recorded(9, (1, 0), (2, 1), (4, 2), (5, 4), (6, 5), (8, 6), (9, 7)))
    assert told.told == {}
    assert (told.lost_up, told.lost_down) == (1, 1)


def test_overtaking_next_to_a_loss() -> None:
    """There 4 6 7 5 8, the reply to 7 lost, and 10 lost up: each is told where it was lost."""
    came = ((1, 0), (2, 1), (3, 2), (4, 3), (6, 4), (5, 6), (8, 7), (9, 8), (11, 9))
    later = tuple((seq, seq - 2) for seq in range(12, 51))
    for count, replies in ((11, came), (50, came + later)):
        assert ways(recorded(count, *replies)).told == {7: DOWN, 10: UP}


def test_the_reply_to_a_copy_is_no_hole() -> None:
    """Numbers 0 and 1 are both for probe 1, so none is missing for 2: it was lost up."""
    assert ways(recorded(3, (1, 0), (1, 1), (3, 2))).told == {2: UP}


def test_a_server_that_has_known_us_for_longer() -> None:
    """It begins at 3 and nothing is missing before: that is no loss of three replies."""
    told = ways(recorded(9, (1, 3), (2, 4), (4, 5)))
    assert (told.down.loss.hits, told.down.loss.of) == (0, 3)
    assert told.told == {3: UP}


def test_a_copy_whose_reply_is_lost_is_no_lost_probe() -> None:
    """Requests are copied here: a number missing between 2 and 4 answers no missing probe."""
    told = ways(recorded(5, (1, 0), (1, 1), (2, 2), (3, 4), (5, 5)))
    assert told.told == {4: UP}
    assert (told.down.loss.hits, told.down.loss.of) == (1, 6)


def test_a_server_that_begins_anew() -> None:
    """Number 0 again, for a probe that left after 2 had come: no direction is told."""
    trace = sent(5)
    through(trace, once(), once())
    for reply in (3, 4):
        object.__setattr__(trace.replies[reply], "number", reply - 3)
    told = analyse(trace)
    assert told.directions is None
    assert "anew" in told.why_no_directions


def test_numbers_that_cannot_be_a_count() -> None:
    """A server whose numbers are chance is not taken at its word."""
    told = analyse(recorded(3, (1, 5), (2, 2_000_000), (3, 3_000_000_000)))
    assert told.directions is None


def test_a_stateless_server_tells_no_direction() -> None:
    """Without a count of its own there is a round trip only, and the reason is said."""
    trace = recorded(2, (1, 0))
    trace.stateful = False
    told = analyse(trace)
    assert (told.directions, told.why_no_directions) == (
        None,
        "the server is not seen to count its replies",
    )


@pytest.mark.parametrize(("copies", "few"), [(0, 0.015), (0.05, 0.025)])
def test_what_is_told_is_hardly_ever_wrong(copies: float, few: float) -> None:
    """Overtaking, 10 % lost each way, and copies: what is in doubt is counted, not guessed."""
    told = wrong = 0
    for seed in range(40):
        chance, trace = Random(seed), sent(200)

        def way(_: int, chance: Random = chance) -> tuple[float, ...]:
            if chance.random() < 0.1:
                return ()
            return tuple(25 * chance.random() for _ in range(1 + (chance.random() < copies)))

        truth = through(trace, way, way)
        for seq, where in ways(trace).told.items():
            told += 1
            wrong += (seq in truth.lost_up) != (where is UP)
    assert told > 200
    assert wrong <= few * told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 0.05, 0.3]), st.sampled_from([0, 0.05, 0.3]))
def test_against_a_path_that_is_known(seed: int, up: float, down: float) -> None:
    """In order and without copies: both counts are exact, and what is certain is true."""
    chance, trace = Random(seed), sent(200)
    truth = through(
        trace,
        lambda _: () if chance.random() < up else (1,),
        lambda _: () if chance.random() < down else (1,),
    )
    told = ways(trace)
    last = max(reply.seq for reply in trace.replies)
    assert told.lost_up == sum(seq <= last for seq in truth.lost_up)
    assert all((seq in truth.lost_up) == (way is UP) for seq, way in told.told.items())
