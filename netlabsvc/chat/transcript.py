"""Every message of the room as JSON lines, in a file that is rotated by size.

    {"ts": "2026-11-20T14:03:07.250+01:00", "event": "said", "name": "ada",
     "peer": "10.0.0.5:41766", "text": "hello"}

After a restart the room's history comes back from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from errno import EBUSY
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import IO

from netlabsvc.chat.message import Record, Said
from netlabsvc.escape import escape

FILE = "chat.jsonl"
#: How many old files are kept.
KEPT = 5
#: How much is read at first to find the history; then twice as much, and so on.
_TAIL_BYTES = 64 * 1024


class Transcript:
    """The file, open for appending."""

    def __init__(self, directory: Path, rotate_bytes: int) -> None:
        """:raises OSError: when the file cannot be written, or another daemon writes it."""
        self._path = directory / FILE
        self._rotate_bytes = rotate_bytes
        self._file = self._open()

    def history(self, most: int) -> list[Said]:
        """The last lines that were said to all, the oldest first.

        :raises OSError: when a file cannot be read.
        """
        texts: list[Said] = []
        for path in (self._path, *map(self._old, range(1, KEPT + 1))):
            if len(texts) < most and path.exists():
                texts = [*_last(path, most - len(texts)), *texts]
        return texts

    def write(self, records: Iterable[Record], now_s: float) -> None:
        """Append what was said in one turn, in one write.

        :raises OSError: when it cannot be written.
        """
        ts = datetime.fromtimestamp(now_s).astimezone().isoformat(timespec="milliseconds")
        lines = [
            json.dumps({"ts": ts, **fields}, ensure_ascii=False) + "\n" for _, fields in records
        ]
        self._file.write("".join(lines).encode("utf-8", "backslashreplace"))
        self._file.flush()
        if self._file.tell() >= self._rotate_bytes:
            self._rotate()

    def close(self) -> None:
        """What could not be written was told when it could not."""
        with suppress(OSError):
            self._file.close()

    def _open(self) -> IO[bytes]:
        file = self._path.open("ab+")
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            file.close()
            raise OSError(EBUSY, "another daemon writes it", str(self._path)) from None
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")  # a crash cut the last line
        return file

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{FILE}.{number}")

    def _rotate(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            if self._old(number).exists():
                self._old(number).replace(self._old(number + 1))
        self._path.replace(self._old(1))
        self._file.close()
        self._file = self._open()


def _last(path: Path, most: int) -> list[Said]:
    """The last lines of one file that were said to all."""
    size, tail = path.stat().st_size, _TAIL_BYTES
    while True:
        with path.open("rb") as file:
            file.seek(max(0, size - tail))
            texts = list(_said(file))
        if len(texts) >= most or tail >= size:
            return texts[-most:]
        tail *= 2


def _said(lines: Iterable[bytes]) -> Iterator[Said]:
    """What was said to all; what a crash, or somebody else, has put there is passed over."""
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["event"] in ("said", "did") and "to" not in entry:
                time_s = datetime.fromisoformat(entry["ts"]).timestamp()
                verb = ":" if entry["event"] == "said" else ""
                name, peer, text = (_shown(entry[key]) for key in ("name", "peer", "text"))
                yield Said(time_s, name, peer, (text,), verb)
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _shown(value: object) -> str:
    """:raises TypeError: when it is no text."""
    if not isinstance(value, str):
        raise TypeError
    return escape(value)
