"""The faults: seeded, independent of each other, and as frequent as they say."""

from __future__ import annotations

import subprocess
import sys
from math import exp, fsum, lgamma, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.impair import Packet, Stage, chain, chance, loss


def lost(stage: Stage, count: int) -> list[int]:
    """The numbers, from 0, of the packets that a stage lost."""
    return [n for n in range(count) if not stage(0, b"%d" % n)]


def twice(now_ns: int, datagram: bytes) -> list[Packet]:
    """A stage that duplicates; the copy is 5 ns late."""
    return [(0, datagram), (5, datagram)]


def slow(now_ns: int, datagram: bytes) -> list[Packet]:
    """A stage that delays by 10 ns and writes down when a packet entered it."""
    return [(10, b"%s@%d" % (datagram, now_ns))]


def test_the_same_seed_loses_the_same_packets_for_ever() -> None:
    """A recorded experiment can be repeated: these numbers were drawn once and must not change."""
    assert lost(loss(0.3, chance(1, "up", "loss")), 20) == [2, 8, 9, 10, 11, 18]
    assert lost(loss(0.3, chance(2, "up", "loss")), 20) == [0, 3, 7, 10, 13, 16, 18, 19]


def test_another_process_draws_the_same() -> None:
    """No salted hash takes part: a process with another hash seed draws the same numbers."""
    code = "from netlabsvc.udp.impair import chance; print(chance(7, 'up', 'loss').getrandbits(64))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {b"%d\n" % chance(7, "up", "loss").getrandbits(64)}


def test_seed_direction_and_stage_each_have_their_own_stream() -> None:
    """No two of them share a generator, not even where their texts run together."""
    names = [(1, "up", "loss"), (2, "up", "loss"), (1, "down", "loss"), (1, "up", "delay")]
    assert len({chance(*name).random() for name in names}) == len(names)


@given(st.integers(), st.floats(0, 1), st.permutations([twice, slow]))
def test_other_stages_do_not_change_who_is_lost(
    seed: int, probability: float, behind: list[Stage]
) -> None:
    """Stages added behind the loss, in any order, leave its decisions as they were."""
    alone = lost(loss(probability, chance(seed, "up", "loss")), 50)
    together = lost(chain([loss(probability, chance(seed, "up", "loss")), *behind]), 50)
    assert alone == together


def test_stages_stand_one_behind_the_other() -> None:
    """Delays add up, copies go on singly, and each stage sees the time at which a packet enters."""
    assert chain([twice, slow])(100, b"x") == [(10, b"x@100"), (15, b"x@105")]
    assert chain([])(100, b"x") == [(0, b"x")]


@pytest.mark.parametrize(("probability", "expected"), [(0.0, []), (1.0, [*range(100)])])
def test_never_and_always_are_exact(probability: float, expected: list[int]) -> None:
    """0 loses nothing at all, 1 loses everything."""
    assert lost(loss(probability, chance(3, "up", "loss")), 100) == expected


def binomial_p_value(hits: int, n: int, p: float) -> float:
    """The exact two-sided test: twice the smaller of the two tails that begin at `hits`."""

    def weight(k: int) -> float:
        ways = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        return exp(ways + k * log(p) + (n - k) * log(1 - p))

    low, high = fsum(map(weight, range(hits + 1))), fsum(map(weight, range(hits, n + 1)))
    return min(1.0, 2 * min(low, high))


def test_loss_is_as_frequent_as_it_says() -> None:
    """100 000 decisions at 30 % pass an exact binomial test for 30 % and fail one for 31 %."""
    hits = len(lost(loss(0.3, chance(20, "up", "loss")), 100_000))
    assert binomial_p_value(hits, 100_000, 0.30) > 0.001
    assert binomial_p_value(hits, 100_000, 0.31) < 0.001
