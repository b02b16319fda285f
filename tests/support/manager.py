"""A stand-in for systemd: it hears what a service tells it, and hands sockets over."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType

PATIENCE_S = 20


class NotifySocket:
    """What $NOTIFY_SOCKET names; a context manager.

    :ivar heard: the messages, each with the time it came (time.monotonic()).
    """

    def __init__(self, name: str) -> None:
        """:param name: a path, or ``@`` and the name of an abstract socket."""
        self.name = name
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(name.replace("@", "\0") if name.startswith("@") else name)
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            with self._changed:
                self.heard.append((time.monotonic(), message.decode()))
                self._changed.notify_all()

    def wait_for(self, pattern: str, start: int = 0) -> str:
        """The first message, from number `start` on, in which a pattern is found."""
        found: list[str] = []

        def look() -> bool:
            messages = (text for _, text in self.heard[start:])
            found[:] = [text for text in messages if re.search(pattern, text)][:1]
            return bool(found)

        with self._changed:
            assert self._changed.wait_for(look, PATIENCE_S), f"no {pattern!r} in {self.heard}"
        return found[0]

    def pings(self) -> list[float]:
        """When the watchdog was told that all is well."""
        return [when for when, text in self.heard if text == "WATCHDOG=1"]

    def __enter__(self) -> NotifySocket:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self._socket.getsockname())
        self._reader.join(PATIENCE_S)
        self._socket.close()


def hand_over(names: str, sockets: Sequence[socket.socket]) -> list[str]:
    """The beginning of a command that hands sockets over to the program that follows.

    :param names: as in LISTEN_FDNAMES, with colons between them.
    """
    for one in sockets:
        one.set_inheritable(True)
    numbers = ",".join(str(one.fileno()) for one in sockets)
    return [sys.executable, __file__, names, numbers]


def _become(names: str, numbers: str, *command: str) -> None:
    """Put the descriptors where systemd puts them, and become the program."""
    given = [int(number) for number in numbers.split(",")]
    high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 100) for number in given]
    for number in given:
        os.close(number)
    for place, number in enumerate(high, 3):
        os.dup2(number, place)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(given))
    os.environ["LISTEN_FDNAMES"] = names
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(*sys.argv[1:])
