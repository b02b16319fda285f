"""The configuration of a lab that runs: read again, compared, and followed by the rooms.

What can change while the lab runs (the keys declared ``live``) changes at once, all of it or
nothing; what cannot is named. Nothing here knows a room or a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from twisted.logger import Logger

from netlabsvc import toml
from netlabsvc.config import KEYS, SECTIONS, Config, ConfigError, Daemon, Setting, Source
from netlabsvc.logs import NOT_OURS, Observer

#: Takes the settings of its section and returns what puts them into force, which cannot fail;
#: raises `Unfit` when they cannot be.
Follower: TypeAlias = Callable[[Any], Callable[[], object]]


class Unfit(Exception):
    """A value that a configuration may have, but this lab cannot take while it runs."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(why)
        self.path = path


class Change(NamedTuple):
    """A key whose configured value is another: in force until now, and as it was read again."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True)
class Reload:
    """What has become of the keys whose configured value is another.

    A key that an operator has changed meanwhile, and whose configured value is as it was, is not
    among them: it keeps what the operator gave it.
    """

    changed: list[Change]
    needs_restart: list[Change]


def compare(old: Config, new: Config) -> Reload:
    """What `new` asks of a lab in which `old` is in force."""
    changes = [
        Change(path, setting.value, new.settings[path].value)
        for path, setting in old.settings.items()
        if setting.value != new.settings[path].value
    ]
    return Reload(
        [change for change in changes if KEYS[change.path].live],
        [change for change in changes if not KEYS[change.path].live],
    )


def in_force(old: Config, new: Config) -> Config:
    """What holds after a reload: the new values where they can change, else the old ones.

    So each reload names again what still waits for a restart.
    """

    def settled(path: str) -> Setting:
        before, after = old.settings[path], new.settings[path]
        return after if KEYS[path].live or before.value == after.value else before

    return Config.of({path: settled(path) for path in old.settings})


class Live:
    """The configuration in force, where it came from, and who follows it.

    :ivar source: None where it cannot be read again.
    """

    def __init__(self, config: Config, log: Logger) -> None:
        self.config = config
        self.source: Source | None = None
        self._log = log
        self._followers: list[tuple[str, Follower]] = []

    def follow(self, section: str, prepare: Follower) -> None:
        """Let somebody follow a section of the configuration ("" for the daemon's own keys)."""
        self._followers.append((section, prepare))

    def reload(self) -> Reload:
        """Read the configuration again and follow it; the log names what changes and what does not.

        :raises ConfigError: with every mistake, which the log names too; nothing has changed then.
        """
        try:
            if self.source is None:
                raise ConfigError(["nobody has said where the configuration comes from"])
            new = self.source.load_again()
            outcome, config = compare(self.config, new), in_force(self.config, new)
            put_into_force = self._prepare(outcome, config)
        except ConfigError as error:
            for mistake in error.mistakes:
                self._log.error("reload: {mistake}", mistake=mistake)
            self._log.error("reload: nothing has changed", event="not_reloaded")
            raise
        self._tell(outcome, new)
        for put in put_into_force:
            put()
        self.config = config
        # Last, in the form and at the level that the log has by now.
        changed, waiting = len(outcome.changed), len(outcome.needs_restart)
        text = "reloaded: {changed} changed, {waiting} wait for a restart"
        self._log.info(text, event="reloaded", changed=changed, waiting=waiting)
        return outcome

    def _prepare(self, outcome: Reload, config: Config) -> list[Callable[[], object]]:
        """Ask everyone concerned before anything changes."""
        by_section = dict(zip(SECTIONS, config.sections(), strict=True))
        concerned = {KEYS[change.path].section for change in outcome.changed}
        prepared, mistakes = [], []
        for section, prepare in self._followers:
            try:
                if section in concerned:
                    prepared.append(prepare(by_section[section]))
            except Unfit as unfit:
                setting = config.settings[unfit.path]
                value = written(unfit.path, setting.value)
                mistakes.append(f"{setting.source}: {unfit.path} = {value}: {unfit}")
        if mistakes:
            raise ConfigError(mistakes)
        return prepared

    def _tell(self, outcome: Reload, new: Config) -> None:
        for change in outcome.changed:
            self._log.info("reload: {key} is now {new} (it was {old})", **_shown(change))
        for change in outcome.needs_restart:
            self._log.warn(
                "reload: {key} stays {old} until a restart ({source}: {new})",
                source=new.settings[change.path].source,
                **_shown(change),
            )


def prepare_log(config: Config, observer: Observer | None, daemon: Daemon) -> Callable[[], object]:
    """Follow log_level and log_format; who set a level by hand keeps it if neither changes.

    :param config: in force until now.
    :raises Unfit: when the log is not ours.
    """
    old = config.daemon
    changed = [k for k in ("log_level", "log_format") if getattr(daemon, k) != getattr(old, k)]
    if changed and observer is None:
        raise Unfit(changed[0], NOT_OURS)

    def follow() -> None:
        if observer is not None and "log_level" in changed:
            observer.level = daemon.log_level
        if observer is not None and "log_format" in changed:
            observer.set_format(daemon.log_format)

    return follow


def _shown(change: Change) -> dict[str, str]:
    path, old, new = change
    return {"key": path, "old": written(path, old), "new": written(path, new)}


def written(path: str, value: object) -> str:
    """The value of a key as the file would hold it."""
    return toml.literal(KEYS[path].written(value))
