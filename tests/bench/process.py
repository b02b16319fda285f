"""A server in a process of its own, and what it costs: /proc of Linux."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

PATIENCE_S = 20.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """A program that runs until `stop`; what it prints goes to ``output`` in its directory."""

    def __init__(
        self, command: Sequence[str], directory: Path, environ: Mapping[str, str] | None = None
    ) -> None:
        """:param environ: all of its environment beside PATH and a UTF-8 locale."""
        self.output = directory / "output"
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **(environ or {})},
            )
        self._proc = Path("/proc", str(self._process.pid))

    def wait_until_it_listens(self, port: int) -> None:
        """:raises RuntimeError: when it ends instead, or takes too long."""
        # A connection to try it would be a client, and some servers count those.
        listens = f":{port:04X} 00000000:0000 0A "
        until_s = time.monotonic() + PATIENCE_S
        while listens not in Path("/proc/net/tcp").read_text("ascii"):
            if not self.alive() or time.monotonic() > until_s:
                said = self.output.read_text("utf-8", "replace")
                raise RuntimeError(f"{self._process.args!r} does not listen on {port}:\n{said}")
            time.sleep(0.02)

    def alive(self) -> bool:
        return self._process.poll() is None

    def cpu_s(self) -> float:
        """Seconds of CPU so far, user and system; 0.0 when it is gone."""
        try:
            fields = (self._proc / "stat").read_text("ascii").rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def waited_s(self) -> float:
        """Seconds that it could have run and had no CPU: others used the machine."""
        return waited_by(self._process.pid)

    def peak_bytes(self) -> int:
        """The most memory it ever had (VmHWM)."""
        return self._status_bytes("VmHWM:")

    def resident_bytes(self) -> int:
        """The memory it has (VmRSS)."""
        return self._status_bytes("VmRSS:")

    def _status_bytes(self, key: str) -> int:
        try:
            lines = (self._proc / "status").read_text("ascii").splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)

    def wait_until_it_rests(self) -> None:
        """Wait until it uses hardly any CPU for half a second."""
        until_s = time.monotonic() + 6 * PATIENCE_S
        before_s = -1.0
        while (now_s := self.cpu_s()) - before_s > 0.02 and time.monotonic() < until_s:
            before_s = now_s
            time.sleep(0.5)

    def send_signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stop(self) -> None:
        """End it: politely, then not."""
        if self.alive():
            self.send_signal(signal.SIGTERM)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def waited_by(pid: int) -> float:
    """Seconds that the first thread of a process could have run and had no CPU."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[1]) / 1e9
    except OSError:
        return 0.0
