"""Where `netlab ping` prints: a terminal has a line at its bottom that moves; a pipe has not.

    37/100  2 lost  rtt 0.213 ms  ▂▂▁▂×▃█▂▂

One sign for each of the last probes, as high as its round trip between the shortest and the
longest shown; × is one without a reply. Where a terminal's encoding has no blocks, the signs are
``_.-~=+*#`` and ``x``.
"""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Callable
from typing import TextIO

from netlabsvc.udp.report import ASCII, BLOCKS, sparkline

#: The line is drawn anew no more often: more is seen by nobody, and costs time.
PAUSE_S = 0.05
MOST_SIGNS = 60
_CLEAR = "\r\x1b[K"


class Pipe:
    """Lines, each at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def line(self, text: str) -> None:
        """Print a line, or more."""
        print(text, file=self._stream, flush=True)

    def note(self, count: int, seq: int, rtt_ns: int | None) -> None:
        """A probe has got its first reply, or None."""

    def close(self) -> None:
        """No more notes."""


class Terminal(Pipe):
    """Lines above one that moves.

    :param now_s: when to draw is told by it.
    """

    def __init__(self, stream: TextIO, now_s: Callable[[], float]) -> None:
        super().__init__(stream)
        self._now_s = now_s
        self._rtts_ns: deque[int | None] = deque(maxlen=MOST_SIGNS)
        self._signs = BLOCKS if _shows(stream, BLOCKS) else ASCII
        self._text, self._lost, self._drawn_s = "", set[int](), -PAUSE_S

    def line(self, text: str) -> None:
        """Print a line above the one that moves."""
        self._stream.write((_CLEAR if self._text else "") + text + "\n" + self._text)
        self._stream.flush()

    def note(self, count: int, seq: int, rtt_ns: int | None) -> None:
        """Show one more, unless too little time has passed."""
        if rtt_ns is None:
            self._lost.add(seq)
        else:
            self._lost.discard(seq)
        self._rtts_ns.append(rtt_ns)
        if self._now_s() - self._drawn_s >= PAUSE_S:
            self._drawn_s = self._now_s()
            self._text = self._progress(count, seq, rtt_ns)
            self._stream.write(_CLEAR + self._text)
            self._stream.flush()

    def _progress(self, count: int, seq: int, rtt_ns: int | None) -> str:
        rtt = "" if rtt_ns is None else f"  rtt {rtt_ns / 1e6:.3f} ms"
        head = f"{seq}/{count}  {len(self._lost)} lost{rtt}  "
        columns = shutil.get_terminal_size().columns - 1
        line = sparkline(list(self._rtts_ns), columns - len(head), self._signs)
        return (head + line)[:columns]

    def close(self) -> None:
        """Take the moving line away."""
        if self._text:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._text = ""


def _shows(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def screen(stream: TextIO, now_s: Callable[[], float]) -> Pipe:
    """What a stream is: a terminal that can move its cursor, or something that cannot."""
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return Terminal(stream, now_s)
    return Pipe(stream)
