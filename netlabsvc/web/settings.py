"""The keys of [web]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc import state
from netlabsvc.keys import PORTS, key


@dataclass(frozen=True)
class Settings:
    """What the web site can be told."""

    port: int | None = key(
        8080,
        "TCP port of the web site; 0 takes a free one",
        bounds=PORTS,
        flag="http-port",
        excludes="listen",
    )
    listen: tuple[str, ...] = key((), "Twisted endpoint strings, instead of host and port")
    root: str = key(
        "",
        "directory that is served; empty: the packaged site",
        flag="www",
        read=state.path,
        live=True,
    )
    listing: bool = key(True, "list a directory that has no index.html", live=True)
    status: str = key(
        "loopback",
        "who may read /metrics, /healthz and /readyz: only this machine, all, or off: nobody",
        one_of=("loopback", "all", "off"),
    )
    max_connections: int = key(
        1000, "connections at one time; more get a 503", bounds=(1, 100_000), live=True
    )
    memory: int = key(
        64 << 20,
        "bytes of small files that are answered from memory; 0: every file is read each time",
        unit="bytes",
        bounds=(0, 1 << 40),
        live=True,
    )
