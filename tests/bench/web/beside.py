"""The chat of a daemon that is busy with a download."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..chat import steady
from ..chat.crowd import Crowd
from ..chat.servers import Netlab
from ..process import free_port

TARGET, SIZE_BYTES = "/gigabyte", 1_000_000_000


@dataclass
class Both(Netlab):
    """The daemon with its chat and its site."""

    root: Path = Path()
    web_port: int = 0

    def command(self, port: int, directory: Path) -> list[str]:
        line = super().command(port, directory)
        line[line.index("--services=chat")] = "--services=chat,web"
        return [*line, f"--http-port={self.web_port}", f"--www={self.root}"]


def talk(root: Path, directory: Path, seconds: float, *, busy: bool) -> steady.Ages:
    """How old each line was when it was heard.

    :param busy: whether the file is downloaded all the while.
    """
    settings = {"NETLAB_CHAT_RATE": "off"}
    server = Both("netlab", settings=settings, root=root, web_port=free_port())
    pace = steady.Pace(seconds=seconds)
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd:
        clients = crowd.join(pace.readers + pace.speakers)
        crowd.settle()
        process.wait_until_it_rests()
        with _download(server.web_port, busy=busy):
            return steady.talk(crowd, clients, pace)


@contextmanager
def _download(port: int, *, busy: bool) -> Iterator[None]:
    if not busy:
        yield
        return
    line = [sys.executable, "-m", "tests.bench.web.load", str(port), TARGET]
    with subprocess.Popen(line) as process:
        yield
        going = process.poll() is None
        process.terminate()
        assert going, "the download broke off"
