"""The keys of [web]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netlabsvc import state
from netlabsvc.keys import PORTS, key
from netlabsvc.web import access, hosts, policy
from netlabsvc.web.hosts import Host
from netlabsvc.web.policy import Policy


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
    hosts: Mapping[str, Host] = key(
        {}, "other directories for other names in the URL", names=hosts.read_name, live=True
    )
    prefix: str = key(
        "", "path below which the site lies, behind a proxy", read=policy.read_prefix, live=True
    )
    listing: bool = key(True, "list a directory that has no index.html", live=True)
    hidden: bool = key(False, "serve dotfiles, too", live=True)
    symlinks: str = key(
        "refuse",
        "symbolic links: refuse, follow those that stay inside, or follow all",
        one_of=("refuse", "inside", "follow"),
        live=True,
    )
    headers: tuple[str, ...] = key(
        (), "headers of every answer", read=policy.read_headers, live=True
    )
    cache_control: Mapping[str, str] = key(
        {},
        "Cache-Control by extension",
        names=policy.read_extension,
        read=policy.read_directives,
        live=True,
    )
    cors: bool = key(False, "let pages from everywhere read the files", live=True)
    hsts: int | None = key(
        None,
        "how long a browser shall use TLS only; said over TLS",
        unit="s",
        bounds=(0, 63_072_000),
        live=True,
    )
    access_log: str = key(
        "combined", "the form of the access log", one_of=access.FORMS, flag="access-log", live=True
    )
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

    def added(self) -> Policy:
        """What these settings add to answers."""
        return Policy(policy.headers(self.headers), self.cache_control, self.hsts, self.cors)
