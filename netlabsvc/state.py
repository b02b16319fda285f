"""Where the daemon keeps what must survive, where it is told what to do, and where to look."""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from pathlib import Path

SOCKET = "control.sock"
#: Of the system service (RuntimeDirectory=netlab).
SERVICE_SOCKET = "/run/netlab/control.sock"


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


def control_socket(environ: Mapping[str, str], state_dir: str) -> str:
    """Where the daemon's control socket is when nothing else is said.

    control.sock in $RUNTIME_DIRECTORY (systemd.exec(5)), else in $XDG_RUNTIME_DIR/netlab, else in
    the state directory.
    """
    if given := environ.get("RUNTIME_DIRECTORY"):
        return str(Path(given.split(":")[0]) / SOCKET)
    if given := environ.get("XDG_RUNTIME_DIR"):
        return str(Path(given) / "netlab" / SOCKET)
    return str(Path(state_dir) / SOCKET)


def control_sockets(environ: Mapping[str, str]) -> list[str]:
    """Where a command looks for the control socket, in this order.

    $NETLAB_CONTROL alone where it is set; else where this user's daemon has it, in the state
    directory, and where the system service has it.
    """
    given = environ.get("NETLAB_CONTROL")
    if given and given != "off":
        return [at_home(given)]
    state_dir = state_directory(environ)[0]
    usual = control_socket(environ, state_dir)
    return list(dict.fromkeys([usual, str(Path(state_dir) / SOCKET), SERVICE_SOCKET]))
