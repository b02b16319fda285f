"""What can go wrong on a path, as values: checked where they are read, written back as text.

`grammar.py` reads the text form and the TOML form into them; `impair.py` makes them happen. Each
`words()` gives the words of the text form, which are the keys of the TOML form too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from netlabsvc.udp.clockfault import ClockFault
from netlabsvc.udp.notation import written_probability, written_rate, written_time

#: ``fifo`` is a word without a value; it is held as True.
Words: TypeAlias = dict[str, str | bool]
Shape: TypeAlias = Literal["uniform", "normal", "lognormal", "pareto"]

DEFAULT_QUEUE = 100


@dataclass(frozen=True)
class Rate:
    """A link of so many bits per second.

    :param queue: how many packets wait for it at most; the next one is dropped (tail drop).
    """

    bits_per_s: int
    queue: int = DEFAULT_QUEUE


@dataclass(frozen=True)
class Bernoulli:
    """Each packet is lost with the same probability, whatever befell others."""

    p: float

    def __str__(self) -> str:
        return written_probability(self.p)


@dataclass(frozen=True)
class GilbertElliott:
    """Loss in bursts: a chain of two states, good and bad; it begins in the good one.

    In the words of Gilbert (1960) and Elliott (1963), and of tc-netem:

    :param p: the probability to go from good to bad, at each packet.
    :param r: from bad to good.
    :param h: that a packet gets through in the bad state.
    :param k: that a packet gets through in the good state.
    """

    p: float
    r: float
    h: float = 0.0
    k: float = 1.0

    @property
    def stationary(self) -> float:
        """The share of packets lost in the long run: pB (1-h) + pG (1-k), pB = p / (p+r)."""
        if not self.p:  # it never leaves the good state, in which it began
            return 1 - self.k
        bad = self.p / (self.p + self.r)
        return bad * (1 - self.h) + (1 - bad) * (1 - self.k)

    def __str__(self) -> str:
        given = {"p": self.p, "r": self.r}
        given |= {"h": self.h} if self.h != 0.0 else {}
        given |= {"k": self.k} if self.k != 1.0 else {}
        inside = ",".join(f"{name}={written_probability(value)}" for name, value in given.items())
        return f"ge({inside})"


@dataclass(frozen=True)
class Every:
    """Each n-th packet is lost: the n-th, the 2n-th, ..."""

    n: int

    def __str__(self) -> str:
        return f"every({self.n})"


@dataclass(frozen=True)
class Listed:
    """The packets with these numbers are lost; the first one has the number 1."""

    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"list({','.join(map(str, self.numbers))})"


Loss: TypeAlias = Bernoulli | GilbertElliott | Every | Listed


@dataclass(frozen=True)
class Corrupt:
    """A share of packets has some different bits turned over."""

    share: float
    bits: int = 1

    def __str__(self) -> str:
        return written_probability(self.share) + (f":{self.bits}bit" if self.bits != 1 else "")


@dataclass(frozen=True)
class Delay:
    """How long packets take.

    :param spread_ns: uniform: half the width. The other shapes: the standard deviation.
    :param correlation: rank correlation (Spearman's) between one packet's delay and the next's.
    :param fifo: none overtakes another: each waits until those before it have left.
    """

    mean_ns: int
    spread_ns: int = 0
    shape: Shape = "uniform"
    correlation: float = 0.0
    fifo: bool = False

    def words(self) -> Words:
        text = written_time(self.mean_ns)
        if self.spread_ns:
            text += f"~{written_time(self.spread_ns)}"
            text += f":{self.shape}" if self.shape != "uniform" else ""
        words: Words = {"delay": text}
        if self.correlation:
            words["corr"] = written_probability(self.correlation)
        if self.fifo:
            words["fifo"] = True
        return words


@dataclass(frozen=True)
class Reorder:
    """A share of packets is held back, so that those behind them overtake."""

    share: float
    hold_ns: int

    def __str__(self) -> str:
        return f"{written_probability(self.share)}:{written_time(self.hold_ns)}"


@dataclass(frozen=True)
class Direction:
    """The faults of one direction, in the order in which a packet meets them."""

    rate: Rate | None = None
    loss: Loss | None = None
    corrupt: Corrupt | None = None
    duplicate: float = 0.0
    delay: Delay | None = None
    reorder: Reorder | None = None

    def words(self) -> Words:
        """Its words in the text form, each with its value."""
        words: Words = {}
        if self.rate:
            words["rate"] = written_rate(self.rate.bits_per_s)
            if self.rate.queue != DEFAULT_QUEUE:
                words["queue"] = str(self.rate.queue)
        if self.loss:
            words["loss"] = str(self.loss)
        if self.corrupt:
            words["corrupt"] = str(self.corrupt)
        if self.duplicate:
            words["dup"] = written_probability(self.duplicate)
        if self.delay:
            words |= self.delay.words()
        if self.reorder:
            words["reorder"] = str(self.reorder)
        return words


@dataclass(frozen=True)
class Faults:
    """All that is done to a reflector's packets and to its clock.

    :param up: what befalls requests.
    :param down: what befalls replies.
    """

    up: Direction = Direction()
    down: Direction = Direction()
    clock: ClockFault = field(default_factory=ClockFault)

    def table(self) -> dict[str, Words]:
        """The TOML form: a table for each direction, and for the clock, that has faults."""
        tables = {"up": self.up.words(), "down": self.down.words(), "clock": self.clock.words()}
        return {name: words for name, words in tables.items() if words}

    def __str__(self) -> str:
        """The text form, which reads back as the same faults; ``off`` where there are none."""
        tables = self.table()
        if tables.get("up") and tables["up"] == tables.get("down"):
            tables = {"both": tables.pop("up"), **tables}
            del tables["down"]
        return "; ".join(f"{head} {_joined(words)}" for head, words in tables.items()) or "off"


def _joined(words: Words) -> str:
    return " ".join(name if value is True else f"{name}={value}" for name, value in words.items())
