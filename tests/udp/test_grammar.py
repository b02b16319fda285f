"""Faults as text and as TOML: what is accepted, what is refused and how, and the way back."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc import toml
from netlabsvc.escape import UNSAFE
from netlabsvc.udp.clockfault import ClockFault
from netlabsvc.udp.faults import (
    Bernoulli,
    Corrupt,
    Delay,
    Direction,
    Every,
    Faults,
    GilbertElliott,
    Listed,
    Rate,
    Reorder,
    Shape,
)
from netlabsvc.udp.grammar import from_table, parse
from netlabsvc.udp.notation import Mistake

MS = 1_000_000
shares = st.floats(0, 1)
some = st.floats(0, 1, exclude_min=True)
times = st.integers(1, 120_000 * MS)
numbers = st.integers(1, 10**9)
varied: st.SearchStrategy[Shape] = st.sampled_from(["normal", "lognormal", "pareto"])
delays = st.one_of(
    st.builds(Delay, times, fifo=st.booleans()),
    st.builds(Delay, times, times, varied, shares, st.booleans()),
    st.builds(lambda m, s, c: Delay(max(m, s), min(m, s), "uniform", c), times, times, shares),
)
losses = st.one_of(
    st.builds(Bernoulli, some),
    st.builds(GilbertElliott, shares, shares, shares, shares),
    st.builds(Every, numbers),
    st.builds(Listed, st.sets(numbers, min_size=1).map(lambda n: tuple(sorted(n)))),
)
directions = st.builds(
    Direction,
    st.none() | st.builds(Rate, st.integers(1, 10**12), st.integers(0, 100_000)),
    st.none() | losses,
    st.none() | st.builds(Corrupt, some, st.integers(1, 64)),
    shares,
    st.none() | delays,
    st.none() | st.builds(Reorder, some, times),
)
off_ns = st.integers(-(10**16), 10**16)
clocks = st.builds(ClockFault, off_ns, st.integers(-(10**8), 10**8)) | st.builds(
    ClockFault, off_ns, st.just(0), off_ns.filter(bool), st.integers(0, 10**16)
)
faults = st.builds(Faults, directions, directions, clocks) | directions.map(lambda d: Faults(d, d))


@settings(deadline=None)
@given(faults)
def test_what_is_written_reads_back_as_the_same(given: Faults) -> None:
    """Text, table and TOML file, each gives equal faults."""
    assert parse(str(given)) == given
    assert from_table(given.table()) == given
    lines = [
        f"{head}.{word} = {toml.literal(value)}"
        for head, words in given.table().items()
        for word, value in words.items()
    ]
    assert from_table(tomllib.loads("\n".join(lines))) == given


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Faults()),
        ("off", Faults()),
        ("up loss=0% dup=0 delay=0s corrupt=0:2bit reorder=0%:3ms", Faults()),
        ("up loss=30%", Faults(Direction(loss=Bernoulli(0.3)))),
        (" up\tloss=.3 ", Faults(Direction(loss=Bernoulli(0.3)))),
        (
            "up loss=30% delay=20ms~5ms; down dup=2%",
            Faults(
                Direction(loss=Bernoulli(0.3), delay=Delay(20 * MS, 5 * MS)),
                Direction(duplicate=0.02),
            ),
        ),
        (
            "both delay=1.5ms; up loss=list(7, 3)",
            Faults(
                Direction(delay=Delay(1_500_000), loss=Listed((3, 7))),
                Direction(delay=Delay(1_500_000)),
            ),
        ),
        (
            "up fifo corr=25% delay=20µs~5us:normal queue=50 rate=.5kbit/s",
            Faults(Direction(Rate(500, 50), delay=Delay(20_000, 5_000, "normal", 0.25, True))),
        ),
        (
            "down loss=ge(p=1%, r=20%, k=99%) corrupt=1%:2bit reorder=5%:10ms",
            Faults(
                down=Direction(
                    loss=GilbertElliott(0.01, 0.2, k=0.99),
                    corrupt=Corrupt(0.01, 2),
                    reorder=Reorder(0.05, 10 * MS),
                )
            ),
        ),
        (
            "clock offset=-5ms drift=0.5ppm step=100ms@30s",
            Faults(clock=ClockFault(-5 * MS, 500, 100 * MS, 30_000 * MS)),
        ),
    ],
)
def test_every_word_means_what_the_manual_says(text: str, expected: Faults) -> None:
    """The words of docs/faults.md, in any order, with any white space."""
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("up loss=130%", 'column 9: "130%": a probability is 0 to 1 or 0% to 100%'),
        ("up loss=30,5%", 'column 9: "30,5%": a probability is'),
        ("up loss=nan", 'column 9: "nan": no such loss; it is one of ge, every, list'),
        ("up delay=-5ms", 'column 10: "-5ms": less than 0: take 0s to 120s'),
        ("down dup=200%", 'column 10: "200%": a probability is'),
        ("up los=3%", 'column 4: "los": no such word; did you mean "loss"?'),
        ("up loss=1%;  up  loss=2%", 'column 18: "loss": stands here for the second time for up'),
        ("both loss=1%; down loss=2%", 'column 20: "loss": stands here for the second time'),
        ("loss=30%", 'column 1: "loss=30%": which way? up loss=30%, down loss=30% or both'),
        ("offset=3ms", 'column 1: "offset=3ms": whose? clock offset=3ms'),
        ("upp loss=3%", 'column 1: "upp": no such direction; did you mean "up"?'),
        ("up loss=3%;", "column 12: nothing stands here"),
        ("off; up loss=3%", 'column 1: "off": off stands alone'),
        ("up", 'column 1: "up": nothing follows: such as up loss=30%'),
        ("up loss", 'column 4: "loss": the value is missing: loss=30%'),
        ("up loss=", 'column 4: "loss": the value is missing: loss=30%'),
        ("up delay=20", 'column 10: "20": a time needs its unit (ns, us, ms, s), such as 20ms'),
        ("up delay=1h", 'column 10: "1h": a time needs its unit'),
        ("up delay=soon", 'column 10: "soon": a time is a number with its unit'),
        ("up delay=121s", 'column 10: "121s": too long: take 0s to 120s'),
        ("up delay=0.5ns", 'column 10: "0.5ns": finer than 1ns'),
        ("up delay=20ms~5mss", 'column 15: "5mss": a time needs its unit'),
        ("up delay=20ms~30ms", 'column 10: "20ms~30ms": would be less than 0: the spread is'),
        ("up delay=0s~3ms:pareto", 'column 10: "0s~3ms:pareto": a pareto delay has a mean'),
        ("up delay=20ms:normal", 'column 10: "20ms:normal": a shape needs a spread'),
        ("up delay=20ms~5ms:norml", 'column 19: "norml": no such shape; did you mean "normal"?'),
        ("up loss=ge(p=1%", 'column 9: "ge(p=1%": the bracket is not closed'),
        ("up loss=ge(p=1%)", 'column 12: "p=1%": needs p (good to bad) and r (bad to good)'),
        ("up loss=ge(p=1%,q=3%)", 'column 17: "q": no such parameter'),
        ("up loss=ge(p=1%,p=3%)", 'column 17: "p=3%": each of p, r, h, k stands once'),
        ("up loss=every(0)", 'column 15: "0": n of every(n) is a whole number from 1'),
        ("up loss=list(3,x)", 'column 16: "x": a packet\'s number is a whole number from 1'),
        ("up loss=bursty(3)", 'column 9: "bursty": no such loss; it is one of ge, every, list'),
        (f"up loss=every({'9' * 5000})", f'column 15: "{"9" * 40}...": n of every(n) is a whole'),
        ("up rate=1mbit", 'column 9: "1mbit": a rate is a number with its unit (bit/s, kbit/s'),
        ("up rate=0bit/s", 'column 9: "0bit/s": a rate is 1bit/s to 1000Gbit/s'),
        ("up queue=5", 'column 4: "queue": needs rate=, such as rate=1Mbit/s'),
        ("up delay=3ms corr=5%", 'column 14: "corr": needs a delay that varies'),
        ("up fifo", 'column 4: "fifo": needs delay='),
        ("up delay=3ms fifo=3", 'column 19: "3": fifo takes no value'),
        ("up corrupt=1%:2", 'column 15: "2": how many bits are turned over is written such as'),
        ("up corrupt=1%:65bit", 'column 15: "65": the number of bits is a whole number from 1'),
        ("up reorder=5%", 'column 12: "5%": for how long are they held back? 5%:10ms'),
        ("clock drift=20", 'column 13: "20": a drift is in millionths'),
        ("clock drift=200000ppm", 'column 13: "200000ppm": a drift is -100000ppm to'),
        ("clock step=3ms", 'column 12: "3ms": a step needs its time: step=100ms@30s'),
        ("clock loss=3%", 'column 7: "loss": no such word; it is one of offset, drift, step'),
        ("profile=ltt; up loss=5%", 'column 9: "ltt": no such profile; did you mean "lte"?'),
        ("up loss=5%; profile=lte", 'column 13: "profile=lte": a profile is named alone'),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_would_be_right(text: str, message: str) -> None:
    """Column and word of the mistake itself, not of the part around it."""
    with pytest.raises(Mistake) as caught:
        parse(text, {"lte": Faults()})
    assert str(caught.value).startswith(message)


WORDS = [
    *("up", "down", "both", "clock", "off", "profile", "loss", "delay", "dup", "rate", "queue"),
    *("corr", "fifo", "corrupt", "reorder", "offset", "drift", "step", "ge", "every", "list"),
    *("=", ";", "~", ":", "(", ")", ",", "@", " ", "%", "ms", "s", "bit", "Mbit/s", "ppm", "20"),
    *("-", ".", "1e999", "5", "p=1%", "\n", "\x1b", "\u2028", "normal", "9" * 5000, "µ", "٣"),
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(WORDS)).map("".join))
def test_no_text_raises_anything_but_a_mistake(text: str) -> None:
    """Whatever is typed is read, or refused on one short line that is safe to show."""
    try:
        read = parse(text, {"20": Faults()})
    except Mistake as mistake:
        message = str(mistake)
    else:
        message = ""
        assert parse(str(read)) == read
    assert not UNSAFE.search(message)
    assert len(message) < 300


values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text()
)
tables = st.dictionaries(st.sampled_from(WORDS) | st.text(), values | st.lists(values, max_size=2))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(WORDS), tables | values))
def test_no_table_raises_anything_but_a_mistake(table: dict[str, object]) -> None:
    """The same for what comes from a file or over the control API."""
    try:
        read = from_table(table)
    except Mistake as mistake:
        message = str(mistake)
    else:
        message = ""
        assert from_table(read.table()) == read
    assert not UNSAFE.search(message)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("up.loss = '130%'", 'up.loss: "130%": a probability is'),
        ("up.loss = true", 'up.loss: "loss": the value is missing: loss=30%'),
        ("up.loss = [3]", 'up.loss: "loss": a value is a text or a number, such as "30%"'),
        ("up.fifo = 'yes'\nup.delay='1s'", 'up.fifo: "yes": fifo takes no value'),
        ("up = '30%'", 'up: "up": this is a table, such as [up] with keys below it'),
        ("sideways.loss = 1", 'sideways: "sideways": no such table; it is one of up, down, both'),
    ],
)
def test_a_mistake_in_a_table_names_the_key(document: str, message: str) -> None:
    """Dotted key, value, and what would be right."""
    with pytest.raises(Mistake) as caught:
        from_table(tomllib.loads(document))
    assert str(caught.value).startswith(message)


def test_numbers_and_booleans_of_toml_are_values() -> None:
    """loss = 0.3 is "30%"; fifo = false is as if it were not there."""
    read = from_table(tomllib.loads("up = {loss = 0.3, delay = '5ms', fifo = false, dup = 1e-07}"))
    assert read == Faults(Direction(loss=Bernoulli(0.3), duplicate=1e-07, delay=Delay(5 * MS)))


def test_words_go_over_a_profile() -> None:
    """A profile is a beginning: what follows replaces single words of it and adds others."""
    profiles = {"home": parse("both delay=20ms~5ms fifo; up rate=1Mbit/s queue=20")}
    assert parse("profile=home", profiles) == profiles["home"]
    read = parse("profile=home; up queue=50 loss=3%", profiles)
    words = "both delay=20ms~5ms fifo; up rate=1Mbit/s queue=50 loss=3%"
    assert read == parse(words)
