"""The profiles that are shipped, and those that people write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.escape import UNSAFE
from netlabsvc.udp import shelf
from netlabsvc.udp.grammar import parse
from netlabsvc.udp.notation import Mistake
from netlabsvc.udp.profiles import Profile, read

HOUSE = Path(__file__).parent.parent.parent
GOOD = 'description = "d"\nsource = "invented for teaching"\n'


@pytest.mark.parametrize("profile", shelf.shipped().values(), ids=lambda p: p.name)
def test_each_profile_that_is_shipped_says_where_it_is_from(profile: Profile) -> None:
    """A publication with its year or number, or the words; faults that do something; the manual."""
    words = ("RFC ", "ITU-T ", "MobiSys ", "Kurose and Ross", "invented for teaching")
    assert any(word in profile.source for word in words)
    assert "\n" not in profile.description
    assert parse(str(profile.faults)) == profile.faults != parse("off")
    assert f"| `{profile.name}` | {profile.description} |" in manual()


def manual() -> str:
    return (HOUSE / "docs" / "faults.md").read_text("utf-8")


def test_etc_shows_the_profiles() -> None:
    """etc/profiles is what the package ships."""
    shown = {path.stem for path in (HOUSE / "etc" / "profiles").glob("*.toml")}
    assert shown == set(shelf.shipped())
    assert len(shown) >= 5


def test_a_directory_of_ones_own(tmp_path: Path) -> None:
    """Each NAME.toml is a profile; other files are none."""
    (tmp_path / "mine.toml").write_text(f'{GOOD}[up]\nloss = "3%"\n')
    (tmp_path / "README").write_text("no profile")
    assert shelf.profiles(tmp_path)["mine"].faults == parse("up loss=3%")
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(Mistake, match="profile odd: it is not UTF-8"):
        shelf.profiles(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('source = "s"', "profile mine, line 1, description: a profile needs it"),
        ('description = "d"\nsource = " "', "profile mine, line 2, source: a profile needs it"),
        (f'{GOOD}[up]\nloss = "130%"', 'profile mine, line 4, up.loss: "130%": a probability is'),
        (f"{GOOD}[upp]", 'profile mine, line 3, upp: "upp": no such table; did you mean "up"?'),
        (f"{GOOD}x = {'[' * 5000}", "profile mine: "),
        (f"{GOOD}[up", "profile mine: Expected ']' at the end of a table declaration"),
    ],
)
def test_a_mistake_is_named_with_line_and_key(text: str, message: str) -> None:
    """And says what would be right."""
    with pytest.raises(Mistake) as caught:
        read("mine", text)
    assert str(caught.value).startswith(message)


PARTS = [
    *("[up]", "[", "]", "loss", "=", "'30%'", "'", "\n", GOOD, ".", "3", "{", "}"),
    "[" * 5000,
]


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(PARTS)).map("".join))
def test_no_text_raises_anything_but_a_mistake(text: str) -> None:
    """A file of any content is read, or refused on one line that is safe to show."""
    try:
        message = read("mine", text).name
    except Mistake as mistake:
        message = str(mistake)
    assert not UNSAFE.search(message)
