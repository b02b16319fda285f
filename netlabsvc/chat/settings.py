"""The keys of [chat]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc.keys import PORTS, key


@dataclass(frozen=True)
class Settings:
    """What the chat hub can be told."""

    port: int | None = key(
        12000,
        "TCP port for nc and telnet; 0 takes a free one",
        bounds=PORTS,
        flag="chat-port",
        excludes="listen",
    )
    listen: tuple[str, ...] = key((), "Twisted endpoint strings, instead of host and port")
    max_line: int = key(2048, "longest line a client may send", unit="bytes", bounds=(80, 65536))
    max_clients: int = key(
        1000, "clients at one time", bounds=(1, 100_000), flag="chat-max-clients"
    )
    rate: float | None = key(
        10.0, "lines per second that one client may send for long", unit="1/s", bounds=(0.1, 1e6)
    )
    burst: int = key(20, "lines that one client may send at once", bounds=(1, 1_000_000))
