"""The listing of a directory, as a page or as JSON. It is given entries and knows no file system.

Names are bytes, as the file system has them: links carry them percent-encoded, byte for byte; what
is shown is their UTF-8, with a replacement character for what is none and for control characters.
The page is sorted by links, without a script: ``?sort=size&order=desc``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from time import gmtime, strftime
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote

from netlabsvc.times import rfc3339
from netlabsvc.web import pages

JSON_TYPE = b"application/json"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Entry:
    """One name of a directory."""

    name: bytes
    directory: bool
    size_bytes: int
    modified_s: float


class Order(NamedTuple):
    """By what a listing is sorted; directories stand first in any case."""

    sort: str = "name"
    descending: bool = False


class _Column(NamedTuple):
    title: str
    key: Callable[[Entry], Any]
    #: How a first click sorts it: names from A, but what is large or new comes first.
    descending: bool


_COLUMNS = {
    "name": _Column("Name", lambda e: e.name.lower(), False),
    "size": _Column("Size", lambda e: 0 if e.directory else e.size_bytes, True),
    "time": _Column("Changed (UTC)", lambda e: e.modified_s, True),
}


def order(query: bytes) -> Order:
    """The order that a query asks for; names in their order for whatever else it says."""
    try:
        asked = parse_qs(query.decode("ascii").removeprefix("?"), max_num_fields=8)
    except ValueError:
        return Order()
    sort = asked.get("sort", ["name"])[0]
    if sort not in _COLUMNS:
        return Order()
    way = asked.get("order", ["desc" if _COLUMNS[sort].descending else "asc"])[0]
    return Order(sort, way == "desc")


def arranged(entries: Iterable[Entry], by: Order) -> list[Entry]:
    """The entries in an order; equal ones, and directories among themselves by size, by name."""
    listed = sorted(entries, key=lambda e: (e.name.lower(), e.name))
    if by == Order("name", True):
        listed.reverse()
    else:
        listed.sort(key=_COLUMNS[by.sort].key, reverse=by.descending)
    return sorted(listed, key=lambda e: not e.directory)


def render(
    where: Sequence[bytes],
    entries: Iterable[Entry],
    *,
    more: bool = False,
    by: Order = Order(),  # noqa: B008 - a tuple that never changes
) -> bytes:
    """The page of a directory.

    :param where: the names that lead there; empty for the root, which has no way up.
    :param more: the directory holds more than these entries.
    """
    title = "/" + "".join(_shown(name) + "/" for name in where)
    rows = ['<tr><td><a href="../">../</a></td><td></td><td></td></tr>'] if where else []
    rows += [_row(e) for e in arranged(entries, by)]
    note = '\n<p class="quiet">There are more names than are shown here.</p>' if more else ""
    if not entries:
        note = '\n<p class="quiet">Nothing is in here.</p>'
    head = "".join(_heading(name, column, by) for name, column in _COLUMNS.items())
    return pages.document(
        f"Index of {title}",
        f"<h1><bdi>{escape(title)}</bdi></h1>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + f"\n</tbody>\n</table>{note}",
    )


def render_json(entries: Iterable[Entry], *, more: bool = False, by: Order = Order()) -> bytes:  # noqa: B008
    """The same for machines: ``{"entries": [...], "more": false}``.

    ``href`` is relative to the directory and holds the name byte for byte; ``size`` is in bytes,
    null for a directory.
    """
    listed = [
        # One by one, and no layout inside: only so json uses its fast half.
        json.dumps(
            {
                "name": _shown(e.name),
                "href": _link(e),
                "directory": e.directory,
                "size": None if e.directory else e.size_bytes,
                "modified": rfc3339(e.modified_s),
            }
        )
        for e in arranged(entries, by)
    ]
    rows = ",\n".join(listed)
    return f'{{"entries": [\n{rows}\n], "more": {json.dumps(more)}}}\n'.encode("ascii")


def _heading(name: str, column: _Column, by: Order) -> str:
    """A column's heading, whose link sorts by it, or the other way round if that is so already."""
    current = name == by.sort
    descending = not by.descending if current else column.descending
    link = f"?sort={name}&amp;order={'desc' if descending else 'asc'}"
    if not current:
        return f'<th><a href="{link}">{column.title}</a></th>'
    state, arrow = (
        ("descending", "\N{DOWNWARDS ARROW}")
        if by.descending
        else ("ascending", "\N{UPWARDS ARROW}")
    )
    return f'<th aria-sort="{state}"><a href="{link}">{column.title} {arrow}</a></th>'


def _row(entry: Entry) -> str:
    size = "" if entry.directory else _size(entry.size_bytes)
    changed = _minute(int(entry.modified_s) // 60)
    name = escape(_shown(entry.name)) + ("/" if entry.directory else "")
    return (
        f'<tr><td><a href="{_link(entry)}"><bdi>{name}</bdi></a></td>'
        f'<td class="quiet">{size}</td><td class="quiet">{changed}</td></tr>'
    )


@lru_cache(maxsize=1024)
def _minute(minute: int) -> str:
    """A minute since the epoch; the files of a directory often have few of them."""
    return strftime("%Y-%m-%d %H:%M", gmtime(minute * 60))


def _link(entry: Entry) -> str:
    # "./" keeps a name such as "x:y" from being read as a scheme.
    return f"./{quote(entry.name, safe='')}{'/' if entry.directory else ''}"


def _shown(name: bytes) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", name.decode("utf-8", "replace"))


def _size(size_bytes: int) -> str:
    """A size as people read it, in powers of 1000: 1.2 kB, 999.9 MB."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, len(_UNITS))
    return f"{size_bytes / 1000**power:.1f} {_UNITS[power - 1]}"
