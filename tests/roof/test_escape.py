"""How text from outside is shown."""

from __future__ import annotations

import json
import unicodedata

import pytest

from netlabsvc.escape import escape, json_text

BIDI = {
    "\u061c",
    "\u200e",
    "\u200f",
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2066, 0x206A)),
}


def hostile() -> list[str]:
    """What can end a line, move a cursor or turn a text round: by category, not by our table."""
    every = map(chr, range(0x110000))
    by_category = [c for c in every if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    return sorted({*by_category, *BIDI} - {"\t"})


def test_every_hostile_character_is_shown_as_an_escape() -> None:
    """No control, separator, surrogate or bidirectional control passes, alone or inside a text."""
    for char in hostile():
        assert escape(f"a{char}b").isascii(), f"U+{ord(char):04X}"
        assert escape(f"a{char}b").startswith("a\\")
        assert escape(f"a{char}b").endswith("b")


@pytest.mark.parametrize("text", ["", "hello", "你好", "a\tb", "ﷺ", "👩‍🏫", "e\u0301"])
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    """Letters of any script, marks, joined emoji and TAB are shown as they are."""
    assert escape(text) == text


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_safe_for_a_terminal_and_still_the_same_value(indent: int | None) -> None:
    """Hostile characters are escapes of JSON itself; other scripts stay readable."""
    value = {"name": "你好", "text": "".join(c for c in hostile() if not "\ud800" <= c <= "\udfff")}
    text = json_text(value, indent)
    assert json.loads(text) == value
    assert "你好" in text
    assert not set(text.replace("\n", "" if indent else "\n")) & set(hostile())
