"""How text from outside is shown."""

from __future__ import annotations

import unicodedata

import pytest

from netlabsvc.escape import escape

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
