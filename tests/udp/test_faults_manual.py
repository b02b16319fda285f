"""docs/faults.md says what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from netlabsvc.udp import clockfault, fate, grammar
from netlabsvc.udp.faults import Faults

MANUAL = (Path(__file__).parent.parent.parent / "docs" / "faults.md").read_text("utf-8")


def block(kind: str) -> str:
    """The one block of this kind."""
    (text,) = re.findall(rf"```{kind}\n(.*?)```", MANUAL, re.DOTALL)
    return str(text)


@pytest.mark.parametrize("text", re.findall(r"`((?:up|down|both|clock) [^`]+)`", MANUAL))
def test_every_example_is_read_and_does_something(text: str) -> None:
    """What stands there can be typed as it is."""
    assert grammar.parse(text) != Faults()


def test_the_manual_knows_every_word_and_no_other() -> None:
    """The table of words is the parser's; head, fate and verdict tables are the code's, too."""
    words = re.findall(r"^\| `(\w+)` \|.*`(?:up|down|clock) ", MANUAL, re.MULTILINE)
    assert words == [*grammar.WORDS, *clockfault.WORDS]
    for kind in fate.KINDS:
        assert re.search(rf"^\| `{kind}[ `]", MANUAL, re.MULTILINE)
    assert all(f"\n| `{head}` |" in MANUAL for head in grammar.HEADS)


def test_the_longer_examples_are_read() -> None:
    """The TOML form, and the script."""
    faults = grammar.from_table(tomllib.loads(block("toml")))
    text = "up loss=30% delay=20ms~5ms:normal fifo; down dup=2%; clock drift=20ppm"
    assert faults == grammar.parse(text)
    script = fate.parse(block("fate"))
    assert script.deed(11, "down") == fate.Deed("deliver")
    assert script.deed(40, "down") == fate.Deed("delay", 300_000_000)
