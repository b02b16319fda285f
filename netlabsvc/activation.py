"""Sockets that a service manager opened for the daemon, by name: sd_listen_fds(3).

The manager keeps them over a restart: who connects in between waits, and is not refused. What
serves them is the composition's affair.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from netlabsvc.config import Config
from netlabsvc.connections import host_port
from netlabsvc.listeners import StartError

#: What FileDescriptorName= may say: the service, and the key whose port the socket stands for.
NAMES = {
    "chat": ("chat", "chat.port"),
    "chat-raw": ("chat", "chat.raw_port"),
    "chat-length": ("chat", "chat.length_port"),
    "udp": ("udp", "udp.port"),
    "stamp": ("udp", "udp.stamp.port"),
    "irtt": ("udp", "udp.irtt.port"),
    "web": ("web", "web.port"),
    "smtp": ("mail", "mail.sandbox.port"),
}
#: SD_LISTEN_FDS_START: where the manager's descriptors begin.
FIRST = 3
_REMEDY = "give FileDescriptorName= in its unit a name"

#: By the key of their port.
Sockets = dict[str, list[socket.socket]]


def environment_at_start() -> Mapping[str, str]:
    """The environment that this process was started with, as the kernel keeps it.

    os.environ may lack what is asked for here: twisted.internet.endpoints takes LISTEN_FDS out of
    it when it is imported, and where the cache of plugins is missing that is before the first line
    of ours runs.
    """
    try:
        entries = Path("/proc/self/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ
    pairs = (os.fsdecode(entry).partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}


def inherited(config: Config, environ: Mapping[str, str]) -> Sockets:
    """Take over what the manager opened.

    :param environ: as it was at the start of the process.
    :raises StartError: for the first socket that no service can use; none is left open then.
    """
    taken: Sockets = {}
    try:
        for descriptor, name in _named(environ, os.getpid()):
            key = _key(name, config)
            one = _socket(descriptor, name)
            taken.setdefault(key, []).append(one)
            _check(one, name, len(taken[key]))
    except StartError:
        close(taken)
        raise
    return taken


def close(sockets: Sockets) -> None:
    """Close our descriptors; the sockets themselves live on in the manager."""
    for some in sockets.values():
        for one in some:
            one.close()


def _named(environ: Mapping[str, str], pid: int) -> Iterator[tuple[int, str]]:
    """The descriptors that are meant for this process, each with its name.

    LISTEN_PID tells whether they are: a child may inherit the variables of its parent.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid) or not (count.isascii() and count.isdigit()):
        return
    given = environ.get("LISTEN_FDNAMES", "")
    names = given.split(":") if given else []
    if len(names) != int(count):
        raise StartError(
            f"systemd hands over {count} sockets and {len(names)} names for them; "
            f"{_REMEDY}, one of {', '.join(NAMES)}"
        )
    yield from enumerate(names, FIRST)


def _key(name: str, config: Config) -> str:
    if name not in NAMES:
        raise StartError(
            f"systemd hands over a socket named {name!r}, which no service knows; "
            f"{_REMEDY}, one of {', '.join(NAMES)}"
        )
    service, key = NAMES[name]
    if service not in config.daemon.services:
        raise StartError(
            f"systemd hands over a socket named {name}, but {service} does not run "
            f"({config.settings['services'].source}); add {service} to services, "
            "or disable the socket unit"
        )
    return key


def _socket(descriptor: int, name: str) -> socket.socket:
    try:
        one = socket.socket(fileno=descriptor)
    except OSError as error:
        raise StartError(
            f"systemd hands over descriptor {descriptor}, named {name}, which is no socket: "
            f"{error.strerror}"
        ) from None
    one.set_inheritable(False)
    one.setblocking(False)
    return one


def _check(one: socket.socket, name: str, count: int) -> None:
    """Whether a service can use this socket.

    :param count: how many of this name there are so far; this one is the last.
    """
    wanted = "udp" if NAMES[name][0] == "udp" else "tcp"
    kinds = {socket.SOCK_STREAM: "tcp", socket.SOCK_DGRAM: "udp"}
    what = f"systemd hands over a socket named {name}"
    if one.family not in (socket.AF_INET, socket.AF_INET6):
        raise StartError(f"{what}, which is of {one.family.name}; its unit needs a port")
    host, port = one.getsockname()[:2]
    what += f" on {host_port(host, port)}"
    if kinds.get(one.type) != wanted:
        directive = {"tcp": "ListenStream", "udp": "ListenDatagram"}[wanted]
        raise StartError(f"{what}, which is not {wanted}; its unit needs {directive}=")
    if wanted == "tcp" and not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise StartError(f"{what}, which does not listen; its unit needs Accept=no")
    if wanted == "udp" and count > 1:
        raise StartError(
            f"{what}, a second one; the reflector takes one, [::]:PORT serves IPv4 too"
        )
