"""A real daemon on free ports, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

TWISTD = Path(sys.executable).with_name("twistd")
NETLAB = Path(sys.executable).with_name("netlab")
_LISTENS = re.compile(r"(\w+) listens on \S*:(\d+)/(?:tcp|udp)")
PATIENCE_S = 20
#: What systemd and a login session would tell a daemon.
_FOREIGN = ("STATE_DIRECTORY", "NOTIFY_SOCKET", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")


class Daemon:
    """`twistd -n netlab`, its log kept line by line.

    :ivar ports: by service: ``chat``, ``udp``, ``web``, ``mail``.
    :ivar control: the socket of the control API.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        free_ports: bool = True,
        before: Sequence[str] = (),
        **environ: str,
    ) -> None:
        """:param free_ports: take free ports; else the arguments say which.
        :param before: a program that becomes the daemon; it gets what is inheritable.
        :param environ: added to the daemon's environment.
        """
        self.state_dir = directory / "state"
        self.control = self.state_dir / "control.sock"
        names = ("chat", "udp", "stamp", "irtt", "http", "smtp") if free_ports else ()
        ports = [f"--{name}-port=0" for name in names]
        command = [str(TWISTD), "-n", "--pidfile=", "netlab", f"--state-dir={self.state_dir}"]
        self.process = subprocess.Popen(
            [*before, *command, *ports, *arguments],
            cwd=directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            env={**clean_environment(), **environ},
            close_fds=not before,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait_for(r"\bready\b")
        self.ports = {m[1]: int(m[2]) for line in self.lines if (m := _LISTENS.search(line))}

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str, start: int = 0) -> str:
        """The first line of the log, from line `start` on, in which a pattern is found."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [line for line in self.lines[start:] if re.search(pattern, line)][:1]
            return bool(found) or not self._reader.is_alive()

        with self._changed:
            self._changed.wait_for(look, PATIENCE_S)
        assert found, f"no {pattern!r} in the log:\n" + "\n".join(self.lines)
        return found[0]

    def status(self, name: str) -> int:
        """A number in /proc/PID/status, such as VmRSS, in kB, or voluntary_ctxt_switches."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0])

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end; returns the status."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        status = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        log = "\n".join(self.lines)
        assert "Traceback" not in log, log


def clean_environment() -> dict[str, str]:
    """This environment without what would configure a daemon."""
    ours = ("NETLAB_", "LISTEN_", "WATCHDOG_", *_FOREIGN)
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def free_udp_port() -> int:
    """A UDP port of the loopback on which nothing listens."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
