"""A clock that is wrong on purpose: what it shows at a true time.

    shown = true + offset + drift * (true - began) + step, from `step_at` after the beginning on

It knows no clock: the true time and the moment at which the fault began are arguments. All values
are whole nanoseconds; a drift is held in parts per billion, of which 1000 are one ppm.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from netlabsvc.udp.notation import Piece, decimal_text, time_ns, written_time

#: Farther off than a year a clock is not faulty but unset.
MAX_OFF_NS = 366 * 86400 * 10**9
#: 10 %; adjtimex(2) itself corrects 500 ppm at most.
MAX_DRIFT_PPB = 100_000_000


@dataclass(frozen=True)
class ClockFault:
    """How a clock is wrong.

    :param drift_ppb: how much faster than true time it goes; negative where it is slower.
    :param step_ns: how far it jumps, once, `step_at_ns` after the fault began.
    """

    offset_ns: int = 0
    drift_ppb: int = 0
    step_ns: int = 0
    step_at_ns: int = 0

    def __bool__(self) -> bool:
        return bool(self.offset_ns or self.drift_ppb or self.step_ns)

    def shown_ns(self, true_ns: int, began_ns: int) -> int:
        """What the clock shows at a true time; before it began there is no drift and no step."""
        elapsed_ns = max(0, true_ns - began_ns)
        shown = true_ns + self.offset_ns + elapsed_ns * self.drift_ppb // 10**9
        stepped = true_ns - began_ns >= self.step_at_ns
        return shown + self.step_ns if stepped else shown

    def words(self) -> dict[str, str | bool]:
        """Its words in the text form, each with its value."""
        words: dict[str, str | bool] = {}
        if self.offset_ns:
            words["offset"] = written_time(self.offset_ns)
        if self.drift_ppb:
            words["drift"] = decimal_text(Decimal(self.drift_ppb) / 1000) + "ppm"
        if self.step_ns:
            words["step"] = f"{written_time(self.step_ns)}@{written_time(self.step_at_ns)}"
        return words


def _offset(piece: Piece) -> dict[str, int]:
    return {"offset_ns": time_ns(piece, signed=True, limit_ns=MAX_OFF_NS)}


def _drift(piece: Piece) -> dict[str, int]:
    match = re.fullmatch(r"([+-]?[0-9]{1,6}(?:\.[0-9]{1,3})?)ppm", piece.text)
    if not match:
        raise piece.mistake("a drift is in millionths, with at most 3 decimals, such as 20ppm")
    drift_ppb = int(Decimal(match[1]) * 1000)
    if abs(drift_ppb) > MAX_DRIFT_PPB:
        raise piece.mistake("a drift is -100000ppm to 100000ppm")
    return {"drift_ppb": drift_ppb}


def _step(piece: Piece) -> dict[str, int]:
    size, when = piece.partition("@")
    if when is None:
        raise piece.mistake("a step needs its time: step=100ms@30s")
    return {
        "step_ns": time_ns(size, signed=True, limit_ns=MAX_OFF_NS),
        "step_at_ns": time_ns(when, limit_ns=MAX_OFF_NS),
    }


#: How the value of each word is read: as fields of a ClockFault.
WORDS: dict[str, Callable[[Piece], dict[str, int]]] = {
    "offset": _offset,
    "drift": _drift,
    "step": _step,
}
