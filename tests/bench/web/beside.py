"""The chat of a daemon that is busy with a download.

The daemon has a CPU. Those who talk share the other with the one who downloads, who gets what they
leave (SCHED_IDLE): how long clients wait for each other is not what is asked. How long both sides
had no CPU, because others used the machine, is told beside the ages.

The file is a real one, in memory or on the disk alone. A hole of a sparse file would be neither:
its zeros are made while they are sent.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ..chat import steady
from ..chat.crowd import Crowd
from ..chat.servers import Netlab
from ..process import free_port, waited_by
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


class Beside(Enum):
    """What goes on beside the talk."""

    NOTHING = "nothing"
    WARM = "a download, from memory"
    COLD = "a download, from the disk at first"


@dataclass(frozen=True)
class Talk:
    """:ivar downloads: how often the whole file was fetched meanwhile.
    :ivar waited_s: how long the daemon had no CPU, though it could run.
    :ivar late_s: the same of those who talk.
    """

    ages: steady.Ages
    downloads: int
    waited_s: float
    late_s: float


def write(root: Path) -> None:
    """Make the file that is downloaded, on the disk."""
    with (root / TARGET[1:]).open("wb") as file:
        for _ in range(SIZE_BYTES // 10_000_000):
            file.write(bytes(10_000_000))
        file.flush()
        os.fsync(file.fileno())


def _place(root: Path, beside: Beside) -> None:
    """Have the file in memory, or not."""
    with (root / TARGET[1:]).open("rb", buffering=0) as file:
        if beside is Beside.COLD:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while beside is Beside.WARM and file.read(10_000_000):
            pass


def talk(root: Path, directory: Path, seconds: float, beside: Beside) -> Talk:
    """Let the crowd talk while the file is downloaded again and again, or is not."""
    settings = {"NETLAB_CHAT_RATE": "off"}
    server = Both("netlab", settings=settings, root=root, web_port=free_port())
    pace = steady.Pace(seconds=seconds)
    _place(root, beside)
    process, port = server.start(directory)
    with on_the_load_cpu(), process, Crowd(server, port) as crowd:
        clients = crowd.join(pace.readers + pace.speakers)
        crowd.settle()
        process.wait_until_it_rests()
        waited_s, late_s = process.waited_s(), waited_by(os.getpid())
        line = [sys.executable, "-m", "tests.bench.web.load", str(server.web_port), TARGET]
        if beside is Beside.NOTHING:
            line = ["true"]
        with subprocess.Popen(["chrt", "--idle", "0", *line], stdout=subprocess.PIPE) as download:
            ages = steady.talk(crowd, clients, pace)
            download.terminate()
            said, _ = download.communicate()
        waited_s, late_s = process.waited_s() - waited_s, waited_by(os.getpid()) - late_s
        return Talk(ages, said.count(b"\n"), waited_s, late_s)
