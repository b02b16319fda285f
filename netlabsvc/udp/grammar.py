"""The two forms in which faults are written, text and TOML, read into `faults.Faults`.

    text     = "off" / part *( ";" part )
    part     = "profile=" name                   only as the first part; what follows goes over it
             / head 1*word                       words are set apart by white space
    head     = "up" / "down" / "both" / "clock"
    word     = name "=" value / "fifo"

In TOML a head is a table, and a word a key whose value is the same text (or a number, or true).
`WORDS` says how the value of each word is read; docs/faults.md is the manual.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, get_args

from netlabsvc.udp import clockfault
from netlabsvc.udp.clockfault import ClockFault
from netlabsvc.udp.faults import (
    DEFAULT_QUEUE,
    Bernoulli,
    Corrupt,
    Delay,
    Direction,
    Every,
    Faults,
    GilbertElliott,
    Listed,
    Loss,
    Rate,
    Reorder,
    Shape,
)
from netlabsvc.udp.notation import Piece, bit_rate, count, probability, time_ns, unknown

MAX_QUEUE = 100_000
MAX_NUMBER = 10**9
MAX_BITS = 64
HEADS = {"up": ("up",), "down": ("down",), "both": ("up", "down"), "clock": ("clock",)}
# A word ends at white space, unless that stands inside its brackets.
_WORD = re.compile(r"[^\s(]*(?:\([^)]*\)?\S*)?")


def parse(text: str, profiles: Mapping[str, Faults] | None = None) -> Faults:
    """Read the text form.

    :param profiles: what ``profile=NAME`` may name.
    :raises Mistake: names column and word, and says what would be right.
    """
    draft = _Draft()
    parts = Piece(text).split(";")
    if len(parts) == 1 and parts[0].text in ("", "off"):
        return Faults()
    for index, part in enumerate(parts):
        words = _split(part)
        if not words:
            raise part.mistake("nothing stands here: a part is such as up loss=30%")
        head, value = words[0].partition("=")
        if head.text == "profile":
            if index or len(words) > 1:
                raise words[0].mistake("a profile is named alone, before the first ;")
            draft.begin_with(value, head, profiles or {})
            continue
        if words[0].text not in HEADS:
            raise _no_head(words[0])
        if len(words) == 1:
            raise words[0].mistake(f"nothing follows: such as {_EXAMPLES[words[0].text]}")
        for word in words[1:]:
            draft.add(words[0].text, *word.partition("="))
    return draft.faults()


def from_table(table: Mapping[str, object], place: Callable[[str], str] = str) -> Faults:
    """Read the TOML form, as tomllib or JSON gives it.

    :param place: names the place of a dotted key, such as ``up.loss``, for people.
    :raises Mistake: as `parse` does.
    """
    draft = _Draft()
    for head, words in table.items():
        at_head = _at(place, head, head)
        if head not in HEADS:
            raise unknown(at_head, "table", HEADS)
        if not isinstance(words, Mapping):
            raise at_head.mistake(f"this is a table, such as [{head}] with keys below it")
        for name, value in words.items():
            if value is not False:  # fifo = false
                key = _at(place, f"{head}.{name}", name)
                draft.add(head, key, _typed(key, value))
    return draft.faults()


def _at(place: Callable[[str], str], key: str, text: str) -> Piece:
    return Piece(text, place=lambda _: place(key))


def _typed(key: Piece, value: object) -> Piece | None:
    if value is True:
        return None
    if not isinstance(value, str | int | float):
        raise key.mistake('a value is a text or a number, such as "30%"')
    return replace(key, text=str(value).strip())


def _split(part: Piece) -> list[Piece]:
    found = [match.span() for match in _WORD.finditer(part.text)]
    return [part.cut(start, end) for start, end in found if end > start]


def _no_head(word: Piece) -> Exception:
    name = word.partition("=")[0].text
    if name in WORDS:
        return word.mistake(f"which way? up {word.shown}, down {word.shown} or both {word.shown}")
    if name in clockfault.WORDS:
        return word.mistake(f"whose? clock {word.shown}")
    if name == "off":
        return word.mistake("off stands alone, without any other part")
    return unknown(word, "direction", HEADS)


class _Draft:
    """The words read so far, by direction (or clock) and name: where each stood, and its value."""

    def __init__(self) -> None:
        self._words: dict[str, dict[str, tuple[Piece, Any]]] = {"up": {}, "down": {}, "clock": {}}
        self._given: set[tuple[str, str]] = set()

    def begin_with(self, value: Piece | None, head: Piece, profiles: Mapping[str, Faults]) -> None:
        """Take over the words of a profile; those that are added replace them."""
        if value is None or value.text not in profiles:
            raise unknown(value or head, "profile", sorted(profiles))
        for name, words in profiles[value.text].table().items():
            for word, text in words.items():
                place = replace(value, text=word)
                self.add(name, place, None if text is True else replace(value, text=str(text)))
        self._given.clear()

    def add(self, head: str, name: Piece, value: Piece | None) -> None:
        """Read one word for the directions that its head stands for."""
        readers: Mapping[str, Callable[[Piece], Any]]
        readers = clockfault.WORDS if head == "clock" else WORDS
        if name.text not in readers:
            raise unknown(name, "word", readers)
        if name.text == "fifo":
            if value is not None:
                raise value.mistake("fifo takes no value")
            read: Any = True
        elif value is None or not value.text:
            raise name.mistake(f"the value is missing: {name.text}={_VALUES[name.text]}")
        else:
            read = readers[name.text](value)
        for direction in HEADS[head]:
            if (direction, name.text) in self._given:
                raise name.mistake(f"stands here for the second time for {direction}")
            self._given.add((direction, name.text))
            self._words[direction][name.text] = (name, read)

    def faults(self) -> Faults:
        clock: dict[str, int] = {}
        for _, fields in self._words["clock"].values():
            clock |= fields
        if not clock.get("step_ns"):
            clock.pop("step_at_ns", None)
        up, down = _direction(self._words["up"]), _direction(self._words["down"])
        return Faults(up, down, ClockFault(**clock))


def _direction(words: dict[str, tuple[Piece, Any]]) -> Direction:
    """Put the words of one direction together; what does nothing is left out."""

    def value(name: str, otherwise: Any = None) -> Any:
        return words[name][1] if name in words else otherwise

    for name, needed in (("queue", "rate"), ("corr", "delay"), ("fifo", "delay")):
        if name in words and needed not in words:
            raise words[name][0].mistake(f"needs {needed}=, such as {needed}={_VALUES[needed]}")
    rate, delay = value("rate"), value("delay")
    if value("corr") and not delay.spread_ns:
        raise words["corr"][0].mistake("needs a delay that varies, such as delay=20ms~5ms")
    if delay:
        delay = replace(delay, correlation=value("corr", 0.0), fifo=value("fifo", False))
    return Direction(
        rate=Rate(rate, value("queue", DEFAULT_QUEUE)) if rate else None,
        loss=value("loss"),
        corrupt=value("corrupt"),
        duplicate=value("dup", 0.0),
        delay=delay if delay and (delay.mean_ns or delay.spread_ns) else None,
        reorder=value("reorder"),
    )


def _loss(piece: Piece) -> Loss | None:
    bracket = piece.text.find("(")
    if bracket < 0:
        if piece.text[:1].isalpha():
            raise unknown(piece, "loss", _MODELS)
        share = probability(piece)
        return Bernoulli(share) if share else None
    name = piece.cut(0, bracket)
    if name.text not in _MODELS:
        raise unknown(name, "loss", _MODELS)
    if not piece.text.endswith(")"):
        raise piece.mistake("the bracket is not closed: )")
    return _MODELS[name.text](piece.cut(bracket + 1, -1))


def _gilbert_elliott(inside: Piece) -> Loss:
    given: dict[str, float] = {}
    for part in inside.split(","):
        name, value = part.partition("=")
        if name.text not in ("p", "r", "h", "k"):
            raise unknown(name, "parameter", ("p", "r", "h", "k"))
        if value is None or name.text in given:
            raise part.mistake("each of p, r, h, k stands once, such as p=1%")
        given[name.text] = probability(value)
    if not {"p", "r"} <= set(given):
        raise inside.mistake("needs p (good to bad) and r (bad to good): ge(p=1%,r=20%)")
    return GilbertElliott(**given)


def _every(inside: Piece) -> Loss:
    return Every(count(inside, 1, MAX_NUMBER, "n of every(n)"))


def _listed(inside: Piece) -> Loss:
    numbers = (count(part, 1, MAX_NUMBER, "a packet's number") for part in inside.split(","))
    return Listed(tuple(sorted(set(numbers))))


_MODELS = {"ge": _gilbert_elliott, "every": _every, "list": _listed}


def _corrupt(piece: Piece) -> Corrupt | None:
    share, bits = piece.partition(":")
    number = 1
    if bits is not None:
        if not bits.text.endswith("bit"):
            raise bits.mistake("how many bits are turned over is written such as 2bit")
        number = count(bits.cut(0, -3), 1, MAX_BITS, "the number of bits")
    read = probability(share)
    return Corrupt(read, number) if read else None


def _delay(piece: Piece) -> Delay:
    times, shape = piece.partition(":")
    mean, spread = times.partition("~")
    if shape is not None and (spread is None or shape.text not in get_args(Shape)):
        if spread is None:
            raise piece.mistake("a shape needs a spread: delay=20ms~5ms:normal")
        raise unknown(shape, "shape", get_args(Shape))
    mean_ns = time_ns(mean)
    spread_ns = time_ns(spread) if spread is not None else 0
    name: Any = shape.text if shape is not None and spread_ns else "uniform"
    if name == "uniform" and spread_ns > mean_ns:
        raise piece.mistake("would be less than 0: the spread is at most the mean, or use :normal")
    if name in ("lognormal", "pareto") and not mean_ns:
        raise piece.mistake(f"a {name} delay has a mean of more than 0s")
    return Delay(mean_ns, spread_ns, name)


def _reorder(piece: Piece) -> Reorder | None:
    share, hold = piece.partition(":")
    if hold is None:
        raise piece.mistake(f"for how long are they held back? {piece.shown}:10ms")
    read, hold_ns = probability(share), time_ns(hold)
    return Reorder(read, hold_ns) if read and hold_ns else None


def _queue(piece: Piece) -> int:
    return count(piece, 0, MAX_QUEUE, "a queue")


WORDS: dict[str, Callable[[Piece], Any]] = {
    "rate": bit_rate,
    "queue": _queue,
    "loss": _loss,
    "corrupt": _corrupt,
    "dup": probability,
    "delay": _delay,
    "corr": probability,
    "fifo": bool,
    "reorder": _reorder,
}
_VALUES = {
    "rate": "1Mbit/s",
    "queue": "50",
    "loss": "30%",
    "corrupt": "1%:2bit",
    "dup": "2%",
    "delay": "20ms~5ms",
    "corr": "25%",
    "reorder": "5%:10ms",
    "offset": "5ms",
    "drift": "20ppm",
    "step": "100ms@30s",
}
_EXAMPLES = {
    **{head: f"{head} loss=30%" for head in ("up", "down", "both")},
    "clock": "clock offset=5ms",
}
