"""The keys of [mail.sandbox]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc import state
from netlabsvc.keys import PORTS, key
from netlabsvc.mail.personality import PERSONALITIES


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
    tls_port: int | None = key(
        None,
        "TCP port where TLS begins at once, as on 465; 0 takes a free one",
        bounds=PORTS,
        flag="smtp-tls-port",
        excludes="tls_listen",
    )
    tls_listen: tuple[str, ...] = key((), "Twisted endpoint strings, instead of host and tls_port")
    certificate_file: str = key(
        "",
        "PEM file of the certificate for TLS, its chain behind it; empty: one is made",
        read=state.path,
    )
    key_file: str = key("", "PEM file of its key; empty: one is made", read=state.path)
    auth: str = key(
        "any",
        'who may log in: "any": everybody, with any password; "users": who is in users_file; '
        '"required": as these two, and nobody sends mail before',
        one_of=("any", "users", "required"),
        live=True,
    )
    users_file: str = key(
        "", "file of names and salted hashes (netlab inbox passwd)", read=state.path, live=True
    )
    personality: str = key(
        "open",
        "how the sandbox behaves; docs/mail.md",
        one_of=tuple(PERSONALITIES),
        flag="smtp-personality",
        live=True,
    )
    keep_mails: int = key(
        100_000,
        "mails kept, refused attempts included; the oldest go",
        bounds=(1, 10_000_000),
        live=True,
    )
    keep_bytes: int = key(
        2 << 30,
        "what they may take up together; the oldest go",
        unit="bytes",
        bounds=(1 << 20, 1 << 44),
        live=True,
    )
    keep_days: float | None = key(
        None, "how long a mail is kept", unit="days", bounds=(0.001, 36500), live=True
    )
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
