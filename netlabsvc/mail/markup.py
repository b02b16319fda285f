"""HTML that is safe by how it is made: a text becomes markup only through `tag`, which escapes it.

    tag("a", "R&D", href="/inbox/1?lang=zh")      <a href="/inbox/1?lang=zh">R&amp;D</a>

What could turn a line round or hide in it is written out as well (escape.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from netlabsvc.mail.text import shown

_VOID = frozenset(("meta", "link", "input", "br"))


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | Iterable[str] | None


def tag(name: str, /, *children: Child, **attributes: str | bool | None) -> Markup:
    """An element; texts among its children are escaped, None is nothing.

    :param attributes: ``class_`` is ``class``, ``aria_label`` is ``aria-label``; True stands
        alone, False and None are left out.
    """
    given = [(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items()]
    words = [
        f" {key}" if value is True else f' {key}="{_text(str(value))}"'
        for key, value in given
        if value is not None and value is not False
    ]
    start = f"<{name}{''.join(words)}>"
    return Markup(start if name in _VOID else f"{start}{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children one behind the other, without an element around them."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(_text(child))
        elif child is not None:
            parts.append(join(*child))
    return Markup("".join(parts))


def _text(text: str) -> str:
    return escape(shown(text))
