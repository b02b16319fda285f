"""How a share, a time, a rate and a count are written, and where in a text a mistake stands.

What reads faults, fate scripts and clock faults is made of these. A text is cut into `Piece`s, each
of which knows where it began, so that every `Mistake` names place, word and what would be right.
All numbers are decimal and exact: 0.1ms is 100 000 ns, and 7% is the float 0.07.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches

from netlabsvc.escape import escape

#: No stage holds a packet for longer: two minutes, the maximum segment lifetime of RFC 9293.
MAX_DELAY_NS = 120 * 10**9
MAX_BITS_PER_S = 10**12
_SHOWN = 40

_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
_QUANTITY = re.compile(_NUMBER + r"([^0-9.].*)?", re.DOTALL)
_TIMES = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_RATES = {"Gbit/s": 10**9, "Mbit/s": 10**6, "kbit/s": 10**3, "bit/s": 1}


class Mistake(ValueError):
    """What is wrong in a text: ``column 4: "loss=130%": a probability is 0 to 1 ...``."""

    def __init__(self, where: str, word: str, problem: str) -> None:
        self.where, self.word, self.problem = where, word, problem
        quoted = f'"{_short(word)}": ' if word else ""
        super().__init__(escape(f"{where}: {quoted}{problem}"))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def column(at: int) -> str:
    """The place of a character in a text of one line."""
    return f"column {at + 1}"


@dataclass(frozen=True)
class Piece:
    """A part of a text, and where it begins.

    :param at: how many characters of the text stand before it.
    :param place: names the place of a character for people.
    """

    text: str
    at: int = 0
    place: Callable[[int], str] = column

    def mistake(self, problem: str) -> Mistake:
        return Mistake(self.place(self.at), self.text, problem)

    @property
    def shown(self) -> str:
        """The text for a message, which does not grow with it."""
        return _short(self.text)

    def cut(self, start: int, end: int | None = None) -> Piece:
        """A part of this one, without white space at its ends."""
        part = self.text[start:end]
        blank = len(part) - len(part.lstrip())
        return replace(self, text=part.strip(), at=self.at + start + blank)

    def split(self, pattern: str) -> list[Piece]:
        """The pieces between the matches of a regular expression."""
        edges = [0]
        for match in re.finditer(pattern, self.text):
            edges += match.span()
        edges.append(len(self.text))
        return [self.cut(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]

    def partition(self, mark: str) -> tuple[Piece, Piece | None]:
        """What stands before a mark and what behind it, None where there is no mark."""
        found = self.text.find(mark)
        if found < 0:
            return self, None
        return self.cut(0, found), self.cut(found + len(mark))


def unknown(piece: Piece, kind: str, known: Iterable[str]) -> Mistake:
    """The mistake of a word that is none of the known ones; the nearest of them is proposed."""
    words = list(known)
    near = get_close_matches(piece.text[:_SHOWN], words, n=1)
    meant = f'did you mean "{near[0]}"?' if near else f"it is one of {', '.join(words)}"
    return piece.mistake(f"no such {kind}; {meant}" if words else f"no such {kind}")


def probability(piece: Piece) -> float:
    """Read ``0.3`` or ``30%``: 0 to 1."""
    match = _QUANTITY.fullmatch(piece.text)
    if match and match[2] in (None, "%"):
        number = Decimal(match[1]).scaleb(-2 if match[2] else 0)
        if 0 <= number <= 1:
            return float(number)
    raise piece.mistake("a probability is 0 to 1 or 0% to 100%, such as 0.3 or 30%")


def time_ns(piece: Piece, *, signed: bool = False, limit_ns: int = MAX_DELAY_NS) -> int:
    """Read ``20ms``: a number with unit (ns, us, ms, s), exact to the nanosecond."""
    match = _QUANTITY.fullmatch(piece.text.replace("µ", "u").replace("μ", "u"))
    if not match:
        raise piece.mistake("a time is a number with its unit (ns, us, ms, s), such as 20ms")
    number, unit = Decimal(match[1]), match[2] or ""
    if unit not in _TIMES and not (number == 0 and not unit):
        raise piece.mistake(f"a time needs its unit (ns, us, ms, s), such as {_short(match[1])}ms")
    if number.is_signed() and not signed:
        raise piece.mistake(f"less than 0: take 0s to {written_time(limit_ns)}")
    exact = number * _TIMES.get(unit, 1)
    if abs(exact) > limit_ns:
        low = f"-{written_time(limit_ns)}" if signed else "0s"
        raise piece.mistake(f"too long: take {low} to {written_time(limit_ns)}")
    if exact != int(exact):
        raise piece.mistake("finer than 1ns, which is the finest there is")
    return int(exact)


def bit_rate(piece: Piece) -> int:
    """Read ``1Mbit/s``: bits per second, with SI prefixes (1 kbit/s is 1000 bit/s)."""
    match = _QUANTITY.fullmatch(piece.text)
    if not match or match[2] not in _RATES:
        raise piece.mistake("a rate is a number with its unit (bit/s, kbit/s, Mbit/s, Gbit/s)")
    exact = Decimal(match[1]) * _RATES[match[2]]
    if not 1 <= exact <= MAX_BITS_PER_S or exact != int(exact):
        raise piece.mistake("a rate is 1bit/s to 1000Gbit/s, in whole bits")
    return int(exact)


def count(piece: Piece, low: int, high: int, what: str) -> int:
    """Read a whole number from `low` to `high`."""
    if re.fullmatch("[0-9]{1,10}", piece.text) and low <= int(piece.text) <= high:
        return int(piece.text)
    raise piece.mistake(f"{what} is a whole number from {low} to {high}")


def decimal_text(number: Decimal) -> str:
    """A decimal as one would write it, without exponent or idle zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def written_probability(value: float) -> str:
    """As a percentage that reads back as the same float."""
    return decimal_text(Decimal(repr(value)).scaleb(2)) + "%"


def written_time(ns: int) -> str:
    """In the largest unit of which it holds one: 1500000 is ``1.5ms``."""
    unit = next((u for u, size in _TIMES.items() if abs(ns) >= size), "s")
    return decimal_text(Decimal(ns) / _TIMES[unit]) + unit


def written_rate(bits_per_s: int) -> str:
    """In the largest unit of which it holds one: 1500000 is ``1.5Mbit/s``."""
    unit = next(u for u, size in _RATES.items() if bits_per_s >= size)
    return decimal_text(Decimal(bits_per_s) / _RATES[unit]) + unit
