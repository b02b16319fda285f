"""An SMTP server of a few lines that counts copies, and takes its time between dot and reply."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass
class Counted:
    """What came.

    :ivar copies: Message-IDs, in the order of their final dots, by the subject.
    :ivar waits_s: is asked how long the reply to each final dot takes.
    """

    random: Random
    slowest_s: float
    copies: dict[str, list[str]] = field(default_factory=dict)
    connections: int = 0
    port: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def take(self, message: bytes) -> float:
        """Count a copy; gives how long to wait with the reply, in seconds."""
        head = message.partition(b"\r\n\r\n")[0].decode().split("\r\n")
        named = dict(line.split(": ", 1) for line in head if ": " in line)
        with self.lock:
            self.copies.setdefault(named["Subject"], []).append(named["Message-ID"])
            return self.random.uniform(0, self.slowest_s)


class _Dialogue(socketserver.StreamRequestHandler):
    """One connection, in which everything is 250."""

    counted: Counted

    def handle(self) -> None:
        self.counted.connections += 1
        self.wfile.write(b"220 sink\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"354 go\r\n" if verb == b"DATA" else b"250 ok\r\n")
            if verb == b"DATA" and not self._take():
                return

    def _take(self) -> bool:
        lines = list(iter(self.rfile.readline, b".\r\n"))
        if lines and not lines[-1]:
            return False
        time.sleep(self.counted.take(b"".join(lines)))
        self.wfile.write(b"250 kept\r\n")
        return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A daemon that was killed resets its connections."""


@contextmanager
def counting(random: Random, slowest_s: float = 0.0) -> Iterator[Counted]:
    """The server, on a free port of 127.0.0.1."""
    counted = Counted(random, slowest_s)
    dialogue = type("Dialogue", (_Dialogue,), {"counted": counted})
    with _Server(("127.0.0.1", 0), dialogue) as server:
        counted.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield counted
        finally:
            server.shutdown()
            thread.join()
