"""A client program of others, as tests run it."""

from __future__ import annotations

import os
import re
import subprocess
import threading

from support.daemon import PATIENCE_S


class Program:
    """A client program; what it prints is collected all the time."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        self.heard = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while data := os.read(self.process.stdout.fileno(), 65536):
            with self._changed:
                self.heard += data
                self._changed.notify_all()

    def say(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait_for(self, words: bytes) -> None:
        with self._changed:
            heard = self._changed.wait_for(lambda: words in self.heard, PATIENCE_S)
        assert heard, f"no {words!r} in {self.heard!r}"

    def texts(self) -> list[str]:
        """What others said, without headers."""
        return re.findall(r"^\[\d{4}-.*?\): (.*?)\r*$", self.heard.decode(), re.MULTILINE)

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._reader.join(PATIENCE_S)
