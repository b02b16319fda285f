"""What tomllib does not tell: on which line a key stands, and how a value is written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_PART}(?:\s*\.\s*{_PART})*"
_TABLE = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_KEY = re.compile(rf"\s*({_DOTTED})\s*=")
# What can hide a bracket or a quote: a string of any of the four kinds, or a comment.
_TOKEN = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|'
    r"'''(?:[^']|'(?!''))*'''|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'|"
    r"\#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def key_lines(text: str) -> dict[Path, int]:
    """The line (from 1) of each key and table of a valid TOML document.

    A table without a header of its own, as in ``table.key = 1``, stands where it is first named.
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        if header := _TABLE.match(statement):
            named = table = _parts(header[1])
        elif assignment := _KEY.match(statement):
            named = table + _parts(assignment[1])
        else:
            continue
        for length in range(1, len(named) + 1):
            lines.setdefault(named[:length], number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each statement with the number of its first line; arrays and strings may span lines."""
    start, depth = 0, 0
    for token in _TOKEN.finditer(text + "\n"):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            yield text.count("\n", 0, start) + 1, text[start : token.start()]
            start = token.end()


def _parts(dotted: str) -> Path:
    names: list[str] = []
    below: Any = tomllib.loads(f"{dotted} = 0")
    while isinstance(below, dict):
        ((name, below),) = below.items()
        names.append(name)
    return tuple(names)


def literal(value: object) -> str:
    """A value as TOML: bool, int, float, str, a sequence or a mapping of them, in one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(literal(v) for v in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(str(n))} = {literal(v)}' for n, v in value.items())}}}"
    # JSON's escapes are TOML's, but for DEL, which JSON leaves bare.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
