"""``python -m tests.bench [--quick] [--also 'NAME=COMMAND {port}'] [PART | PART.SECTION ...]``

Ends with status 1 when a target was missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from .report import Report
from .run import Run

#: The module of each part; it has a table SECTIONS of functions that take a `Run`.
PARTS = {
    "chat": ".chat.sections",
    "udp": ".udp.sections",
    "ping": ".ping.sections",
    "web": ".web.sections",
    "mail": ".mail.sections",
    "mailout": ".mailout.sections",
}


def sections(words: list[str]) -> list[Callable[[Run], None]]:
    """The sections that the words of a command line name; all of them without words.

    :raises ValueError: for a word that names none.
    """
    table: dict[str, Callable[[Run], None]] = {}
    for part, module in PARTS.items():
        for name, section in import_module(module, __package__).SECTIONS.items():
            table[f"{part}.{name}"] = section
    chosen = [n for n in table if not words or n in words or n.partition(".")[0] in words]
    for word in words:
        if word not in table and word not in PARTS:
            raise ValueError(f"no part {word!r}; there are {', '.join([*PARTS, *table])}")
    return [table[name] for name in chosen]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART[.SECTION]")
    parser.add_argument("--quick", action="store_true", help="smaller loads, one round")
    parser.add_argument("--also", action="append", default=[], metavar="NAME='COMMAND {port}'")
    options = parser.parse_args()
    try:
        chosen = sections(options.parts)
        also = dict(word.split("=", 1) for word in options.also)
    except ValueError as error:
        parser.error(str(error))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = Report()
    report.note(f"{os.cpu_count()} CPUs, all on loopback")
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as directory:
        for section in chosen:
            section(Run(report, Path(directory), options.quick, also))
    report.title("every target was held" if not report.missed else "MISSED:")
    for words in report.missed:
        report.note(words)
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
