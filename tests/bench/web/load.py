"""The loads: wrk for many small requests, and downloads whose bytes the kernel throws away.

Run as a program it downloads until it is ended, and prints a line for each time:
``python -m tests.bench.web.load PORT TARGET``.
"""

from __future__ import annotations

import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .servers import LOAD_CPU

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SUMMARY = re.compile(r"summary\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)")
_AT_ONCE_BYTES = 4 << 20


@dataclass(frozen=True)
class Rate:
    """:ivar failed: requests without a good answer."""

    requests: int
    seconds: float
    failed: int

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds


def wrk(port: int, target: str, connections: int, seconds: int) -> Rate:
    """Ask for one target over some connections, as fast as answers come."""
    script = str(Path(__file__).with_name("summary.lua"))
    line = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script]
    url = f"http://127.0.0.1:{port}{target}"
    done = subprocess.run(
        ["taskset", "-c", LOAD_CPU, *line, url], capture_output=True, text=True, check=True
    )
    found = _SUMMARY.search(done.stdout)
    assert found, done.stdout
    requests, _, microseconds, failed = map(int, found.groups())
    return Rate(requests, microseconds / 1e6, failed)


class Download:
    """One connection that fetches a target again and again."""

    def __init__(self, port: int, target: str, *headers: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        lines = [f"GET {target} HTTP/1.1", "Host: bench.lab", *headers, "", ""]
        self._request = "\r\n".join(lines).encode("ascii")
        self._room = bytearray(_AT_ONCE_BYTES)
        self.whole = 0
        self.body_bytes = 0
        self._left = 0

    def ask(self) -> None:
        """Send the request and read the head of the answer."""
        self.sock.sendall(self._request)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.sock.recv(1) or b"\r\n\r\n"
        found = _LENGTH.search(head)
        assert head.startswith(b"HTTP/1.1 20"), head
        assert found, head
        self._left = int(found[1])

    def take(self) -> bool:
        """Take what is there of the body; True when that was the last of it.

        :raises ConnectionError: the server ended before that.
        """
        most = min(self._left, _AT_ONCE_BYTES)
        count = self.sock.recv_into(self._room, most, socket.MSG_TRUNC)
        if not count:
            raise ConnectionError(f"{self._left} bytes are missing")
        self._left -= count
        self.body_bytes += count
        self.whole += not self._left
        return not self._left


def fetch(port: int, target: str, *headers: str) -> int:
    """One download; the bytes of its body."""
    download = Download(port, target, *headers)
    with download.sock:
        download.ask()
        while not download.take():
            pass
        return download.body_bytes


def downloads(port: int, target: str, connections: int, seconds: float) -> float:
    """Bytes per second of bodies over some connections at once."""
    with on_the_load_cpu():
        return _rate([Download(port, target) for _ in range(connections)], seconds)


@contextmanager
def on_the_load_cpu() -> Iterator[None]:
    """Where there are two CPUs this process leaves the server's alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CPU)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _rate(some: Iterable[Download], seconds: float) -> float:
    epoll, by_descriptor = select.epoll(), {download.sock.fileno(): download for download in some}
    for descriptor, download in by_descriptor.items():
        download.ask()
        epoll.register(descriptor, select.EPOLLIN)
    begin_s = time.monotonic()
    while (now_s := time.monotonic()) < begin_s + seconds:
        for descriptor, _ in epoll.poll(1):
            if by_descriptor[descriptor].take():
                by_descriptor[descriptor].ask()
    total = sum(download.body_bytes for download in by_descriptor.values())
    for download in by_descriptor.values():
        download.sock.close()
    epoll.close()
    return total / (now_s - begin_s)


if __name__ == "__main__":
    while True:
        print(fetch(int(sys.argv[1]), sys.argv[2]), flush=True)
