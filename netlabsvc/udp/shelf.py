"""The profiles on disk: those that the package ships, and those of a directory of yours."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from netlabsvc.udp.notation import Mistake
from netlabsvc.udp.profiles import Profile, read


def shipped() -> dict[str, Profile]:
    """The profiles of the package, by name (netlabsvc/data/profiles)."""
    return profiles(files("netlabsvc") / "data" / "profiles")


def profiles(directory: Traversable) -> dict[str, Profile]:
    """Every ``NAME.toml`` of a directory (a ``pathlib.Path`` is one), by name.

    :raises OSError: when it cannot be read.
    :raises Mistake: names file, line and key of what is wrong in it.
    """
    named = sorted((e for e in directory.iterdir() if e.name.endswith(".toml")), key=_name)
    return {_name(entry): read(_name(entry), _text(entry)) for entry in named}


def _name(entry: Traversable) -> str:
    return entry.name.removesuffix(".toml")


def _text(entry: Traversable) -> str:
    try:
        return entry.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise Mistake(f"profile {_name(entry)}", "", f"it is not UTF-8: {error.reason}") from None
