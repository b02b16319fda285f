"""How the daemon is: the figures of every room that runs, and whether it is ready to serve.

Rooms do not know each other: service.py hands each one's figures over, and the whole to the site.
"""

from __future__ import annotations

import os
import platform
import resource
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

import twisted
from netlabsvc import __version__
from netlabsvc.listeners import Listener
from netlabsvc.metrics import Metric, Sample, counter, gauge
from netlabsvc.pulse import Pulse


class Daemon(Protocol):
    """What is looked at.

    :ivar listeners: by the key of their port.
    :ivar stopping: whether it takes no new connections any more.
    :ivar started_s: when it started, in seconds since the Unix epoch.
    """

    @property
    def listeners(self) -> Mapping[str, list[Listener]]: ...
    @property
    def stopping(self) -> bool: ...
    @property
    def started_s(self) -> float: ...


class Health:
    """What a monitoring system wants to know of one daemon.

    :ivar sources: give the metrics of a room each.
    """

    def __init__(self, daemon: Daemon, reactor: IReactorTime) -> None:
        self.pulse = Pulse(reactor)
        self.sources: list[Callable[[], Iterable[Metric]]] = [
            _build_info,
            _process,
            self.pulse.metrics,
        ]
        self._daemon = daemon

    def metrics(self) -> Iterator[Metric]:
        """Everything there is to tell in figures."""
        yield gauge(
            "netlab_start_time_seconds",
            "When the daemon started, in seconds since the Unix epoch.",
            self._daemon.started_s,
        )
        for source in self.sources:
            yield from source()

    def unready(self) -> str | None:
        """Why the daemon is not ready to serve, if so."""
        if self._daemon.stopping:
            return "not ready: stopping"
        closed = [
            key
            for key, opened in self._daemon.listeners.items()
            if any(not _listens(one.port) for one in opened)
        ]
        return f"not ready: {', '.join(closed)} does not listen any more" if closed else None


def _listens(port: Any) -> bool:
    """What Twisted's own ports know; another's is believed."""
    return bool(getattr(port, "connected", True))


def _build_info() -> Iterator[Metric]:
    labels = (
        ("version", __version__),
        ("python", platform.python_version()),
        ("twisted", twisted.__version__),
    )
    yield Metric(
        "netlab_build_info", "gauge", "What runs; the figure is always 1.", (Sample(1, labels),)
    )


def _process() -> Iterator[Metric]:
    """The figures that Prometheus' own clients give, under the same names.

    prometheus_client reads them where ``ProcSubset=pid`` of a systemd unit hides it: /proc/stat.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield counter(
        "process_cpu_seconds_total",
        "CPU time of the process, its own and the kernel's for it.",
        usage.ru_utime + usage.ru_stime,
    )
    with suppress(OSError):  # no descriptor is left to read them with, or there is no /proc
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        yield gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in RAM.",
            pages * resource.getpagesize(),
        )
        open_fds = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - thousands of paths cost ms
        yield gauge("process_open_fds", "Open file descriptors.", open_fds)
    yield gauge(
        "process_max_fds",
        "How many file descriptors may be open.",
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
