"""Messages as they are written."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.message import MessageError, check_lines, compose

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADERS = [("From", "ada@lab"), ("To", "bob@lab, c@[127.0.0.1]"), ("Subject", "Hi")]


def composed(headers: list[tuple[str, str]], body: str = "hello\n") -> bytes:
    return compose(headers, body, now=NOW, random=Random(1))


def test_a_message_byte_for_byte() -> None:
    """Golden: the same time and seed give the same message."""
    assert composed(HEADERS) == (
        b"From: ada@lab\r\nTo: bob@lab, c@[127.0.0.1]\r\nSubject: Hi\r\n"
        b"Date: Thu, 02 Jan 2025 03:04:05 +0000\r\n"
        b"Message-ID: <1735787045.000000.91b7584a2265b1f5@lab>\r\n"
        b'Content-Type: text/plain; charset="utf-8"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n\r\nhello\r\n"
    )


def test_date_and_message_id_are_made_only_when_missing() -> None:
    """What is given is kept."""
    message = composed(
        [*HEADERS, ("date", "Thu, 01 Jan 1970 00:00:00 +0000"), ("Message-Id", "<x@y>")]
    )
    assert message.lower().count(b"\r\ndate:") == message.lower().count(b"\r\nmessage-id:") == 1


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        ("Sub\r\nject", "x", "Sub"),
        ("Subject:", "x", "header name"),
        ("", "x", "header name"),
        ("Sübject", "x", "header name"),
        ("Sub ject", "x", "header name"),
        ("Subject", "x\r\nBcc: y", "CR at character 2 of the value of Subject"),
        ("Subject", "x\ny", "LF at"),
        ("Subject", "x\0y", "NUL"),
        ("From", "b@lab", "From"),
        ("X", "\ud800", "X cannot be"),
    ],
)
def test_no_header_can_be_smuggled_in(name: str, value: str, names: str) -> None:
    """A name or value that would write another line is refused, by its name."""
    with pytest.raises(MessageError, match=names):
        composed([("From", "ada@lab"), (name, value)])


@given(
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3000),
)
def test_any_text_becomes_a_message_of_short_ascii_lines(title: str, body: str) -> None:
    """Between plain addresses every server can carry what is written, and nothing is added."""
    message = composed([*HEADERS[:2], ("Subject", title)], body)
    check_lines(message)
    assert message.isascii()
    assert b"\n" not in message.replace(b"\r\n", b"")
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert len(parsed.keys()) == 8
    # Line ends become CRLF, and an empty body one empty line.
    assert parsed.get_content().encode().splitlines() == (body.encode().splitlines() or [b""])


def test_addresses_beyond_ascii_are_written_as_they_are() -> None:
    """SMTPUTF8 carries them; an encoded word would make them another address."""
    message = composed([("From", "小明@例子.中国"), ("To", "bob@bücher.example")])
    assert "From: 小明@例子.中国\r\nTo: bob@bücher.example\r\n".encode() in message


def test_a_line_of_998_octets_and_one_more() -> None:
    """The error tells the line."""
    check_lines(b"a\r\n" + b"x" * 998 + b"\r\n")
    with pytest.raises(MessageError, match="line 2 is longer than 998"):
        check_lines(b"a\r\n" + b"x" * 999 + b"\r\n")
