"""A daemon for the tests that only need one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon with all services; its log must end without a traceback."""
    with Daemon(tmp_path) as running:
        yield running
