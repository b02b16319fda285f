"""The keys of [web]."""

from __future__ import annotations

from dataclasses import dataclass

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
    root: str = key("", "directory that is served; empty: the packaged site", flag="www", live=True)
    listing: bool = key(True, "list a directory that has no index.html", live=True)
    max_connections: int = key(
        1000, "connections at one time; more get a 503", bounds=(1, 100_000), live=True
    )
