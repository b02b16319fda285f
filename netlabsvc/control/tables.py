"""What the daemon answers, for people: lines and tables of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_WHO = ("", "name", "address", "idle", "encoding", "line end", "queued", "", "")


def who(members: Iterable[Mapping[str, Any]], unread: Mapping[int, int]) -> list[str]:
    """Who is in the room.

    :param members: of /v1/chat/members.
    :param unread: how many lines of which client nobody has read.
    """
    rows = [_WHO, *(_member(member, unread.get(member["number"], 0)) for member in members)]
    return columns(rows) if len(rows) > 1 else ["nobody is here"]


def _member(member: Mapping[str, Any], unread: int) -> tuple[str, ...]:
    return (
        str(member["number"]),
        member["name"],
        member["peer"],
        duration(member["idle_s"]),
        member["encoding"],
        member["line_end"],
        f"{member['queued_bytes']} B",
        "muted" if member["muted"] else "",
        f"{unread} unread" if unread else "",
    )


def status(answer: Mapping[str, Any]) -> list[str]:
    """What runs, and where it listens: of /v1/status."""
    up = duration(answer["uptime_s"])
    first = f"netlab {answer['version']}, {answer['state']}, process {answer['pid']}, up {up}"
    rows = [
        (service["service"], f"{service['address']}/{service['protocol']}")
        for service in answer["services"]
        if service["listening"]
    ]
    return [first, *columns(rows)]


def impairments(answer: Iterable[Mapping[str, Any]]) -> list[str]:
    """``classic: up loss=30%``, of /v1/udp/impair."""
    return [f"{one['reflector']}: {one['faults']}" for one in answer]


def counters(answer: Iterable[Mapping[str, Any]]) -> list[str]:
    """``classic: received 12, replied 12``, and what else is not zero: of /v1/udp/counters."""
    lines = []
    for one in answer:
        told = [(n, v) for n, v in one.items() if v or n in ("received", "replied")]
        counted = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told[1:])
        lines.append(f"{one['reflector']}: {counted}")
    return lines


def duration(seconds: float) -> str:
    """``12 s``, ``3 min``, ``2 h``, ``4 d``: whole units, rounded down."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def columns(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of a table as lines, two blanks between columns as wide as their widest cell."""
    rows = list(rows)
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns on a terminal: two for what is wide (Unicode UAX 11), none for what combines."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
