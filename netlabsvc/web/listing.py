"""The page that lists a directory. It is given the entries and knows no file system.

Names are bytes, as the file system has them: links carry them percent-encoded, byte for byte; what
is shown is their UTF-8, with a replacement character for what is none and for control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from time import gmtime, strftime
from urllib.parse import quote

from netlabsvc.web import pages

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")


@dataclass(frozen=True)
class Entry:
    """One name of a directory."""

    name: bytes
    directory: bool
    size_bytes: int
    modified_s: float


def render(where: Sequence[bytes], entries: Iterable[Entry], *, more: bool = False) -> bytes:
    """The page of a directory: directories first, then by name.

    :param where: the names that lead there; empty for the root, which has no way up.
    :param more: the directory holds more than these entries.
    """
    title = "/" + "".join(_shown(name) + "/" for name in where)
    rows = ['<tr><td><a href="../">../</a></td><td></td><td></td></tr>'] if where else []
    rows += [_row(e) for e in sorted(entries, key=lambda e: (not e.directory, e.name))]
    note = '\n<p class="quiet">There are more names than are shown here.</p>' if more else ""
    head = "<tr><th>Name</th><th>Size</th><th>Changed (UTC)</th></tr>"
    return pages.document(
        f"Index of {title}",
        f"<h1><bdi>{escape(title)}</bdi></h1>\n<table>\n<thead>{head}</thead>\n<tbody>\n"
        + "\n".join(rows)
        + f"\n</tbody>\n</table>{note}",
    )


def _row(entry: Entry) -> str:
    slash = "/" if entry.directory else ""
    # "./" keeps a name such as "x:y" from being read as a scheme.
    link = f"./{quote(entry.name, safe='')}{slash}"
    size = "" if entry.directory else _size(entry.size_bytes)
    changed = strftime("%Y-%m-%d %H:%M", gmtime(entry.modified_s))
    name = escape(_shown(entry.name)) + slash
    return (
        f'<tr><td><a href="{link}"><bdi>{name}</bdi></a></td>'
        f'<td class="quiet">{size}</td><td class="quiet">{changed}</td></tr>'
    )


def _shown(name: bytes) -> str:
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", name.decode("utf-8", "replace"))


def _size(size_bytes: int) -> str:
    """A size as people read it, in powers of 1000: 1.2 kB, 999.9 MB."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    power = min((len(str(size_bytes)) - 1) // 3, len(_UNITS))
    return f"{size_bytes / 1000**power:.1f} {_UNITS[power - 1]}"
