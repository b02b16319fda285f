"""How far a download is, in one line of a terminal."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TextIO

REDRAW_S = 0.1
_WIDEST_BAR = 40


class Progress:
    """Draws the line on a terminal, ten times a second at most."""

    def __init__(self, terminal: TextIO, seconds: Callable[[], float]) -> None:
        self._terminal = terminal
        self._seconds = seconds
        self._done = self._from = 0
        self._total: int | None = None
        self._start_s = self._drawn_s = 0.0
        self._open = False

    def start(self, done: int, total: int | None) -> None:
        """So much is there already, of so much."""
        self._done = self._from = done
        self._total = total
        self._start_s = self._drawn_s = self._seconds()
        self._open = True

    def add(self, count: int) -> None:
        self._done += count
        now_s = self._seconds()
        if now_s - self._drawn_s >= REDRAW_S:
            self._drawn_s = now_s
            self._draw()

    def stop(self) -> None:
        """Leave the last state on the screen."""
        if self._open:
            self._open = False
            self._draw()
            self._terminal.write("\n")
            self._terminal.flush()

    def _draw(self) -> None:
        columns = shutil.get_terminal_size().columns - 1
        lasted_s = self._seconds() - self._start_s
        text = line(self._done, self._total, self._done - self._from, lasted_s, columns)
        self._terminal.write(f"\r{text}\x1b[K")
        self._terminal.flush()


def line(done: int, total: int | None, came: int, lasted_s: float, columns: int) -> str:
    """``42% [=====>      ] 420.0 MB of 1.0 GB  120.0 MB/s  0:04 left``.

    :param done: bytes that are there; `came` of them in the last `lasted_s` seconds.
    :param total: bytes that there will be; None where nobody knows.
    """
    rate = came / lasted_s if lasted_s > 0 else 0.0
    speed = f"{size(rate)}/s" if rate else ""
    if total is None or done >= total:
        parts = [size(done), speed, f"in {clock(lasted_s)}"]
        return "  ".join(part for part in parts if part)[:columns]
    left = f"{clock((total - done) / rate)} left" if rate else ""
    share = f"{100 * done // total:3d}%"
    tail = "  ".join(part for part in (f"{size(done)} of {size(total)}", speed, left) if part)
    room = min(_WIDEST_BAR, columns - len(share) - len(tail) - 4)
    if room < 8:
        return f"{share} {tail}"[:columns]
    full = room * done // total
    bar = ("=" * full + ">").ljust(room)[:room]
    return f"{share} [{bar}] {tail}"


def size(count: float) -> str:
    """Bytes in powers of 1000, as a person reads them."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 999.95:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def clock(seconds: float) -> str:
    """``1:02:03``, ``2:03``, or tenths of a second below ten of them."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
