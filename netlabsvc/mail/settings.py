"""The keys of [mail.sandbox] and [mail.queue]."""

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


def _server(value: object) -> str:
    """``HOST:PORT``, or nothing."""
    host, _, port = str(value).rpartition(":")
    if value and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError('takes "HOST:PORT", as "mail.example.org:587", or nothing')
    return str(value)


@dataclass(frozen=True)
class Queue:
    """What the queue of outgoing mail can be told."""

    smarthost: str = key(
        "",
        "HOST:PORT of the server that takes all queued mail; empty: none",
        read=_server,
        live=True,
    )
    tls: str = key(
        "auto",
        "TLS to the smarthost; auto: starttls where user is set, opportunistic elsewhere, "
        "off on this machine",
        one_of=("auto", "starttls", "implicit", "opportunistic", "off"),
        live=True,
    )
    ca_file: str = key(
        "", "PEM file of authorities to trust instead of the system's", read=state.path, live=True
    )
    user: str = key("", "name to log in with at the smarthost; empty: no login", live=True)
    password_file: str = key(
        "", "file whose first line is the password of user", read=state.path, live=True
    )
    mx: bool = key(
        False, "without a smarthost, deliver to the servers of the recipients' domains", live=True
    )
    mx_port: int = key(25, "their port", bounds=(1, 65535), live=True)
    resolver: str = key(
        "",
        "HOST:PORT of the DNS server that is asked; empty: the system's",
        read=_server,
        live=True,
    )
    retry_min_s: float = key(
        60.0, "shortest wait before the next attempt", unit="s", bounds=(0.05, 86400), live=True
    )
    retry_max_s: float = key(
        4 * 3600.0, "longest wait", unit="s", bounds=(0.05, 7 * 86400), live=True
    )
    expire_s: float = key(
        3 * 86400.0,
        "after so long the sender is told that it was not delivered",
        unit="s",
        bounds=(0.1, 100 * 86400),
        live=True,
    )
    concurrency: int = key(4, "connections to one host at one time", bounds=(1, 100), live=True)
