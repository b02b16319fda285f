"""netlabsvc.chat.text: encodings, controls, names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat.text import GB18030, UTF_8, Decoder, check_name, clean, fold


@pytest.mark.parametrize("text", ["你好", "早上好，同学们", "数据结构与算法", "“引号”"])
def test_gbk_is_recognised_and_latched(text: str) -> None:
    """Chinese that is no valid UTF-8 is read as GB18030, from that line on."""
    decoder = Decoder()
    assert decoder.decode([text.encode("gbk")]) == [text]
    assert (decoder.encoding, decoder.latched) == (GB18030, True)
    assert decoder.decode(["说".encode("gbk")]) == ["说"]  # valid UTF-8 by chance


@pytest.mark.parametrize("text", ["你好，世界", "привет, мир", "naïve café déjà vu élève où là"])
def test_utf8_is_latched_once_it_cannot_be_chance(text: str) -> None:
    """After enough valid UTF-8 a broken line no longer turns the client into a GBK one."""
    decoder = Decoder()
    assert decoder.decode([text.encode()]) == [text]
    assert decoder.latched
    assert decoder.decode(["你好".encode("gbk")]) == [r"\xc4\xe3\xba\xc3"]


def test_one_character_that_is_valid_both_ways_settles_nothing() -> None:
    """The evidence that comes later decides."""
    decoder = Decoder()
    decoder.decode(["一".encode("gbk")])
    assert not decoder.latched
    assert decoder.decode(["你好".encode("gbk")]) == ["你好"]


def test_bytes_that_are_no_text_are_shown() -> None:
    """Neither encoding fits: each byte is shown as what it is, and nothing is latched."""
    decoder = Decoder()
    assert decoder.decode([b"a\xff\xfeb"]) == [r"a\xff\xfeb"]
    assert (decoder.encoding, decoder.latched) == (UTF_8, False)


@given(st.lists(st.binary(max_size=12) | st.text(max_size=4).map(str.encode), min_size=1))
def test_lines_read_at_once_or_one_by_one_are_the_same(lines: list[bytes]) -> None:
    """How many lines come in one chunk changes neither texts nor encoding."""
    lines = [line.replace(b"\n", b"") for line in lines]
    whole, single = Decoder(), Decoder()
    assert whole.decode(lines) == [single.decode([line])[0] for line in lines]
    assert whole.encoding == single.encoding


@given(st.text())
def test_a_cleaned_line_is_one_line(text: str) -> None:
    """Nothing in it ends a line or drives a terminal; TAB is text."""
    cleaned = clean(text)
    assert len(cleaned.splitlines()) <= 1
    assert not any(ord(c) < 0x20 and c != "\t" for c in cleaned)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("helo\x08lo", "hello"),
        ("\x7f\x7fab\x7f\x08\x08c", "c"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\x85b\u2028c\u202ed", r"a\x85b\u2028c\u202ed"),
        ("a\rb\x0bc\x0cd", r"a\rb\x0bc\x0cd"),
        ("你好\tworld", "你好\tworld"),
    ],
)
def test_clean(text: str, shown: str) -> None:
    """Rubbed out characters go, controls are shown, the rest stays."""
    assert clean(text) == shown


@pytest.mark.parametrize("name", ["ada", "小明", "Ada_L.-9", "Жанна", "あきら山", "a" * 24])
def test_good_names(name: str) -> None:
    """Letters of one script, digits and _-. make a name."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "1 to 24"),
        ("a" * 25, "1 to 24"),
        ("a b", "' ' is none"),
        ("a\nb", "none"),
        ("p\u0430ul", "mixes Cyrillic and Latin"),
        ("小明tom", "mixes CJK and Latin"),
        ("Operator", "reserved"),
        ("ｓｅｒｖｅｒ", "reserved"),
        ("a\u202eb", "none"),
        ("😀", "none"),
        ("a\u3164", "none"),
    ],
)
def test_bad_names_are_refused_with_a_reason(name: str, reason: str) -> None:
    """The reason says which rule was broken."""
    with pytest.raises(ValueError, match=reason):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"), [("Ada", "ADA"), ("ada", "ａｄａ"), ("straße", "STRASSE")]
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    """Case and width make no other name."""
    assert fold(one) == fold(other)
