"""Every message of the room as JSON lines, in a file that is rotated by size.

    {"ts": "2026-11-20T14:03:07.250+01:00", "event": "said", "name": "ada",
     "peer": "10.0.0.5:41766", "text": "hello"}

After a restart the room's history comes back from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from netlabsvc.chat.message import Record, Said

FILE = "chat.jsonl"
#: How many old files are kept.
KEPT = 5
#: The history stands in the last so many bytes, for sure: 20 lines of at most 64 KiB.
_TAIL_BYTES = 2 * 1024 * 1024


class Transcript:
    """The file, open for appending."""

    def __init__(self, directory: Path, rotate_bytes: int) -> None:
        """:raises OSError: when the file cannot be written."""
        self._path = directory / FILE
        self._rotate_bytes = rotate_bytes
        self._file = self._path.open("ab")

    def history(self, most: int) -> list[Said]:
        """The last lines that were said to all, the oldest first."""
        texts: list[Said] = []
        for path in (self._path, *map(self._old, range(1, KEPT + 1))):
            if len(texts) < most and path.exists():
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
                    texts = [*_said(file), *texts]
        return texts[-most:]

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
        self._file.close()

    def _old(self, number: int) -> Path:
        return self._path.with_name(f"{FILE}.{number}")

    def _rotate(self) -> None:
        for number in range(KEPT - 1, 0, -1):
            if self._old(number).exists():
                self._old(number).replace(self._old(number + 1))
        self._path.replace(self._old(1))
        self._file.close()
        self._file = self._path.open("ab")


def _said(lines: Iterable[bytes]) -> Iterator[Said]:
    """What was said to all; a line that was cut by a crash, or by us, is passed over."""
    for line in lines:
        try:
            entry = json.loads(line)
            if entry["event"] in ("said", "did") and "to" not in entry:
                time_s = datetime.fromisoformat(entry["ts"]).timestamp()
                verb = ":" if entry["event"] == "said" else ""
                yield Said(time_s, entry["name"], entry["peer"], (entry["text"],), verb)
        except (ValueError, KeyError, TypeError):
            continue
