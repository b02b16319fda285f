"""What a configuration key is: its default, its help, its unit, its bounds.

Each room lists its keys in its ``settings.py`` as a frozen dataclass whose fields are made by
`key`. From that one list ``config.py`` reads the file, the environment and the flags, and writes
the errors; no room parses a configuration itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PORTS = (0, 65535)


@dataclass(frozen=True)
class Key:
    """What is known of one key beside its name, type and default."""

    help: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    one_of: tuple[str, ...] = ()
    flag: str = ""
    read: Callable[[object], Any] | None = None
    excludes: str = ""


def key(
    default: Any,
    help: str,
    *,
    unit: str = "",
    bounds: tuple[float, float] | None = None,
    one_of: tuple[str, ...] = (),
    flag: str = "",
    read: Callable[[object], Any] | None = None,
    excludes: str = "",
) -> Any:
    """Declare a dataclass field as a configuration key.

    The field's annotation says what is accepted: ``bool``, ``int``, ``float``, ``str``,
    ``tuple[str, ...]``, and each of them ``| None``, where the word ``off`` stands for None.

    :param help: one line for people: etc/netlab.toml and --help are made of it.
    :param unit: ``s``, ``bytes``, ...; shown behind the help.
    :param bounds: smallest and largest number accepted, both included.
    :param one_of: the only words accepted (for a tuple: the only ones it may hold).
    :param flag: the option of ``twistd netlab`` that sets it, without the dashes.
    :param read: turns what the file, the environment or a flag holds into the field's value;
        raises ValueError with what would be right. For what annotation and bounds cannot say.
    :param excludes: the neighbouring key that must not be set beside this one; where the two come
        from different sources, the stronger source wins.
    """
    meta = Key(help, unit, bounds, one_of, flag, read, excludes)
    return field(default=default, metadata={"key": meta})
