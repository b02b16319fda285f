"""The configuration: flags over environment over file over defaults, and every mistake in it.

It collects the keys that the rooms declare in their settings.py. Values come with their source,
so that a person can see why a value is what it is.
"""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import netlabsvc.chat.settings
import netlabsvc.mail.settings
import netlabsvc.udp.inputs
import netlabsvc.udp.settings
import netlabsvc.web.settings
from netlabsvc import state, toml
from netlabsvc.keys import Key, TableError, key, keys_of, nearest

SERVICES = ("chat", "udp", "web", "mail")
#: Variables that begin with NETLAB_ but belong to the command line, not to the daemon.
FOREIGN_VARIABLES = ("NETLAB_MAIL_PASSWORD",)


def _address(value: object) -> str:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError(
            "takes an address: 127.0.0.1, ::1, 0.0.0.0 or ::, or one of this host"
        ) from None


@dataclass(frozen=True)
class Daemon:
    """The keys at the top of the file: what concerns the daemon as a whole."""

    host: str = key(
        "127.0.0.1",
        "address every service listens on; 0.0.0.0 or :: opens the lab to the network",
        flag="host",
        read=_address,
    )
    services: tuple[str, ...] = key(
        SERVICES, "the services that run", one_of=SERVICES, flag="services"
    )
    seed: int | None = key(
        None,
        "seed of every random decision; random: drawn at each start and logged",
        flag="seed",
        none="random",
    )
    state_dir: str = key(
        "",
        "directory for what must survive; empty: $STATE_DIRECTORY, else $XDG_STATE_HOME/netlab",
        flag="state-dir",
        read=state.path,
    )
    control: str | None = key(
        "",
        "Unix socket of the control API; empty: control.sock in $RUNTIME_DIRECTORY, else in "
        "$XDG_RUNTIME_DIR/netlab, else in state_dir",
        flag="control",
        read=state.path,
    )
    log_format: str = key(
        "text",
        "text for people, json for machines",
        one_of=("text", "json"),
        flag="log-format",
        live=True,
    )
    log_level: str = key(
        "info",
        "least that the log shows; debug: also what Twisted says of its own working",
        one_of=("debug", "info", "warn", "error"),
        flag="log-level",
        live=True,
    )
    shutdown_grace_s: float = key(
        5.0, "how long open transfers may go on at the end", unit="s", bounds=(0, 600), live=True
    )


#: The tables of the file, in the order of the fields of `Config`.
SECTIONS: dict[str, type] = {
    "": Daemon,
    "chat": netlabsvc.chat.settings.Settings,
    "udp": netlabsvc.udp.settings.Settings,
    "udp.stamp": netlabsvc.udp.settings.Stamp,
    "udp.irtt": netlabsvc.udp.settings.Irtt,
    "web": netlabsvc.web.settings.Settings,
    "mail.sandbox": netlabsvc.mail.settings.Sandbox,
    "mail.queue": netlabsvc.mail.settings.Queue,
}
KEYS: dict[str, Key] = {k.path: k for s, kind in SECTIONS.items() for k in keys_of(s, kind)}


class ConfigError(Exception):
    """Everything that is wrong with a configuration, a line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Setting:
    """A value and where it came from."""

    value: Any
    source: str = "default"
    rank: int = 0


@dataclass(frozen=True)
class Config:
    """The effective configuration."""

    settings: Mapping[str, Setting]
    daemon: Daemon
    chat: netlabsvc.chat.settings.Settings
    udp: netlabsvc.udp.settings.Settings
    stamp: netlabsvc.udp.settings.Stamp
    irtt: netlabsvc.udp.settings.Irtt
    web: netlabsvc.web.settings.Settings
    sandbox: netlabsvc.mail.settings.Sandbox
    queue: netlabsvc.mail.settings.Queue

    @classmethod
    def of(cls, settings: Mapping[str, Setting]) -> Config:
        """The configuration in which every key has its setting."""
        return cls(settings, *(_section(settings, *section) for section in SECTIONS.items()))

    def sections(self) -> Iterator[Any]:
        """The settings of each section, in the order of `SECTIONS`."""
        return (getattr(self, f.name) for f in fields(self)[1:])

    def as_toml(self) -> str:
        """The whole configuration as a file that would give it, each value with its source."""
        lines: list[str] = []
        for section, kind in SECTIONS.items():
            lines += ["", f"[{section}]"] if section else []
            for k in keys_of(section, kind):
                setting = self.settings[k.path]
                text = toml.literal(k.written(setting.value))
                lines.append(f"{k.name} = {text}  # {setting.source}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Source:
    """Where a configuration comes from, kept so that it can be read again.

    :ivar environ: as it was at the start, as are the flags; both still override the file.
    :ivar directory: what relative paths start from, wherever twistd has gone since.
    """

    file: Path | None
    environ: Mapping[str, str]
    flags: Mapping[str, str]
    directory: Path

    def load(self) -> Config:
        """:raises ConfigError: with every mistake."""
        return load(self.file, self.environ, self.flags)

    def load_again(self) -> Config:
        """:raises ConfigError: with every mistake; there may be no file, or none any more."""
        if self.file is None:
            raise ConfigError(["there is no file to read again; --config names one at a start"])
        file = self.directory / self.file
        with suppress(OSError):  # what cannot be looked at cannot be read either: `load` says why
            if file.exists() and not file.is_file():  # a pipe would keep us waiting
                raise ConfigError([f"{file}: no regular file: it can be read at a start only"])
        return load(file, self.environ, self.flags, self.directory)


def load(
    file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, str],
    directory: Path = Path(),
) -> Config:
    """Put the configuration together.

    :param flags: option of ``twistd netlab`` (without dashes) and its text, only those given.
    :param directory: what a relative path in it starts from.
    :raises ConfigError: with every mistake of the file, the environment and the flags.
    """
    mistakes: list[str] = []
    origins: dict[str, Origin] = {}
    found = {path: Setting(k.default) for path, k in KEYS.items()}
    found["state_dir"] = Setting(*state.state_directory(environ))
    try:
        layers = [*_from_file(file, mistakes)] if file else []
    except ConfigError as error:
        layers, mistakes = [], error.mistakes
    layers += _from_environment(environ, mistakes)
    layers += _from_flags(flags)
    for path, raw, origin, rank in layers:
        try:
            value = KEYS[path].value(raw)
        except TableError as error:
            mistakes += [f"{origin(b)}: {_below(path, b)}: {why}" for b, why in error.mistakes]
        except ValueError as error:
            mistakes.append(f"{origin(())}: {path} = {toml.literal(raw)}: {error}")
        else:
            if path != "state_dir" or value:
                found[path] = Setting(value, origin(()), rank)
                origins[path] = origin
    _settle_exclusions(found, mistakes)
    _check(found, origins, mistakes, directory)
    if mistakes:
        raise ConfigError(mistakes)
    return Config.of(found)


def _section(found: Mapping[str, Setting], section: str, kind: type) -> Any:
    return kind(**{k.name: found[k.path].value for k in keys_of(section, kind)})


#: Where a key was set, or what the names below it lead to: ``netlab.toml:12``.
Origin = Callable[[toml.Path], str]
Layer = Iterator[tuple[str, Any, Origin, int]]


def _always(source: str) -> Origin:
    return lambda below: source


def _below(path: str, names: toml.Path) -> str:
    """A key with names below it, as they stand in a file: ``web.hosts."a.lab".root``."""
    return ".".join([path, *(n if n.isalnum() else toml.literal(n) for n in names)])


def _from_file(file: Path, mistakes: list[str]) -> Layer:
    try:
        text = file.read_text("utf-8-sig")  # Windows editors begin a file with a BOM
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"{file}: cannot read the configuration: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        line = file.read_bytes().count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{file}:{line}: not UTF-8; save the file as UTF-8"]) from None
    except (ValueError, RecursionError) as error:  # a number of 5000 digits, a thousand brackets
        raise ConfigError([f"{file}: not valid TOML: {error}"]) from None
    lines = toml.key_lines(text)

    def line_of(path: toml.Path) -> int:
        # A key inside an inline table has no line of its own: its table's line is the nearest.
        return next(lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines)

    def origin(path: toml.Path) -> Origin:
        return lambda below: f"{file}:{line_of(path + below)}"

    for path, raw in _leaves(tree, ()):
        dotted = ".".join(path)
        line = line_of(path)
        if (dotted in KEYS or _is_table(dotted)) and tuple(dotted.split(".")) != path:
            quoted = ".".join(f'"{name}"' if "." in name else name for name in path)
            mistakes.append(
                f"{file}:{line}: {quoted}: quotes make one name of it; write {dotted} without them"
            )
        elif dotted in KEYS:
            yield dotted, raw, origin(path), 1
        else:
            mistakes.append(f"{file}:{line}: {_unknown(dotted, raw)}")


def _unknown(dotted: str, raw: object) -> str:
    """What to say of a name in the file that is no key."""
    tables = [section for section in SECTIONS if section]
    if _is_table(dotted):
        below = next(section for section in tables if f"{section}.".startswith(f"{dotted}."))
        return f"{dotted} is a table; write [{below}] and its keys below it"
    if isinstance(raw, dict):
        known = f"; the known ones are {', '.join(tables)}"
        return f"unknown table {dotted}{nearest(dotted, tables) or known}"
    return f"unknown key {dotted}{nearest(dotted, list(KEYS))}"


def _is_table(dotted: str) -> bool:
    return any(f"{section}.".startswith(f"{dotted}.") for section in SECTIONS if section)


def _leaves(tree: Mapping[str, Any], path: toml.Path) -> Iterator[tuple[toml.Path, Any]]:
    for name, value in tree.items():
        below = (*path, name)
        if isinstance(value, dict) and _is_table(".".join(below)):
            yield from _leaves(value, below)
        else:
            yield below, value


def _from_environment(environ: Mapping[str, str], mistakes: list[str]) -> Layer:
    known = {k.variable: path for path, k in KEYS.items()}
    for variable, text in environ.items():
        if variable in known:
            # As everywhere in the environment, an empty variable counts as not set.
            if text:
                yield known[variable], text, _always(f"${variable}"), 2
        elif variable.startswith("NETLAB_") and variable not in FOREIGN_VARIABLES:
            mistakes.append(f"${variable}: unknown variable{nearest(variable, list(known))}")


def _from_flags(flags: Mapping[str, str]) -> Layer:
    known = {k.flag: path for path, k in KEYS.items() if k.flag}
    for flag, text in flags.items():
        yield known[flag], text, _always(f"--{flag}"), 3


def _settle_exclusions(found: dict[str, Setting], mistakes: list[str]) -> None:
    """Of two keys that exclude each other the stronger source wins; one source must choose."""
    for path, k in KEYS.items():
        other = f"{k.section}.{k.excludes}".lstrip(".")
        if not k.excludes or not found[other].value:
            continue
        mine, theirs = found[path], found[other]
        if mine.rank > theirs.rank:
            found[other] = Setting(KEYS[other].default, f"set aside for {path}")
        elif mine.rank == theirs.rank and mine.value != k.default:
            mistakes.append(
                f"{theirs.source}: {other} and {path} ({mine.source}) are both set; keep one"
            )


def _check(
    found: Mapping[str, Setting],
    origins: Mapping[str, Origin],
    mistakes: list[str],
    directory: Path,
) -> None:
    """What only the file system or several values together can tell."""
    for name, host in found["web.hosts"].value.items():
        if not host.root or not _is_directory(directory / host.root):
            below = (name, "root")
            mistakes.append(
                f"{origins['web.hosts'](below)}: {_below('web.hosts', below)} = "
                f"{toml.literal(host.root)}: no such directory; name one that exists"
            )
    root = found["web.root"]
    if root.value and not _is_directory(directory / root.value):
        mistakes.append(
            f"{root.source}: web.root = {toml.literal(root.value)}: no such directory; "
            "name one that exists, or leave it out for the packaged site"
        )
    for path, read in _READ_AT_START.items():
        try:
            read(found[path].value, directory)
        except ValueError as error:
            value = toml.literal(found[path].value)
            mistakes.append(f"{found[path].source}: {path} = {value}: {error}")
    if not found["services"].value:
        mistakes.append(
            f"{found['services'].source}: services is empty; {KEYS['services'].accepts()}"
        )


def _read_faults(text: str, directory: Path) -> object:
    return netlabsvc.udp.inputs.faults(text) if text else None


#: What names files, or profiles, that are read when the lab starts.
_READ_AT_START: dict[str, Callable[[str, Path], object]] = {
    "udp.impair": _read_faults,
    "udp.stamp.impair": _read_faults,
    "udp.irtt.impair": _read_faults,
    "udp.fate": netlabsvc.udp.inputs.script,
    "udp.stamp.key_file": netlabsvc.udp.inputs.stamp_key,
    "udp.irtt.key_file": netlabsvc.udp.inputs.irtt_key,
}


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # it may not be looked at
        return False
