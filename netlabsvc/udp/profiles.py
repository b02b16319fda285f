"""Named faults: a TOML file with a description, its source, and the TOML form of faults.

    description = "..."                    one line for people
    source = "..."                         where the numbers are from, or "invented for teaching"
    [up]                                   and [down], [both], [clock]: see grammar.py
    loss = "30%"

It knows no directory: the text of the file is handed in.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from netlabsvc.toml import key_lines
from netlabsvc.udp.faults import Faults
from netlabsvc.udp.grammar import from_table
from netlabsvc.udp.notation import Mistake


@dataclass(frozen=True)
class Profile:
    """Faults with a name, and where their numbers are from."""

    name: str
    description: str
    source: str
    faults: Faults


def read(name: str, text: str) -> Profile:
    """Read the text of a profile.

    :param name: of the profile, and in errors.
    :raises Mistake: names profile, line and key, and says what would be right.
    """
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Mistake(f"profile {name}", "", str(error)) from None
    lines = key_lines(text)

    def place(key: str) -> str:
        line = lines.get(tuple(key.split(".")), 1)
        return f"profile {name}, line {line}, {key}"

    words = {}
    for key in ("description", "source"):
        words[key] = table.pop(key, None)
        if not isinstance(words[key], str) or not words[key].strip():
            raise Mistake(place(key), "", 'a profile needs it, such as "invented for teaching"')
    return Profile(name, words["description"], words["source"], from_table(table, place))
