"""What the keys of [udp] name, read: faults with their profiles, fate scripts, shared keys.

Every mistake is a ValueError of one line, which says what would be right.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from netlabsvc.udp import fate, grammar, shelf
from netlabsvc.udp.faults import Faults
from netlabsvc.udp.stamp import KEY_BYTES

#: More is no script, and no key.
MOST_BYTES = 1 << 20
_SHARE = re.compile(r"[0-9.]+(?:[eE][+-]?[0-9]+)?%?")


def faults(text: str) -> Faults:
    """Read faults in their text form; a probability alone is ``up loss=``.

    :raises ValueError: with the position in the text.
    """
    if _SHARE.fullmatch(text):
        text = f"up loss={text}"
    return grammar.parse(text, _profiles() if "profile=" in text else None)


@cache
def _profiles() -> dict[str, Faults]:
    return {name: profile.faults for name, profile in shelf.shipped().items()}


def script(path: str, directory: Path = Path()) -> fate.Script:
    """Read a fate script; an empty path is one without entries.

    :param directory: where relative paths begin.
    :raises ValueError: when it cannot be read, or with the position in it.
    """
    if not path:
        return fate.Script()
    try:
        return fate.parse(_contents(directory / path).decode())
    except UnicodeDecodeError:
        raise ValueError("not UTF-8; save the file as UTF-8") from None


def stamp_key(path: str, directory: Path = Path()) -> bytes | None:
    """Read the key of STAMP; None where there is none.

    :raises ValueError: when it cannot be read, or is too short.
    """
    return _key(path, directory, KEY_BYTES)


def irtt_key(path: str, directory: Path = Path()) -> bytes | None:
    """Read the key of irtt; None where there is none.

    :raises ValueError: when it cannot be read, or is empty.
    """
    return _key(path, directory, 1)


def _key(path: str, directory: Path, least_bytes: int) -> bytes | None:
    if not path:
        return None
    # Editors end a file with a line end, which nobody means to be part of the key.
    read = _contents(directory / path).removesuffix(b"\n").removesuffix(b"\r")
    if len(read) < least_bytes:
        raise ValueError(f"a key has {least_bytes} bytes or more, the one in this file {len(read)}")
    return read


def _contents(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            read = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(read) > MOST_BYTES:
        raise ValueError(f"larger than {MOST_BYTES} bytes")
    return read
