"""netlabsvc.mail.lint: what is wrong with a message on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.lint import RULES, lint
from netlabsvc.mail.record import Finding

HEAD = b"Date: now\r\nFrom: a@lab\r\nMessage-ID: <1@lab>\r\n"
GOOD = HEAD + b"\r\nHello\r\n"


@pytest.mark.parametrize(
    ("data", "finding"),
    [
        (HEAD + b"\r\none\ntwo\nthree\r\n", Finding("bare-lf", 2, 5)),
        (HEAD + b"\r\none\rtwo\r\n", Finding("bare-cr", 1, 5)),
        (HEAD + b"\r\n\r\n" + b"x" * 999 + b"\r\n", Finding("long-line", 1, 6, "999 octets")),
        (HEAD + b"\r\n\xe4\xbd\xa0\r\n", Finding("undeclared-8bit", 3, 5)),
        (HEAD + b"\r\na\0\0\r\n", Finding("nul", 2, 5)),
        (GOOD.replace(b"Date", b"X-Date"), Finding("no-date")),
        (GOOD.replace(b"From", b"To"), Finding("no-from")),
        (GOOD.replace(b"Message-ID", b"ID"), Finding("no-message-id")),
        (HEAD + b"bcc: c@lab\r\n\r\n", Finding("bcc-leaked", 1, 4)),
    ],
)
def test_each_fault_is_found_where_it_is(data: bytes, finding: Finding) -> None:
    """One message with one fault gets one finding, with its count and its first line."""
    assert lint(data, body_8bit=False, wire={}) == (finding,)


def test_a_message_as_it_should_be_has_no_findings() -> None:
    """Lines of 998 octets are right, so is 8 bit that was declared, and headers in any case."""
    data = GOOD.lower() + b"x" * 998 + b"\r\n\xff\r\n.dot\r\n"
    assert lint(data, body_8bit=True, wire={"dot-not-stuffed": 0}) == ()


def test_what_only_the_wire_shows_is_handed_over() -> None:
    """Dots that were not stuffed are counted by who read them."""
    found = lint(GOOD, body_8bit=False, wire={"dot-not-stuffed": 3})
    assert found == (Finding("dot-not-stuffed", 3),)


def test_a_header_in_the_body_is_no_header() -> None:
    """Date, From and Bcc behind the blank line neither help nor harm."""
    found = lint(b"\r\nDate: x\r\nBcc: y\r\n", body_8bit=False, wire={})
    assert [one.rule for one in found] == ["no-date", "no-from", "no-message-id"]


def test_every_rule_is_explained_in_both_languages() -> None:
    """No finding is a riddle: each has its sentence, and its RFC."""
    for rule in RULES.values():
        assert rule.why.en
        assert rule.why.zh
        assert rule.source.startswith("RFC ")


PIECES = [b"\r", b"\n", b"\r\n", b"\0", b"\xff", b"Date: x", b"Bcc: y", b":", b" ", b"a" * 999]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=6)).map(b"".join), st.booleans())
def test_any_bytes_can_be_looked_at(data: bytes, body_8bit: bool) -> None:
    """No message makes it raise; counts and lines are those of the message."""
    for one in lint(data, body_8bit=body_8bit, wire={}):
        assert one.rule in RULES
        assert one.count >= 1
        assert 0 <= one.line <= data.count(b"\n") + 1
