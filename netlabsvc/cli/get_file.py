"""The file that -o names: written as the body comes, and gone on with by -C -."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Literal

from netlabsvc.cli import get_trace
from netlabsvc.cli.get_progress import Progress
from netlabsvc.web import resume
from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.response import Head


class File:
    """A download to a file. Its note stands beside it, as FILE.resume, while it is partial."""

    def __init__(self, name: str, url: str, progress: Progress | None) -> None:
        self._path = Path(name)
        self._note_path = Path(f"{name}.resume")
        self._url = url
        self._progress = progress
        self._known: resume.Note | None = None
        self._size = 0
        self._file: FileIO | None = None
        self._noted = self._complete = False

    def rest(self) -> tuple[tuple[str, str], ...]:
        """The headers that ask for what is missing; none where all is."""
        with self._errors():
            self._size = self._path.stat().st_size if self._path.is_file() else 0
            if not self._size:
                return ()
            with_note = self._note_path.is_file()
            text = self._note_path.read_text("utf-8", "replace") if with_note else ""
        self._known = resume.read(text, self._url)
        if self._known is None:
            why = f"{self._note_path} does not say which version of {self._url} it is a part of"
            get_trace.warning(f"{self._path} is fetched from the start: {why}")
            return ()
        return self._known.headers(self._size)

    def header(self, raw: bytes) -> None:
        """Headers, for -i and -I."""
        self._open("wb")
        self.write(raw)

    def open(self, head: Head) -> None:
        """The response begins. Only now is the file touched."""
        total = head.length_bytes
        found = resume.rest(head, self._known, self._size) if self._known else resume.Rest.ANEW
        self._complete = found is resume.Rest.COMPLETE
        if self._complete:
            return
        if found is resume.Rest.FOLLOWS:
            self._open("ab")
            self._noted = True
        else:
            if self._known:
                why = "it has changed, or the server sends no parts"
                get_trace.warning(f"{self._path} is fetched from the start: {why}")
            self._size = 0
            self._open("wb")
            self._write_note(head)
        if self._progress:
            self._progress.start(self._size, None if total is None else self._size + total)

    def write(self, data: bytes) -> None:
        if self._complete:
            return
        assert self._file is not None
        with self._errors():
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        self._size += len(data)
        if self._progress:
            self._progress.add(len(data))

    def finish(self) -> None:
        """All of it came."""
        self.close()
        with self._errors():
            if self._noted or self._complete:
                self._note_path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._progress:
            self._progress.stop()
        if self._file is not None:
            with self._errors():
                self._file.close()

    def hint(self) -> str:
        """What can be done with what came before a failure."""
        if not self._noted or not self._size:
            return ""
        return f"; {self._size} bytes are in {self._path}, and -C - fetches the rest"

    def _open(self, mode: Literal["wb", "ab"]) -> None:
        if self._file is None:
            with self._errors():
                # Without a buffer: what came is in the file, however this ends.
                self._file = self._path.open(mode, buffering=0)

    def _write_note(self, head: Head) -> None:
        """Say what the file is a part of. It is empty now, so no old note can be wrong of it."""
        note = resume.note(self._url, head) if head.status == 200 else None
        assert self._file is not None
        with self._errors():
            if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                return
            if note is not None:
                self._note_path.write_text(note.encode(), "utf-8")
                self._noted = True
            else:
                self._note_path.unlink(missing_ok=True)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            name = error.filename or self._path
            why = f"cannot write {name}: {error.strerror}"
            raise Failed(Status.WRITE_ERROR, why) from error
