"""netlabsvc.toml: where a key stands, and how a value is written."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc import toml

DOCUMENT = '''# a comment with [brackets] = and "quotes"
host = "a # no comment"
services = [
    "chat",  # ]
    "udp",
]

[chat]
port = 1
"quoted key" = """
fake = 1
[fake]
"""
listen.a = { x = 1, y = "}" }

[mail.sandbox]
port = 2
'''


def test_key_lines_finds_every_key_and_no_fake_one() -> None:
    """Strings, arrays and comments that look like keys do not mislead it."""
    assert toml.key_lines(DOCUMENT) == {
        ("host",): 2,
        ("services",): 3,
        ("chat",): 8,
        ("chat", "port"): 9,
        ("chat", "quoted key"): 10,
        ("chat", "listen"): 14,
        ("chat", "listen", "a"): 14,
        ("mail",): 16,
        ("mail", "sandbox"): 16,
        ("mail", "sandbox", "port"): 17,
    }


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('"a\\U00000041" = 1\n', ("aA",)),
        ("'a\\n'.\"b.c\" . d = 1\n", ("a\\n", "b.c", "d")),
        ('x = """quoted"""" # \\\ny = "1"\n', ("y",)),
    ],
)
def test_keys_are_read_as_toml_reads_them(text: str, path: toml.Path) -> None:
    """Escapes that only TOML has, dots in quotes, strings that end with a quote."""
    tomllib.loads(text)
    assert toml.key_lines(text)[path] == text.count("\n")


@given(st.lists(st.text("abc", min_size=1), unique=True), st.text("\n# ='\"[]{}a", max_size=30))
def test_key_lines_names_the_line_that_defines_the_key(keys: list[str], value: str) -> None:
    """The line found for a key begins with it, whatever the values hold."""
    document = "".join(f"{key} = {toml.literal(value)}\n\n" for key in keys)
    lines = document.splitlines()
    for path, number in toml.key_lines(document).items():
        assert lines[number - 1].startswith(f"{path[0]} = ")
    assert len(toml.key_lines(document)) == len(keys)


VALUES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


@given(VALUES | st.lists(VALUES))
def test_literal_is_read_back_by_tomllib(value: object) -> None:
    """What literal writes is TOML for the same value."""
    assert tomllib.loads(f"x = {toml.literal(value)}")["x"] == value
