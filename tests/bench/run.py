"""What a section of the bench is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .report import Report


@dataclass(frozen=True)
class Run:
    """One call of the bench.

    :ivar quick: smaller loads, one round: to see that it works.
    :ivar also: command lines of more servers to compare with, by name.
    """

    report: Report
    directory: Path
    quick: bool
    also: Mapping[str, str]
