"""The reply to EHLO, read; and what a mail needs of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.capabilities import parse
from netlabsvc.mail.delivery import Dsn, Outgoing
from netlabsvc.mail.message import MessageError
from netlabsvc.mail.transaction import CannotCarry, mail_command, rcpt_command

EVERYTHING = parse(
    b"lab\nSIZE 1000\n8bitmime\nSMTPUTF8\nDSN\nAUTH PLAIN login\nAUTH=LOGIN CRAM-MD5"
)


def test_an_answer_is_read() -> None:
    """Keywords in any case; the old form of AUTH adds to the new one; line one is no keyword."""
    assert EVERYTHING.max_size == 1000
    assert EVERYTHING.mechanisms == ("PLAIN", "LOGIN", "CRAM-MD5")
    assert "8BITMIME" in EVERYTHING
    assert "LAB" not in EVERYTHING


@given(st.binary())
def test_nothing_a_server_offers_breaks_it(text: bytes) -> None:
    """Whatever the lines hold, there is an answer."""
    offers = parse(text)
    assert offers.max_size >= 0
    assert all(name == name.upper() for name in offers.mechanisms)


def test_mail_declares_what_it_needs() -> None:
    """SIZE counts line ends as CRLF, and dots once (RFC 1870)."""
    dsn = Dsn(("SUCCESS", "DELAY"), "HDRS", "a+b=c")
    mail = Outgoing("小@例", ("bob@lab",), "Subject: x\n\n.正".encode(), dsn)
    assert mail_command(mail, EVERYTHING).decode() == (
        "MAIL FROM:<小@例> SIZE=20 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb+3Dc"
    )
    assert rcpt_command(mail, "bob@lab") == b"RCPT TO:<bob@lab> NOTIFY=SUCCESS,DELAY"
    assert mail_command(Outgoing("a@b", ("c@d",), b"x\r\n"), parse(b"lab")) == b"MAIL FROM:<a@b>"


@pytest.mark.parametrize(
    ("mail", "lacks"),
    [
        (Outgoing("小@例", ("bob@lab",), b"x"), "SMTPUTF8"),
        (Outgoing("a@b", ("bob@lab",), "Subject: 小\r\n\r\n".encode()), "8BITMIME"),
        (Outgoing("a@b", ("bob@lab",), b"x", Dsn(("NEVER",))), "DSN"),
    ],
)
def test_what_is_needed_and_not_offered(mail: Outgoing, lacks: str) -> None:
    """The mail is not sent, and the reason has the extension's name."""
    with pytest.raises(CannotCarry, match=lacks):
        mail_command(mail, parse(b"lab"))


def test_a_message_larger_than_the_server_takes() -> None:
    """Seen before it is sent; a limit of 0 is none."""
    mail = Outgoing("a@b", ("c@d",), b"x\r\n" * 400)
    with pytest.raises(CannotCarry, match="has 1200 bytes, the server takes 1000"):
        mail_command(mail, EVERYTHING)
    assert mail_command(mail, parse(b"lab\nSIZE 0")).endswith(b"SIZE=1200")


@pytest.mark.parametrize(
    "dsn", [(("NEVER", "DELAY"),), (("later",),), ((), "ALL"), ((), "", "a b"), ((), "", "a\r\n")]
)
def test_reports_that_cannot_be_asked_for(dsn: tuple[object, ...]) -> None:
    """What RFC 3461 does not know is refused when it is made."""
    with pytest.raises(MessageError):
        Dsn(*dsn)  # type: ignore[arg-type]
