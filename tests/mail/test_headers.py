"""Ready messages: what is read, taken off and put in, and that nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.headers import Ready
from netlabsvc.mail.message import MessageError

MESSAGE = (
    b"To: Bob <bob@lab>, =?utf-8?q?=C3=BC?= <u@lab>,\n eve@lab (a comment)\n"
    b"Bcc: secret@lab,\n\tmore@lab\nsubject: x\nCC: friends: ada@lab;\n\nBcc: text\n\n.\nend"
)


def test_addresses_of_a_message() -> None:
    """Names, comments and groups are left out, folded lines joined."""
    ready = Ready(MESSAGE)
    assert ready.addresses("To", "Cc") == ["bob@lab", "u@lab", "eve@lab", "ada@lab"]
    assert ready.addresses("Bcc") == ["secret@lab", "more@lab"]
    assert ready.addresses("From") == []
    assert Ready("From: 小明 <小@例子.中国>\n\n".encode()).addresses("From") == ["小@例子.中国"]


@pytest.mark.parametrize(
    "value",
    [b"a b@lab", b"bob@lab;eve@lab", b"a@b@c", b"bob@lab <x@y>", b"b\\ob@lab", b"ada@lab, a@b@c"],
)
def test_no_address_is_repaired(value: bytes) -> None:
    """What is no address is refused: a repaired one would be another mailbox."""
    with pytest.raises(MessageError, match="no list of addresses"):
        Ready(b"To: " + value + b"\n\nhi\n").addresses("To")


def test_bcc_goes_and_all_else_stays() -> None:
    """With its folded lines; the same word in the text is text; line ends become CRLF."""
    ready = Ready(MESSAGE)
    ready.remove("Bcc")
    ready.add_missing("Subject", "not needed")
    ready.add_missing("Date", "now")
    kept = MESSAGE.replace(b"Bcc: secret@lab,\n\tmore@lab\n", b"").replace(
        b";\n", b";\nDate: now\n"
    )
    assert bytes(ready) == kept.replace(b"\n", b"\r\n") + b"\r\n"


@pytest.mark.parametrize(
    "text", [b"hello\n\nSubject: x\n", b" folded\n\n", b"To: a\nno header\n\n"]
)
def test_lines_that_are_no_headers(text: bytes) -> None:
    """The line is named: a text without headers must not become headers."""
    with pytest.raises(MessageError, match=r"line \d is no header"):
        Ready(text)


@given(st.lists(st.sampled_from([b"a", b"\r\n", b"\n", b"\r", b".", b" ", b"B: c"])))
def test_any_body_is_kept(parts: list[bytes]) -> None:
    """Only the line ends of the body are made the same."""
    message = b"A: b\r\n\r\n" + b"".join(parts)
    lines = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n")
    assert bytes(Ready(message)) == lines.replace(b"\n", b"\r\n") + b"\r\n"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_header_breaks_the_reader(value: str) -> None:
    """Whatever To holds, it is addresses or an error in words."""
    try:
        Ready(f"To: {value}\n\n".encode()).addresses("To")
    except MessageError as error:
        told = str(error)
        if "line" not in told and "list of addresses" not in told:
            raise


def test_a_name_without_a_domain_stays_one() -> None:
    """Cron writes ``root (Cron Daemon)``: `sendmail` puts a domain behind it."""
    for value in (b"root (Cron Daemon)", b"root", b"<root>"):
        assert Ready(b"To: " + value + b"\n\nhi\n").addresses("To") == ["root"]
    with pytest.raises(MessageError):
        Ready(b"To: root mia\n\nhi\n").addresses("To")
