"""Reports of what was not delivered, as another mail program reads them."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail import bounce
from netlabsvc.mail.delivery import Outgoing
from netlabsvc.mail.schedule import MAX_TEXT, Recipient, State
from netlabsvc.mail.text import shown_line

REFUSED = Recipient("bob@lab", State.BOUNCED, 1, 0.0, 550, "5.1.1 nobody")
GIVEN_UP = Recipient("小@例", State.BOUNCED, 9, 0.0, 0, "not delivered in 3 days", doubtful=2)
MESSAGE = b"Subject: hi\r\nFrom: ada@lab\r\n\r\nhello\r\n"


def written(failed: list[Recipient], message: bytes = MESSAGE) -> bytes:
    times = {"queued_s": 1e9, "now_s": 1e9 + 60}
    return bounce.report(7, "ada@lab", failed, message, host="lab.example", **times)


def parts(data: bytes) -> tuple[EmailMessage, Any, Any, Any]:
    whole = email.message_from_bytes(data, policy=email.policy.SMTPUTF8)
    words, status, headers = whole.iter_parts()
    return whole, words, status, headers


def test_a_report_for_people_and_for_programs() -> None:
    """What happened first, in plain words; then fields; then whose mail it was."""
    whole, words, status, headers = parts(written([REFUSED]))
    assert whole.get_content_type() == "multipart/report"
    assert whole["Subject"] == "Not delivered: your mail to bob@lab"
    assert whole["To"] == "ada@lab"
    assert whole["Auto-Submitted"] == "auto-replied"
    text = words.get_content().replace("\r\n", "\n")
    assert text.startswith("Your mail was not delivered to this recipient")
    assert "\n  bob@lab\n    550 5.1.1 nobody\n" in text
    about, recipient = status.get_payload()
    assert about["Reporting-MTA"] == "dns; lab.example"
    assert recipient["Final-Recipient"] == "rfc822; bob@lab"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.1.1")
    assert recipient["Diagnostic-Code"] == "smtp; 550 5.1.1 nobody"
    assert "From: ada@lab" in headers.get_content()
    assert "hello" not in headers.get_content()


def test_a_copy_that_may_have_arrived_is_not_concealed() -> None:
    """Who was unknown on the way is said to be so; letters beyond ASCII are as they are."""
    whole, words, status, _ = parts(written([REFUSED, GIVEN_UP]))
    assert "it may have arrived" in words.get_content()
    assert "小@例" in words.get_content()
    assert status.get_content_type() == "message/global-delivery-status"
    assert b"Final-Recipient: utf-8; \xe5\xb0\x8f@\xe4\xbe\x8b\r\n" in written([GIVEN_UP])
    assert b"Status: 4.4.7" in written([GIVEN_UP])
    assert whole["Subject"].endswith("bob@lab and 1 more")


def test_the_same_report_has_the_same_name() -> None:
    """Written a second time after a crash, it can be told to be the same; another one is other."""
    names = [parts(written(failed))[0]["Message-ID"] for failed in ([REFUSED], [REFUSED])]
    assert len(set(names)) == 1
    assert parts(written([GIVEN_UP]))[0]["Message-ID"] not in names


def test_who_is_told() -> None:
    """Not the null path, which bounces come from, nor who asked for nothing."""
    assert bounce.wanted("ada@lab", ())
    assert bounce.wanted("ada@lab", ("FAILURE", "DELAY"))
    assert not bounce.wanted("", ())
    assert not bounce.wanted("ada@lab", ("NEVER",))


@given(st.binary(max_size=3000), st.text(max_size=600), st.integers(400, 599))
def test_whatever_a_server_said_and_whatever_the_message_was(
    message: bytes, said: str, code: int
) -> None:
    """The report is a mail that can be sent: three parts, no long line, nothing of others as a
    header of its own."""
    failed = Recipient("bob@lab", State.BOUNCED, 1, 0.0, code, shown_line(said)[:MAX_TEXT])
    data = written([failed], message)
    whole = parts(data)[0]
    assert Outgoing("", ("ada@lab",), data)
    assert set(whole.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"),
        "Content-Type",
    }
    lines = data.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    assert sum(line.startswith(b"Final-Recipient:") for line in lines) == 1
