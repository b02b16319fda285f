"""The keys of [mail.sandbox]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc.keys import PORTS, key


@dataclass(frozen=True)
class Sandbox:
    """What the mail sandbox can be told."""

    port: int | None = key(
        2525,
        "TCP port of the mail sandbox; 0 takes a free one",
        bounds=PORTS,
        flag="smtp-port",
        excludes="listen",
    )
    listen: tuple[str, ...] = key((), "Twisted endpoint strings, instead of host and port")
    max_size: int = key(
        32 * 1024 * 1024,
        "largest message accepted",
        unit="bytes",
        bounds=(1024, 1 << 30),
        live=True,
    )
    max_connections: int = key(
        1000, "connections at one time; more get a 421", bounds=(1, 100_000), live=True
    )
    idle_s: float = key(
        300.0, "longest wait for a client's next bytes", unit="s", bounds=(1, 3600), live=True
    )
    inbox: str = key(
        "loopback",
        "who may read the web inbox: only this machine, all, or off: nobody",
        one_of=("loopback", "all", "off"),
    )
    inbox_hosts: tuple[str, ...] = key(
        (), "names of this machine that a browser may use for the web inbox", live=True
    )
