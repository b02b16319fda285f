"""What a service manager is told of the daemon's life: it is ready, it stops, it still turns.

The protocol of sd_notify(3): one datagram of ``NAME=value`` lines to the Unix socket that
$NOTIFY_SOCKET names; a leading ``@`` stands for the NUL of an abstract one. Without the variable
nothing is told. It knows nothing of services: what STATUS says is its callers' affair.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

#: How long a manager that is slow to read may hold the daemon up, once for each step of its life.
PATIENCE_S = 1.0


class Notifier:
    """The manager's end of a socket. Telling it something never raises."""

    def __init__(self, environ: Mapping[str, str], reactor: Any) -> None:
        """:param environ: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked for."""
        self._environ = environ
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._heard = True
        self._pings = LoopingCall(self._tell, "WATCHDOG=1", patience_s=0)
        self._pings.clock = reactor

    def ready(self, status: str) -> None:
        """Every port listens, or what `reloading` began is done; from now on the watchdog looks.

        :param status: for people, one line; ``systemctl status`` shows it.
        """
        self._tell("READY=1", f"STATUS={status}")
        interval_s = watchdog_s(self._environ, os.getpid())
        if interval_s is not None and not self._pings.running:
            # From the reactor: a ping says that it turns. Half the time leaves room for a slow one.
            self._pings.start(interval_s / 2)

    def reloading(self) -> None:
        """The configuration is read again; `ready` must follow, whatever comes of it."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The end has begun; pings go on, because connections may."""
        self._tell("STOPPING=1", f"STATUS={status}")

    def close(self) -> None:
        """Tell nothing more by itself."""
        if self._pings.running:
            self._pings.stop()

    def _tell(self, *lines: str, patience_s: float = PATIENCE_S) -> None:
        if self._address is None:
            return
        message = "\n".join(" ".join(line.splitlines()) for line in lines)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(patience_s)
                manager.sendto(message.encode("utf-8", "replace"), self._address)
        except (OSError, ValueError) as error:  # ValueError: a NUL inside a path
            if self._heard:  # one line, not one a ping
                log.warn("$NOTIFY_SOCKET does not take {what}: {why}", what=lines[0], why=error)
            self._heard = False
        else:
            self._heard = True


def _address(name: str) -> str | None:
    """The address of a Unix socket; None where nobody listens, or on a kind that is not ours."""
    if name.startswith("@"):
        return "\0" + name[1:]
    return name if name.startswith("/") else None


def watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """After how many seconds without a ping a manager ends the process; None if it never does.

    :param pid: our own: WATCHDOG_PID says for whom the variables are (sd_watchdog_enabled(3)).
    """
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        return None
    return int(text) / 1e6
