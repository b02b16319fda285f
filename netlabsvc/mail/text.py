"""What strangers sent, made safe to show: no character may drive a terminal or hide another."""

from __future__ import annotations

import unicodedata

from netlabsvc.escape import escape

_NAMES = {"\r": "CR", "\n": "LF", "\0": "NUL", " ": "a blank", "\t": "a tab"}


def name_of(char: str) -> str:
    """What to call a character that may be invisible: CR, a blank, NO-BREAK SPACE, U+001B."""
    return _NAMES.get(char, "") or unicodedata.name(char, "") or f"U+{ord(char):04X}"


def shown(text: str) -> str:
    r"""The same text, with what is unsafe written as ``\x1b`` or ``\u202e``; lines are kept."""
    return "\n".join(map(escape, text.split("\n")))


def shown_line(data: bytes | str) -> str:
    r"""One line for people: UTF-8, or ``\xff`` for what is none; a line end becomes ``\n``."""
    text = data if isinstance(data, str) else data.decode("utf-8", "backslashreplace")
    return shown(text).replace("\n", r"\n")
