"""Where the daemon keeps what must survive, and where the commands look for it."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path


def at_home(path: str) -> str:
    """A path whose ~ no shell expanded; ~nobody stays as it is."""
    return os.path.expanduser(path)  # noqa: PTH111 - Path has an error for ~nobody, "." for ""


def state_directory(environ: Mapping[str, str]) -> tuple[str, str]:
    """The state directory that an environment asks for, and the variable that said so.

    $NETLAB_STATE_DIR, else $STATE_DIRECTORY (systemd.exec(5); of several, ours is the first), else
    $XDG_STATE_HOME/netlab, which without the variable is ~/.local/state/netlab (XDG Base Directory
    Specification). A variable that is empty counts as not set.
    """
    if given := environ.get("NETLAB_STATE_DIR"):
        return at_home(given), "$NETLAB_STATE_DIR"
    if given := environ.get("STATE_DIRECTORY"):
        return given.split(":")[0], "$STATE_DIRECTORY"
    if base := environ.get("XDG_STATE_HOME"):
        return str(Path(base) / "netlab"), "$XDG_STATE_HOME"
    return str(Path(environ.get("HOME") or "/") / ".local/state/netlab"), "default"
