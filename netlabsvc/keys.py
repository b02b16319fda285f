"""What a configuration key is: its default, its help, its bounds, and how a value is read.

Each room lists its keys in its ``settings.py`` as a frozen dataclass whose fields are made by
`key`. From those lists ``config.py`` reads the file, the environment and the flags.
"""

from __future__ import annotations

import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypedDict, Unpack

PORTS = (0, 65535)
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class Facts(TypedDict, total=False):
    """What may be said of a key besides its default and its help.

    unit: ``s``, ``bytes``, ...; shown in errors and help.
    bounds: smallest and largest number accepted, both included.
    one_of: the only words accepted (for a tuple: the only ones it may hold).
    flag: the option of ``twistd netlab`` that sets it, without the dashes.
    read: turns what the file, the environment or a flag holds into the field's value; raises
        ValueError with what would be right. For what annotation and bounds cannot say. In a table
        it reads each value.
    excludes: the neighbouring key that must not be set beside this one; where the two come from
        different sources, the stronger source wins.
    none: the word that stands for None.
    live: it can change while the daemon runs; else a change waits for a restart.
    names: reads the names in a table; raises ValueError with what would be right.
    """

    unit: str
    bounds: tuple[float, float] | None
    one_of: tuple[str, ...]
    flag: str
    read: Callable[[object], Any] | None
    excludes: str
    none: str
    live: bool
    names: Callable[[str], str] | None


def key(default: Any, help: str, **facts: Unpack[Facts]) -> Any:
    """Declare a dataclass field as a configuration key.

    The field's annotation says what is accepted: ``bool``, ``int``, ``float``, ``str``,
    ``tuple[str, ...]``, and each of them ``| None``; ``Mapping[str, X]`` is a table of one's own
    names, in which X is ``str`` or another dataclass of keys.

    :param help: one line for people: etc/netlab.toml and --help are made of it.
    """
    metadata = {"default": default, "help": help, **facts}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


class TableError(ValueError):
    """What is wrong in a table: for each mistake the names that lead to it, and what is right."""

    def __init__(self, mistakes: list[tuple[tuple[str, ...], str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(path)}: {why}" for path, why in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Key:
    """One key of the configuration, as declared by `key`."""

    section: str
    name: str
    kind: Any
    default: Any
    help: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    one_of: tuple[str, ...] = ()
    flag: str = ""
    read: Callable[[object], Any] | None = None
    excludes: str = ""
    none: str = "off"
    live: bool = False
    names: Callable[[str], str] | None = None

    @property
    def path(self) -> str:
        """The dotted path in the file, such as ``mail.sandbox.port``."""
        return f"{self.section}.{self.name}".lstrip(".")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"NETLAB_{self.path.replace('.', '_').upper()}"

    @property
    def optional(self) -> bool:
        return isinstance(self.kind, types.UnionType) and type(None) in typing.get_args(self.kind)

    @property
    def base(self) -> Any:
        """The annotation without ``| None``, and ``tuple`` for a tuple of words."""
        plain = typing.get_args(self.kind)[0] if self.optional else self.kind
        return typing.get_origin(plain) or plain

    def value(self, raw: object) -> Any:
        """Read a value of a TOML file (typed) or of a flag or variable (always text).

        :raises ValueError: says what would be right; a `TableError` also where.
        """
        if self.base is Mapping:
            return self._table(raw)
        if self.optional and raw == self.none:
            return None
        try:
            return self.read(raw) if self.read else self._plain(raw)
        except ValueError as error:
            raise ValueError(str(error) or self.accepts()) from None

    def _plain(self, raw: object) -> Any:
        value = _typed(self.base, raw)
        if self.bounds and not self.bounds[0] <= value <= self.bounds[1]:
            raise ValueError
        if self.one_of and not set(value if self.base is tuple else [value]) <= set(self.one_of):
            raise ValueError
        if self.one_of and self.base is tuple and len(set(value)) < len(value):
            raise ValueError("takes each word once")
        return value

    def _table(self, raw: object) -> dict[str, Any]:
        """A table; in the text of a variable it is written as in the file: ``{a = "b"}``."""
        if isinstance(raw, str):
            try:
                raw = tomllib.loads(f"table = {raw}")["table"]
            except ValueError:
                raise ValueError(self.accepts()) from None
        if not isinstance(raw, dict):
            raise ValueError(self.accepts())
        found: dict[str, Any] = {}
        mistakes: list[tuple[tuple[str, ...], str]] = []
        for name, below in raw.items():
            try:
                named = self.names(name) if self.names else name
                found[named] = self._entry(below)
            except TableError as error:
                mistakes += [((name, *path), why) for path, why in error.mistakes]
            except ValueError as error:
                mistakes.append(((name,), str(error)))
        if mistakes:
            raise TableError(mistakes)
        return found

    def _entry(self, raw: object) -> Any:
        """One value of a table: plain, or a table of the keys of a dataclass."""
        kind = typing.get_args(self.kind)[1]
        if not is_dataclass(kind):
            return self.read(raw) if self.read else _typed(kind, raw)
        known = {k.name: k for k in keys_of("", typing.cast(type, kind))}
        if not isinstance(raw, dict):
            raise ValueError(f"takes a table of {', '.join(known)}")
        found: dict[str, Any] = {}
        mistakes: list[tuple[tuple[str, ...], str]] = []
        for name, below in raw.items():
            try:
                found[name] = known[name].value(below)
            except KeyError:
                mistakes.append(((name,), f"unknown key{nearest(name, list(known))}"))
            except ValueError as error:
                mistakes.append(((name,), str(error)))
        if mistakes:
            raise TableError(mistakes)
        return typing.cast(type, kind)(**found)

    def accepts(self) -> str:
        """What would be right, for people: ``takes a whole number from 0 to 65535, or off``."""
        kind = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a text",
            tuple: "a list of texts",
            Mapping: "a table",
        }[self.base]
        if self.one_of:
            kind = ("some of " if self.base is tuple else "one of ") + ", ".join(self.one_of)
        if self.bounds:
            kind += f" from {self.bounds[0]} to {self.bounds[1]}"
        if self.unit:
            kind += f" ({self.unit})"
        return f"takes {kind}" + (f', or "{self.none}"' if self.optional else "")

    def help_with_default(self) -> str:
        """The help for an option, with the default as one would type it."""
        default = self.written(self.default)
        text = ",".join(default) if isinstance(default, tuple) else str(default)
        return f"{self.help} (default: {text})" if text else self.help

    def written(self, value: object) -> object:
        """The value as a file would hold it."""
        if isinstance(value, Mapping):
            return {n: v if isinstance(v, str) else asdict(v) for n, v in value.items()}
        return self.none if value is None else value


def keys_of(section: str, settings: type) -> Iterator[Key]:
    """The keys that a settings dataclass declares, in its order."""
    kinds = typing.get_type_hints(settings)
    for f in fields(settings):
        yield Key(section, f.name, kinds[f.name], **f.metadata)


def nearest(word: str, words: list[str]) -> str:
    """The end of a sentence about an unknown word: which known one is like it."""
    near = get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; the nearest known one is {near[0]}" if near else ""


def _typed(kind: type, raw: object) -> Any:
    """Check a typed value, or read a text as that type.

    :raises ValueError: without a message; `Key.accepts` says what would be right.
    """
    if kind is bool:
        word = str(raw).lower()
        if word not in _TRUE + _FALSE:
            raise ValueError
        return word in _TRUE
    if isinstance(raw, bool):
        raise ValueError  # in Python True is a number; in a configuration it is not
    if kind is tuple:
        return _words(raw)
    if kind is str:
        if not isinstance(raw, str):
            raise ValueError
        return raw
    if isinstance(raw, str) or (kind is float and isinstance(raw, int)):
        try:
            return kind(raw)
        except ValueError:
            raise ValueError from None
    if not isinstance(raw, kind):
        raise ValueError
    return raw


def _words(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        return tuple(word.strip() for word in raw.split(",") if word.strip())
    if isinstance(raw, list) and all(isinstance(word, str) for word in raw):
        return tuple(raw)
    raise ValueError
