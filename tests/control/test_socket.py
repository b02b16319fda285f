"""The Unix socket of the control API."""

from __future__ import annotations

import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from netlabsvc.control.socket import SocketError, listen


class Binder:
    """A reactor that binds and does no more; it notes the mode that the file had then."""

    def __init__(self) -> None:
        self.modes: list[int] = []

    def listenUNIX(self, path: str, factory: Any, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(path)
            self.modes.append(stat.S_IMODE(Path(path).stat().st_mode))


def test_nobody_else_can_open_it_even_before_its_mode_is_set(tmp_path: Path) -> None:
    """Between bind and chmod the file has no mode for others either; its directory neither."""
    binder = Binder()
    listen(tmp_path / "deep" / "er" / "c", None, binder)
    assert binder.modes == [0o600]
    assert stat.S_IMODE((tmp_path / "deep" / "er").stat().st_mode) == 0o700


def test_a_path_that_is_too_long_says_so(tmp_path: Path) -> None:
    """Before the kernel does, in fewer words."""
    with pytest.raises(SocketError, match="is longer than the 107 bytes of a socket's path"):
        listen(tmp_path / ("x" * 100), None, Binder())


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """With the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SocketError, match=r"/file: (File exists|Not a directory)"):
        listen(tmp_path / "file" / "c", None, Binder())
