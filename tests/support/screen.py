"""A terminal that tests look at: tmux."""

from __future__ import annotations

import re
import subprocess
import time
import uuid

from support.daemon import PATIENCE_S
from support.outside import need


class Screen:
    """A shell command on a terminal, in tmux."""

    def __init__(self, command: str) -> None:
        self._tmux, self._session = need("tmux"), f"netlab-{uuid.uuid4().hex[:8]}"
        self._run("new-session", "-d", "-s", self._session, "-x", "100", "-y", "20", command)

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [self._tmux, *words], capture_output=True, encoding="utf-8", check=True
        )
        return done.stdout

    def until(self, pattern: str) -> str:
        """What is shown, once a pattern is found there."""
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, shown := self._run("capture-pane", "-p", "-t", self._session)):
            assert time.monotonic() < end, f"no {pattern!r} on the screen:\n{shown}"
            time.sleep(0.05)
        return shown

    def type(self, text: str) -> None:
        self._run("send-keys", "-t", self._session, "-l", text)

    def press(self, key: str) -> None:
        self._run("send-keys", "-t", self._session, key)

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._run("kill-session", "-t", self._session)
