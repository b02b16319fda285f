"""The front page of the packaged site: what this lab is, what runs where, and how to try it.

It is given what listens now, and the name by which the visitor calls this host. The look is
data/site/style.css; nothing is loaded from elsewhere, and nothing runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

_WILDCARDS = ("0.0.0.0", "::")
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1|localhost")
#: What may stand in a command that people copy into a shell.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]+")

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath "
    "d='M3 3v10M3 8h10M13 3v10' stroke='%230b8080' stroke-width='2.4' fill='none' "
    "stroke-linecap='round'/%3E%3C/svg%3E"
)


class Listening(NamedTuple):
    """A socket that listens.

    :ivar key: of its port in the configuration: ``chat.raw_port``.
    :ivar host: its address, or a wildcard.
    :ivar protocol: ``tcp`` or ``udp``.
    """

    key: str
    host: str
    port: int
    protocol: str
    tls: bool = False


class _Room(NamedTuple):
    name: str
    title: str
    about: str


class _Door(NamedTuple):
    """What is to be said of one listener, and the commands that try it: ``{host} {port} {at}``."""

    note: str
    commands: Sequence[str]
    over_tls: Sequence[str] = ()


_ROOMS = (
    _Room(
        "chat",
        "Chat",
        "Every line you send reaches everyone else in the room. Open a second terminal to have "
        "somebody to talk to.",
    ),
    _Room(
        "udp",
        "Echo",
        "Each datagram comes back with the server's clock in front. A lab that is told to loses "
        "some of them on purpose: does your client notice?",
    ),
    _Room(
        "web",
        "Web",
        'The server that sent you this page, and <a href="helloWorld.html">a smaller one</a>. '
        "What is wrong with a request, it says in plain words.",
    ),
    _Room(
        "mail",
        "Mail",
        "A mail server that takes every message and delivers none: what you send stays in the "
        "lab, to be looked at.",
    ),
)
_INBOX = ' <a href="inbox">The inbox</a> shows it, with every line that was said on the way.'
_DOORS = {
    "chat.port": _Door(
        "a message is a line",
        ("nc {host} {port}", "telnet {host} {port}", "netlab chat {at} --name ada"),
        ("netlab chat {at} --tls --name ada", "openssl s_client -quiet -connect {at}"),
    ),
    "chat.raw_port": _Door(
        "a message is a chunk",
        ("nc {host} {port}",),
        ("openssl s_client -quiet -connect {at}",),
    ),
    "chat.length_port": _Door("a message follows its length, in 4 bytes", ()),
    "udp.port": _Door(
        "time and echo", ("netlab ping {at}", "echo hello | nc -u -w1 {host} {port}")
    ),
    "udp.stamp.port": _Door("STAMP, and TWAMP-Light senders", ("netlab ping --proto stamp {at}",)),
    "udp.irtt.port": _Door("irtt", ("irtt client -i 10ms -d 1s {at}",)),
    "web.port": _Door(
        "this site",
        (
            "netlab get -i {at}/helloWorld.html",
            "curl -v {at}/helloWorld.html",
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {host} {port}",
        ),
        ("curl -kv https://{at}/helloWorld.html", "openssl s_client -quiet -crlf -connect {at}"),
    ),
    "mail.sandbox.port": _Door(
        "SMTP",
        (
            "echo Hi | netlab mail --server {at} --from ada@lab --to bob@lab --subject Hello",
            "netlab inbox list",
            "telnet {host} {port}",
        ),
        ("openssl s_client -quiet -crlf -connect {at}",),
    ),
    "mail.sandbox.tls_port": _Door("SMTP", (), ("openssl s_client -quiet -crlf -connect {at}",)),
}


_HEAD = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="A network lab: chat, UDP, web and mail to try programs against.">
<title>netlab</title>
<link rel="icon" href="{_ICON}">
<link rel="stylesheet" href="style.css">
</head>
<body>
<header>
<p class="mark">netlab</p>
<h1>A network lab on one host.</h1>
<p class="lead">Services to point your own programs at: correct and patient when you learn,
unreliable on purpose when you test. Open a terminal and try one.</p>
</header>
"""


def render(listening: Iterable[Listening], called: str, *, inbox: bool = False) -> bytes:
    """The page.

    :param inbox: whether the mail can be looked at at ``inbox``, below this page.
    :param called: the name or address by which the visitor came here, which stands for a wildcard.
    """
    doors = list(listening)
    more = {"mail": _INBOX} if inbox else {}
    rooms = [room._replace(about=room.about + more.get(room.name, "")) for room in _ROOMS]
    cards = [_card(room, [d for d in doors if _room(d) == room.name], called) for room in rooms]
    off = [room.title for room in _ROOMS if not any(_room(d) == room.name for d in doors)]
    footer = "".join(f"<p>{text}</p>\n" for text in _remarks(doors, off))
    return (
        f"{_HEAD}<main>\n{''.join(cards)}</main>\n<footer>\n{footer}</footer>\n</body>\n</html>\n"
    ).encode()


def _room(door: Listening) -> str:
    return door.key.partition(".")[0]


def _card(room: _Room, doors: Sequence[Listening], called: str) -> str:
    if not doors:
        return ""
    return (
        f"<section>\n<h2>{room.title}</h2>\n<p>{room.about}</p>\n"
        + "".join(_door(door, called) for door in doors)
        + "</section>\n"
    )


def _door(door: Listening, called: str) -> str:
    """Where one listener is, what it is for, and how to try it."""
    told = _DOORS[door.key]
    host = _near(door.host, called)
    at = f"[{host}]:{door.port}" if ":" in host else f"{host}:{door.port}"
    commands = told.over_tls if door.tls else told.commands
    shown = [_command(c.format(host=host, port=door.port, at=at)) for c in commands]
    note = f"{told.note}, over TLS" if door.tls else told.note
    lines = "".join(f"<code>{command}</code>" for command in shown)
    return (
        f'<div class="door"><b>{at}</b> <span>{door.protocol.upper()}</span> <i>{note}</i></div>\n'
        + (f"<pre>{lines}</pre>\n" if lines else "")
    )


def _command(text: str) -> str:
    """A command whose options are not broken at their dashes."""
    words = (escape(word, quote=False) for word in text.split(" "))
    return " ".join(f"<span>{word}</span>" if word.startswith("-") else word for word in words)


def _near(host: str, called: str) -> str:
    """An address that the visitor can connect to, and that can stand in a command."""
    if host not in _WILDCARDS:
        return host
    if _NAME.fullmatch(called):
        return called
    return "127.0.0.1" if host == "0.0.0.0" else "::1"


def _remarks(doors: Sequence[Listening], off: Sequence[str]) -> Iterable[str]:
    yield (
        "A click on a command selects all of it. These are the addresses at this moment; "
        "<code>netlab ctl status</code> tells them, too."
    )
    if off:
        yield f"Not running in this lab: {', '.join(off)}."
    if all(_LOOPBACK.fullmatch(door.host) for door in doors):
        yield "Only this machine can connect; <code>--host 0.0.0.0</code> opens the lab to others."
