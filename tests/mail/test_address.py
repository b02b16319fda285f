"""The strict check of envelope addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.address import AddressError, bare, is_domain, mailbox, split

GOOD = [
    "ada@lab",
    "Ada.Lovelace+tag@mail.example.org",
    "ada@[127.0.0.1]",
    "ada@[IPv6:::1]",
    '"ada b"@lab',
    r'"a\"b,@c"@lab',
    "小明@例子.中国",
    "bob@bücher.example",
    "x@" + ".".join(["a" * 63] * 3),
]
BAD = {
    "ada": "no @",
    "@lab": "nothing before",
    "ada@": "nothing after",
    "a b@lab": "a blank at character 2",
    "ada@la b": "a blank",
    " ada@lab": "a blank at character 1",
    "ada@lab\r\nDATA": "CR at character 8",
    "ada\n@lab": "LF",
    "ada\0@lab": "NUL",
    "ada\t@lab": "a tab",
    "ada\u202e@lab": "RIGHT-TO-LEFT OVERRIDE",
    "ada\u00a0@lab": "NO-BREAK SPACE",
    '"ada\r"@lab': "CR",
    "a..b@lab": "dot",
    ".a@lab": "dot",
    "a<b@lab": "quotes",
    '"a@lab': "quoted part",
    "a@la_b": "'_' cannot be part of a domain",
    "a@-lab": "hyphen",
    "a@lab.": "dot in the domain",
    "a@" + "b" * 64: "63 octets",
    "a" * 65 + "@lab": "64 octets",
    "a@" + "b." * 130 + "c": "254 octets",
    "a@[127.0.0.256]": "no address literal",
    "a@[127.0.0.1": "no address literal",
    "a@[IPv6:fe80::1%lo]": "names an interface",
    "a@例。中国": "cannot be part of a domain",
    "a@\ud800": "cannot be part of an address",
}


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_kept_as_written(text: str) -> None:
    """Literals, quotes and letters of any script pass, and nothing is changed."""
    assert str(mailbox(text)) == text


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    """The error says which character or part is wrong."""
    with pytest.raises(AddressError) as caught:
        mailbox(text)
    assert BAD[text] in str(caught.value)
    assert str(caught.value).isprintable()


@given(st.text())
def test_an_address_that_passes_fits_on_a_command_line(text: str) -> None:
    """Whatever passes ends no line, hides no character, and can be sent as UTF-8."""
    try:
        mailbox(text)
    except AddressError:
        return
    assert text.isprintable()
    assert len(text.encode()) <= 254


def test_a_list_is_cut_at_commas_outside_quotes() -> None:
    """A comma inside quotes belongs to the address; an empty place is an error."""
    assert split('ada@lab, "b,c"@lab,d@lab') == ["ada@lab", '"b,c"@lab', "d@lab"]
    for text in ("", "ada@lab,", "a@b,,c@d"):
        with pytest.raises(AddressError, match="nothing between"):
            split(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        *(("<b@lab>", "b@lab"), ("Bob <b@lab>", "b@lab"), ("b@lab", "b@lab")),
        *(("b@lab>", None), ("<<b@lab>", None), ("<b@lab", None), ("b <b@lab> x", None)),
    ],
)
def test_brackets_come_in_pairs(text: str, address: str | None) -> None:
    """One pair is taken off; half a pair is refused, never mended."""
    if address is None:
        with pytest.raises(AddressError):
            mailbox(bare(text))
    else:
        assert str(mailbox(bare(text))) == address


def test_a_host_name_is_a_domain_in_ascii() -> None:
    """EHLO needs letters, digits, hyphens and dots."""
    assert is_domain("lab-1.example.org")
    for name in ("küche", "", "a b", "a_b", "-a", "a" * 64, "lab\r\n"):
        assert not is_domain(name)
