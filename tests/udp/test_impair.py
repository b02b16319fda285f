"""The path: seeded, each stage independent of every other, and changed while it runs."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.decisions import Decision
from netlabsvc.udp.fate import Deed
from netlabsvc.udp.grammar import parse
from netlabsvc.udp.impair import Path, chance

MS = 1_000_000
ORDER = ["rate", "loss", "corrupt", "duplicate", "delay", "reorder"]
#: Each stage in the text form, as it is switched on in turn.
STAGES = {
    "rate": "rate=100kbit/s queue=3",
    "loss": "loss=30%",
    "loss in bursts": "loss=ge(p=20%,r=40%,h=10%)",
    "corrupt": "corrupt=40%:3bit",
    "duplicate": "dup=40%",
    "delay": "delay=20ms~5ms:normal",
    "correlated delay": "delay=9ms~5ms corr=80% fifo",
    "reorder": "reorder=30%:50ms",
}


def path(words: str, seed: int = 1, direction: str = "up") -> Path:
    return Path(direction, parse(f"up {words}").up, seed)


def lost(under: Path, count: int) -> list[int]:
    """The numbers, from 0, of the packets that are lost on a path."""
    return [n for n in range(count) if not under.pass_through(n * MS, n, b"%d" % n)]


def recorded(words: str, count: int = 300, deeds: dict[int, Deed] | None = None) -> list[Decision]:
    """What is decided about packets that come every 3 ms."""
    seen: list[Decision] = []
    under = Path("up", parse(f"up {words}").up, 1, record=seen.append)
    for n in range(count):
        under.pass_through(n * 3 * MS, n, b"datagram", (deeds or {}).get(n))
    return seen


def drawn(decisions: list[Decision], stage: str) -> dict[int, tuple[object, ...]]:
    """What chance decided in a stage, by packet; copies draw for themselves."""
    return {
        d.number: (d.verdict, d.drawn_ns, d.bits)
        for d in decisions
        if d.stage == stage and d.copy == 0
    }


def test_the_same_seed_loses_the_same_packets_for_ever() -> None:
    """A recorded experiment can be repeated: these numbers were drawn once and must not change."""
    assert lost(path("loss=30%"), 20) == [2, 8, 9, 10, 11, 18]
    assert lost(path("loss=30%", seed=2), 20) == [0, 3, 7, 10, 13, 16, 18, 19]
    assert lost(path("loss=ge(p=20%,r=40%)"), 20) == [4, *range(9, 17), 19]


@pytest.mark.parametrize(
    ("shape", "delays_ns"),
    [
        ("uniform", [18114064, 21480657, 22769691]),
        ("normal", [17540661, 21900518, 23809985]),
        ("lognormal", [17189727, 21306439, 23407100]),
        ("pareto", [17312103, 19735548, 21573294]),
    ],
)
def test_the_same_seed_draws_the_same_delays_for_ever(shape: str, delays_ns: list[int]) -> None:
    """To the nanosecond, in every version of Python."""
    under = path(f"delay=20ms~5ms:{shape} corr=25%")
    assert [under.pass_through(0, n, b"")[0][0] for n in range(3)] == delays_ns


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


def test_seed_direction_stage_and_reflector_each_have_their_own_stream() -> None:
    """No two of them share a generator, not even where their texts run together."""
    names = [(1, "up", "loss"), (2, "up", "loss"), (1, "down", "loss"), (1, "up", "delay")]
    streams = [chance(*name) for name in names] + [chance(1, "up", "loss", "irtt")]
    assert len({stream.random() for stream in streams}) == len(streams)
    ways = [lost(Path(way, parse("up loss=50%").up, 1), 50) for way in ("up", "down")]
    assert ways[0] != ways[1]


def stage_of(setting: str) -> str:
    return next(stage for stage in ORDER if stage in setting)


PAIRS = [(one, two) for one, two in permutations(STAGES, 2) if stage_of(one) != stage_of(two)]


@pytest.mark.parametrize(("switched", "watched"), PAIRS)
def test_no_switch_changes_what_another_stage_draws(switched: str, watched: str) -> None:
    """With one more stage on, before or behind, each packet still meets what it met before."""
    alone = drawn(recorded(STAGES[watched]), stage_of(watched))
    beside = drawn(recorded(f"{STAGES[watched]} {STAGES[switched]}"), stage_of(watched))
    assert len(beside) > 50
    assert beside == {number: alone[number] for number in beside}


@pytest.mark.parametrize(
    ("stage", "verdict", "words"),
    [
        ("loss", "lost", "loss={}"),
        ("corrupt", "corrupted", "corrupt={}:3bit"),
        ("duplicate", "duplicated", "dup={}"),
        ("reorder", "held-back", "reorder={}:5ms"),
    ],
)
def test_a_larger_share_hits_the_same_packets_and_more(
    stage: str, verdict: str, words: str
) -> None:
    """Every packet takes the same number of draws, whether it is hit or not."""
    few, many = (
        {n for n, (what, *_) in drawn(recorded(words.format(p)), stage).items() if what == verdict}
        for p in ("10%", "30%")
    )
    assert few < many


def test_a_scripted_packet_does_not_change_what_the_others_draw() -> None:
    """Whatever the script does to the 5th packet, the random stages treat the rest as before."""
    words = " ".join(STAGES[stage] for stage in ORDER[1:])
    before = recorded(words)
    for deed in (Deed("drop"), Deed("corrupt"), Deed("duplicate"), Deed("delay", 7)):
        after = recorded(words, deeds={5: deed})
        for stage in ORDER[1:]:
            met = drawn(before, stage)
            met.pop(5, None)
            assert drawn(after, stage) == met
        assert [d.stage for d in after if d.number == 5] == ["fate"]


@settings(deadline=None)
@given(st.integers(), st.integers(0, 10**12), st.sampled_from(list(STAGES.values())))
def test_the_same_seed_and_arrivals_decide_the_same(seed: int, now_ns: int, words: str) -> None:
    """Two paths with one seed give the same packets; one that records gives them too."""
    seen: list[Decision] = []
    faults = parse(f"up {words}").up
    one, two = Path("up", faults, seed), Path("up", faults, seed, record=seen.append)
    for n in range(20):
        assert one.pass_through(now_ns + n, n, b"ab") == two.pass_through(now_ns + n, n, b"ab")
    assert {d.number for d in seen} == set(range(20))


def test_stages_stand_in_their_order() -> None:
    """A packet meets rate, loss, corrupt, duplicate, delay, reorder; its delays add up."""
    words = "reorder=100%:1ms delay=5ms dup=100% corrupt=100% loss=0.0001% rate=1Mbit/s"
    seen = recorded(words, count=1)
    assert [d.stage for d in seen if not d.copy] == ORDER
    assert [d.stage for d in seen if d.copy] == ["delay", "reorder"]
    [(first_ns, first), (second_ns, second)] = path(words).pass_through(0, 1, b"datagram")
    assert first_ns == second_ns == (8 + 28) * 8 * 1000 + 6 * MS
    assert first == second != b"datagram"


def test_a_path_says_what_it_does() -> None:
    """Nothing, only losing (with the same stream as the long way), or more."""
    assert path("loss=0%").idle
    assert path("loss=0%").pass_through(0, 1, b"x") == [(0, b"x")]
    assert not path("loss=1%").idle
    short = path("loss=30%").loses
    assert short is not None
    assert [n for n in range(50) if short()] == lost(path("loss=30%"), 50)
    assert path("loss=30% delay=1ms").loses is None
    assert path("dup=30%").loses is None
    assert Path("up", parse("up loss=3%").up, 1, record=print).loses is None


def test_a_change_goes_on_in_the_same_sequence() -> None:
    """Another loss is drawn from where the generator is; a stage that stays goes on whole."""
    under, draws = path("loss=every(5) rate=1Mbit/s"), chance(1, "up", "loss")
    assert lost(under, 13) == [4, 9]
    under.change(parse("up loss=every(5) dup=100%").up)
    assert lost(under, 13) == [1, 6, 11]
    for share in ("30%", "80%", "10%"):
        under.change(parse(f"up loss={share}").up)
        expected = [n for n in range(50) if draws.random() < float(share[:-1]) / 100]
        assert lost(under, 50) == expected
    under.change(parse("off").up)
    assert under.idle


@pytest.mark.parametrize(
    ("deed", "delays"),
    [
        (Deed("drop"), []),
        (Deed("deliver"), [0]),
        (Deed("duplicate"), [0, 0]),
        (Deed("delay", 1_200 * MS), [1_200 * MS]),
    ],
)
def test_a_script_has_the_last_word(deed: Deed, delays: list[int]) -> None:
    """What it says happens, exactly, whatever chance would have done."""
    under = path("loss=100% dup=100% delay=1s")
    assert under.pass_through(0, 1, b"x", deed) == [(ns, b"x") for ns in delays]


def test_a_scripted_corruption_turns_one_bit_over() -> None:
    """One bit differs, by the seed; an empty datagram has none."""
    [(delay_ns, changed)] = path("loss=0%").pass_through(0, 1, b"\0" * 8, Deed("corrupt"))
    assert (delay_ns, int.from_bytes(changed, "big").bit_count()) == (0, 1)
    assert path("loss=9%").pass_through(0, 1, b"", Deed("corrupt")) == [(0, b"")]
