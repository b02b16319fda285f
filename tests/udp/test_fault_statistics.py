"""100 000 decisions of each model with a fixed seed, against what the model promises."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from math import erfc, log, sqrt
from random import Random
from statistics import fmean, stdev

import pytest

from netlabsvc.udp.faults import Bernoulli, Delay, GilbertElliott, Loss, Shape
from netlabsvc.udp.grammar import parse
from netlabsvc.udp.impair import Path, chance
from netlabsvc.udp.shapes import delays
from netlabsvc.udp.stages import different_bits, loses
from support.exact import binomial_p_value, ks_critical, ks_distance, rank_correlation

N = 100_000
MEAN, SPREAD = 20e6, 5e6
SHAPES: tuple[Shape, ...] = ("uniform", "normal", "lognormal", "pareto")


def losses(loss: Loss, count: int = N) -> list[bool]:
    decide = loses(loss, chance(20, "up", "loss"))
    return [decide() for _ in range(count)]


def sample(shape: Shape, correlation: float = 0.0) -> list[int]:
    delay = Delay(int(MEAN), int(SPREAD), shape, correlation)
    next_ns = delays(delay, chance(7, "up", "delay").random)
    return [next_ns() for _ in range(N)]


def below(shape: Shape, spread: float, x: float) -> float:
    """The distribution function of a shape with mean `MEAN`, from the textbooks."""
    if shape == "uniform":
        return min(1.0, max(0.0, (x - MEAN + spread) / (2 * spread)))
    if shape == "normal":
        return 0.5 * erfc((MEAN - x) / spread / sqrt(2))
    if shape == "lognormal":
        variance = log(1 + (spread / MEAN) ** 2)
        return 0.5 * erfc((log(MEAN) - variance / 2 - log(max(x, 1))) / sqrt(2 * variance))
    a = 1 + sqrt(1 + (MEAN / spread) ** 2)
    return max(0.0, 1 - float((MEAN * (a - 1) / a / max(x, 1)) ** a))


def test_bernoulli_loss_is_as_frequent_as_it_says() -> None:
    """30 % passes an exact binomial test for 30 % and fails one for 31 %."""
    hits = sum(losses(Bernoulli(0.3)))
    assert binomial_p_value(hits, N, 0.30) > 0.001
    assert binomial_p_value(hits, N, 0.31) < 0.001


def test_bernoulli_losses_do_not_cling_together() -> None:
    """After a loss the next one is as likely as ever."""
    lost = losses(Bernoulli(0.3))
    after = [second for first, second in pairwise(lost) if first]
    assert binomial_p_value(sum(after), len(after), 0.3) > 0.001


def ends(lost: list[bool], length: int) -> tuple[int, int]:
    """Of the runs of loss that reach a length, how many end there; and how many there are."""
    runs = [len(list(run)) for kind, run in groupby(lost) if kind]
    return runs.count(length), sum(run >= length for run in runs)


def test_gilbert_elliott_runs_are_geometric() -> None:
    """However long a run of loss has been, it ends with probability r; Bernoulli's do not."""
    lost = losses(GilbertElliott(p=0.05, r=0.2))
    for length in range(1, 9):
        assert binomial_p_value(*ends(lost, length), 0.2) > 0.001
    same_share = losses(Bernoulli(GilbertElliott(p=0.05, r=0.2).stationary))
    assert binomial_p_value(*ends(same_share, 1), 0.2) < 0.001


def test_gilbert_elliott_gaps_are_geometric() -> None:
    """However long nothing was lost, a run begins with probability p."""
    kept = [not lost for lost in losses(GilbertElliott(p=0.05, r=0.2))]
    for length in range(1, 9):
        assert binomial_p_value(*ends(kept, length), 0.05) > 0.001


@pytest.mark.parametrize(
    "loss",
    [GilbertElliott(0.05, 0.2), GilbertElliott(0.1, 0.3, h=0.4, k=0.98), GilbertElliott(0.5, 0.9)],
)
def test_gilbert_elliott_loses_its_stationary_share(loss: GilbertElliott) -> None:
    """pB (1-h) + pG (1-k) in the long run, within 3.3 standard deviations of a chain."""
    share = loss.stationary
    bad = loss.p / (loss.p + loss.r)
    memory = 1 - loss.p - loss.r
    between = bad * (1 - bad) * (loss.k - loss.h) ** 2
    variance = share * (1 - share) + 2 * between * memory / (1 - memory)
    assert abs(sum(losses(loss)) / N - share) < 3.3 * sqrt(variance / N)


@pytest.mark.parametrize("shape", SHAPES)
def test_delays_have_the_shape_they_are_named_for(shape: Shape) -> None:
    """Kolmogorov-Smirnov passes, and fails against all other shapes and a tenth more spread."""
    drawn = sample(shape)
    assert ks_distance(drawn, lambda x: below(shape, SPREAD, x)) < ks_critical(N)
    assert ks_distance(drawn, lambda x: below(shape, 1.1 * SPREAD, x)) > ks_critical(N)
    for other in set(SHAPES) - {shape}:
        assert ks_distance(drawn, lambda x, o=other: below(o, SPREAD, x)) > ks_critical(N)  # type: ignore[misc]


@pytest.mark.parametrize("shape", SHAPES)
def test_delays_have_the_mean_and_the_spread_they_are_given(shape: Shape) -> None:
    """The spread is half the width (uniform) or the standard deviation (all others)."""
    drawn = sample(shape)
    deviation = SPREAD / sqrt(3) if shape == "uniform" else SPREAD
    assert abs(fmean(drawn) - MEAN) < 3.3 * deviation / sqrt(N)
    # The fourth moment of this pareto (a = 5.1) is barely finite: its sample deviation wavers.
    assert stdev(drawn) == pytest.approx(deviation, rel=0.1 if shape == "pareto" else 0.015)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("correlation", [0.0, 0.25, 0.5, 0.9])
def test_neighbours_are_correlated_as_they_say(shape: Shape, correlation: float) -> None:
    """The lag-1 rank correlation is the one asked for, for every shape."""
    drawn = sample(shape, correlation)
    assert abs(rank_correlation(drawn[1:], drawn[:-1]) - correlation) < 4 / sqrt(N)


@pytest.mark.parametrize("shape", SHAPES)
def test_correlation_leaves_the_shape_as_it_is(shape: Shape) -> None:
    """Kolmogorov-Smirnov, for as many independent values as correlated ones are worth."""
    worth = N * (1 - 0.5) / (1 + 0.55)
    drawn = sample(shape, 0.5)
    assert ks_distance(drawn, lambda x: below(shape, SPREAD, x)) < ks_critical(worth)


@pytest.mark.parametrize(
    ("text", "stage", "verdict", "share"),
    [
        ("up loss=10%", "loss", "lost", 0.1),
        ("up corrupt=2%", "corrupt", "corrupted", 0.02),
        ("up dup=2%", "duplicate", "duplicated", 0.02),
        ("up reorder=5%:10ms", "reorder", "held-back", 0.05),
    ],
)
def test_shares_are_as_frequent_as_they_say(
    text: str, stage: str, verdict: str, share: float
) -> None:
    """Each passes an exact binomial test for its share."""
    seen: Counter[tuple[str, str]] = Counter()
    path = Path("up", parse(text).up, 5, record=lambda d: seen.update([(d.stage, d.verdict)]))
    for number in range(N):
        path.pass_through(number, number, b"x")
    assert binomial_p_value(seen[stage, verdict], N, share) > 0.001


def test_every_bit_is_turned_over_as_often_as_any_other() -> None:
    """3 of 16: always 3 different ones, and each in 3/16 of all packets."""
    draw = chance(6, "up", "corrupt").random
    chosen = [different_bits([draw(), draw(), draw()], 16) for _ in range(20_000)]
    assert {len(set(bits)) for bits in chosen} == {3}
    seen = Counter(bit for bits in chosen for bit in bits)
    assert sorted(seen) == [*range(16)]
    assert all(binomial_p_value(hits, 20_000, 3 / 16) > 0.001 / 16 for hits in seen.values())


def test_no_window_holds_more_than_the_rate() -> None:
    """Between any two departures at most rate times time leaves, to the nanosecond."""
    arrivals, sizes = Random(1), Random(2)
    path = Path("up", parse("up rate=3333333bit/s queue=40").up, 1)
    now_ns, bits, left = 0, 0, []
    for number in range(N):
        now_ns += int(arrivals.expovariate(1 / 430_000))
        datagram = bytes(sizes.randrange(300))
        for delay_ns, _ in path.pass_through(now_ns, number, datagram):
            bits += 8 * (len(datagram) + 28)
            left.append((now_ns + delay_ns, bits))
    assert len(left) < N  # the queue was full at times
    # What has left beyond the rate, in bits times 10^9; a nanosecond is the rounding.
    beyond = [bits * 10**9 - at_ns * 3_333_333 for at_ns, bits in left]
    least = beyond[0]
    for excess in beyond[1:]:
        assert excess - least <= 3_333_333
        least = min(least, excess)
