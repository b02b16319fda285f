"""The chat of a daemon that is busy with a download.

The daemon has a CPU. Those who talk share the other with the one who downloads, and go before it:
how long clients wait for each other is not what is asked.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..chat import steady
from ..chat.crowd import Crowd
from ..chat.servers import Netlab
from ..process import free_port
from .load import on_the_load_cpu
from .servers import SERVER_CPU

TARGET, SIZE_BYTES = "/gigabyte", 1_000_000_000


@dataclass
class Both(Netlab):
    """The daemon with its chat and its site."""

    root: Path = Path()
    web_port: int = 0

    def command(self, port: int, directory: Path) -> list[str]:
        line = super().command(port, directory)
        line[line.index("--services=chat")] = "--services=chat,web"
        pinned = ["taskset", "-c", SERVER_CPU, *line]
        return [*pinned, f"--http-port={self.web_port}", f"--www={self.root}"]


@dataclass(frozen=True)
class Talk:
    """:ivar downloads: how often the whole file was fetched meanwhile."""

    ages: steady.Ages
    downloads: int


def talk(root: Path, directory: Path, seconds: float, *, busy: bool) -> Talk:
    """Let the crowd talk.

    :param busy: whether the file is downloaded all the while.
    """
    settings = {"NETLAB_CHAT_RATE": "off"}
    server = Both("netlab", settings=settings, root=root, web_port=free_port())
    pace = steady.Pace(seconds=seconds)
    process, port = server.start(directory)
    with on_the_load_cpu(), process, Crowd(server, port) as crowd:
        clients = crowd.join(pace.readers + pace.speakers)
        crowd.settle()
        process.wait_until_it_rests()
        if not busy:
            return Talk(steady.talk(crowd, clients, pace), 0)
        line = [sys.executable, "-m", "tests.bench.web.load", str(server.web_port), TARGET]
        with subprocess.Popen(["nice", "-n19", *line], stdout=subprocess.PIPE) as download:
            ages = steady.talk(crowd, clients, pace)
            download.terminate()
            said, _ = download.communicate()
            return Talk(ages, said.count(b"\n"))
