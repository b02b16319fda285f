"""The Unix socket of the control API: only its owner, and root, may open it (mode 0600)."""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

#: sockaddr_un of Linux holds 108 bytes, the last of them a NUL (unix(7)).
MAX_PATH_BYTES = 107


class SocketError(Exception):
    """Why there is no control socket, in words."""


class InUse(SocketError):
    """Another daemon answers there."""


def listen(path: Path, factory: Any, reactor: Any) -> IListeningPort:
    """Open the socket; what a dead daemon left there goes, what a living one uses stays.

    :raises SocketError: says why it cannot be had.
    """
    if len(os.fsencode(path)) > MAX_PATH_BYTES:
        raise SocketError(f"{path} is longer than the {MAX_PATH_BYTES} bytes of a socket's path")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _clear(path)
        # From the first moment on: between a bind and a chmod anybody could connect.
        before = os.umask(0o177)
        try:
            port: IListeningPort = reactor.listenUNIX(str(path), factory, mode=0o600)
        finally:
            os.umask(before)
    except OSError as error:
        raise SocketError(f"{error.filename or path}: {error.strerror}") from None
    except CannotListenError as error:
        raise SocketError(f"{path}: {getattr(error.socketError, 'strerror', error)}") from None
    return port


def close(port: IListeningPort, path: Path) -> Deferred[None] | None:
    """Close the socket and remove it; somebody may have removed it already."""
    with suppress(OSError):
        path.touch()  # Twisted's port has no mercy with a socket that is gone
    stopped: Deferred[None] | None = port.stopListening()
    return stopped


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on.

    :raises SocketError: when somebody does, or it is no socket.
    """
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise SocketError(f"{path} is there already and is no socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise InUse(f"another daemon answers on {path}")
