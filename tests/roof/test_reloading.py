"""netlabsvc.reloading: what a configuration that is read again changes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from netlabsvc import config, reloading
from netlabsvc.lab import Lab
from netlabsvc.logs import Observer
from netlabsvc.notify import Notifier
from netlabsvc.reloading import Unfit


class Reloadable:
    """A lab without services, and its file."""

    def __init__(self, tmp_path: Path, text: str, **flags: str) -> None:
        self.file = tmp_path / "lab.toml"
        self.file.write_text(text)
        source = config.Source(self.file, {}, flags, tmp_path)
        self.lab = Lab(source.load(), Clock(), Notifier({}, Clock()))
        self.lab.live.source = source
        self.lab.observer = Observer(lambda data: None, "text")
        self.applied: list[Any] = []
        for section in ("chat", "udp"):
            self.lab.live.follow(section, self.prepare)

    def prepare(self, settings: Any) -> Callable[[], object]:
        return lambda: self.applied.append(settings)

    def reload(self, text: str) -> tuple[reloading.Reload | None, list[str]]:
        """What comes of a reload (None: an error), and the log without the file's name."""
        self.file.write_text(text)
        outcome = None
        with capturedLogs() as caught, suppress(config.ConfigError):
            outcome = self.lab.reload()
        return outcome, [formatEvent(e).replace(str(self.file), "FILE") for e in caught]


def test_what_can_change_is_told_from_what_cannot(tmp_path: Path) -> None:
    """Both by key with the old and the new value; keys that are as they were are not named."""
    old = config.load(None, {"HOME": "/"}, {"chat-port": "1", "udp-loss": "30%"})
    new = config.load(None, {"HOME": "/"}, {"chat-port": "2", "log-level": "warn"})
    outcome = reloading.compare(old, new)
    assert outcome.changed == [("log_level", "info", "warn"), ("udp.loss", 0.3, 0.0)]
    assert outcome.needs_restart == [("chat.port", 1, 2)]
    settled = reloading.in_force(old, new)
    assert (settled.chat.port, settled.udp.loss, settled.daemon.log_level) == (1, 0.0, "warn")


def test_only_sections_that_change_are_applied_and_all_is_named(tmp_path: Path) -> None:
    """What waits for a restart is named again by each reload, until the file has it as it was."""
    lab = Reloadable(tmp_path, "[chat]\nport = 1\n")
    outcome, log = lab.reload('[chat]\nport = 2\nrate = "off"\n')
    assert outcome is not None
    assert log == [
        'reload: chat.rate is now "off" (it was 10.0)',
        "reload: chat.port stays 1 until a restart (FILE:2: 2)",
        "reloaded: 1 changed, 1 wait for a restart",
    ]
    assert [(s.port, s.rate) for s in lab.applied] == [(1, None)]
    assert (lab.lab.config.chat.port, lab.lab.config.chat.rate) == (1, None)
    _, log = lab.reload('[chat]\nport = 2\nrate = "off"\n')
    assert "stays 1" in log[0]
    assert len(lab.applied) == 1
    _, log = lab.reload('[chat]\nport = 1\nrate = "off"\n')
    assert log == ["reloaded: 0 changed, 0 wait for a restart"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[chat]\nrate = 5\nburst = 0\n", "FILE:3: chat.burst = 0: takes a whole number"),
        ("[chat]\nrate = 5\nburts = 1\n", "FILE:3: unknown key chat.burts; the nearest known"),
        ("[chat\n", "FILE: not valid TOML"),
        ("[chat]\nrate = 5\n[udp]\nloss = 1\n", "FILE:4: udp.loss = 1.0: not here"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(tmp_path: Path, text: str, words: str) -> None:
    """Not its good keys either, whether the file is broken or a room refuses a value."""

    def refuse(settings: Any) -> Callable[[], object]:
        raise Unfit("udp.loss", "not here")

    lab = Reloadable(tmp_path, "")
    lab.lab.live.follow("udp", refuse)
    before = lab.lab.config
    outcome, log = lab.reload(text)
    assert outcome is None
    assert log[0].startswith(f"reload: {words}")
    assert log[-1] == "reload: nothing has changed"
    assert lab.applied == []
    assert lab.lab.config is before


def test_flags_go_on_to_override_the_file(tmp_path: Path) -> None:
    """A file that changes below a flag changes nothing."""
    lab = Reloadable(tmp_path, "", **{"udp-loss": "30%"})
    outcome, _ = lab.reload("[udp]\nloss = 1.0\n")
    assert outcome == reloading.Reload([], [])
    assert lab.applied == []


def test_the_log_follows_but_keeps_what_was_set_by_hand(tmp_path: Path) -> None:
    """A level that an operator has set stays until the configured one changes."""
    lab = Reloadable(tmp_path, "")
    lab.lab.log_level = "error"
    lab.reload("shutdown_grace_s = 1.0\n")
    assert (lab.lab.log_level, lab.lab.config.daemon.shutdown_grace_s) == ("error", 1.0)
    lab.reload('log_level = "warn"\n')
    assert lab.lab.log_level == "warn"
    with pytest.raises(ValueError, match="takes one of debug, info, warn, error"):
        lab.lab.log_level = "loud"


def test_a_log_that_is_not_ours_has_no_level(tmp_path: Path) -> None:
    """With twistd's --syslog: an error that says so, and nothing changes."""
    lab = Reloadable(tmp_path, "")
    lab.lab.observer = None
    assert lab.lab.log_level is None
    with pytest.raises(ValueError, match="--syslog"):
        lab.lab.log_level = "warn"
    outcome, log = lab.reload('log_level = "warn"\n[udp]\nloss = 1.0\n')
    assert (outcome, lab.applied) == (None, [])
    assert 'FILE:1: log_level = "warn": the log goes to twistd' in log[0]
