"""Where the daemon of this user keeps its state, for commands that read it there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """$NETLAB_STATE_DIR, $STATE_DIRECTORY (systemd), $XDG_STATE_HOME/netlab, ~/.local/state/netlab.

    The first of them that is set and not empty.
    """
    if environment.get("NETLAB_STATE_DIR"):
        return Path(environment["NETLAB_STATE_DIR"])
    if environment.get("STATE_DIRECTORY"):
        # systemd.exec(5): several are separated by colons.
        return Path(environment["STATE_DIRECTORY"].split(":")[0])
    home = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "netlab"
