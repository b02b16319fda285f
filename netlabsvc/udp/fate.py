"""The fate script: what happens to the n-th request of each client.

    script   = *( entry ( "," / line end ) )         # begins a comment, up to the end of its line
    entry    = numbers ":" deed
    numbers  = n / n "-" n / "every(" n ")"          the first request of a client has the number 1
    deed     = ( "drop" / "duplicate" / "corrupt" / "deliver" ) [way]
             / "delay" [way] time
    way      = "-up" / "-down"                       up, the request itself, where nothing is said

A single number goes before ranges and every(n); of these the first that fits holds. What is
scripted takes the place of the random faults of its direction for that packet, so that exactly
what is written happens; ``deliver`` spares it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from netlabsvc.udp.notation import Piece, count, time_ns, unknown, written_time

Kind: TypeAlias = Literal["drop", "duplicate", "corrupt", "deliver", "delay"]
KINDS: tuple[Kind, ...] = get_args(Kind)
WAYS = ("up", "down")
MAX_NUMBER = 10**9


@dataclass(frozen=True)
class Deed:
    """What is done to one packet."""

    kind: Kind
    delay_ns: int = 0


@dataclass(frozen=True)
class Entry:
    """A line of the script."""

    numbers: range
    way: str
    deed: Deed

    def __str__(self) -> str:
        first, last = self.numbers[0], self.numbers[-1]
        single = str(first) if first == last else f"{first}-{last}"
        numbers = single if self.numbers.step == 1 else f"every({self.numbers.step})"
        time = f" {written_time(self.deed.delay_ns)}" if self.deed.kind == "delay" else ""
        return f"{numbers}: {self.deed.kind}-{self.way}{time}"


class Script:
    """All entries, asked by number."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries
        self._single = {(e.numbers[0], e.way): e.deed for e in entries if len(e.numbers) == 1}
        self._many = {
            way: [(e.numbers, e.deed) for e in entries if e.way == way and len(e.numbers) > 1]
            for way in WAYS
        }

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Script) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __str__(self) -> str:
        """The script, which reads back as the same."""
        return ", ".join(map(str, self.entries))

    def deed(self, number: int, way: str) -> Deed | None:
        """What befalls a client's n-th request (`up`), or the reply to it (`down`); mostly None."""
        deed = self._single.get((number, way))
        if deed is None:
            for numbers, many in self._many[way]:
                if number in numbers:
                    return many
        return deed


def parse(text: str) -> Script:
    """Read a script.

    :raises Mistake: names line, column and word, and says what would be right.
    """
    entries: list[Entry] = []
    singles: set[tuple[int, str]] = set()
    for piece in _pieces(text):
        entry = _entry(piece)
        if len(entry.numbers) == 1:
            single = (entry.numbers[0], entry.way)
            if single in singles:
                raise piece.mistake(f"the fate of number {single[0]} on its way {entry.way} is set")
            singles.add(single)
        entries.append(entry)
    return Script(tuple(entries))


def _pieces(text: str) -> Iterator[Piece]:
    for number, line in enumerate(text.split("\n"), 1):
        code = line.partition("#")[0]

        def place(at: int, number: int = number) -> str:
            return f"line {number}, column {at + 1}"

        yield from (piece for piece in Piece(code, 0, place).split(",") if piece.text)


def _entry(piece: Piece) -> Entry:
    numbers, deed = piece.partition(":")
    if deed is None or not deed.text:
        raise piece.mistake("an entry is a number, a colon and what happens, such as 3: drop-up")
    words = deed.split(r"\s+")
    kind, way = words[0].partition("-")
    if kind.text not in KINDS:
        raise unknown(kind, "fate", KINDS)
    if way is not None and way.text not in WAYS:
        raise unknown(way, "way", WAYS)
    if len(words) != (2 if kind.text == "delay" else 1):
        right = "delay takes one time: delay 1200ms" if kind.text == "delay" else "takes nothing"
        raise deed.mistake(right)
    delay_ns = time_ns(words[1]) if kind.text == "delay" else 0
    read = Deed(kind.text, delay_ns)
    return Entry(_numbers(numbers), way.text if way is not None else "up", read)


def _numbers(piece: Piece) -> range:
    if every := re.fullmatch(r"every\((.*)\)", piece.text, re.DOTALL):
        step = count(piece.cut(every.start(1), every.end(1)), 2, MAX_NUMBER // 2, "n of every(n)")
        return range(step, MAX_NUMBER + 1, step)
    first, last = piece.partition("-")
    low = count(first, 1, MAX_NUMBER, "a request's number")
    high = low if last is None else count(last, low, MAX_NUMBER, "the end of a range")
    return range(low, high + 1)
