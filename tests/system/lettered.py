"""A daemon whose inbox holds a few mails, and what a browser needs to look at them."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

from mail.keeping import RECORD, fill, mail
from netlabsvc.mail.lint import lint
from netlabsvc.mail.record import Verdict
from netlabsvc.mail.store import Mail
from netlabsvc.mail.transcript import Line
from support.daemon import Daemon

DIALOGUE = (
    Line(0.0, "S", "220 lab ESMTP"),
    Line(0.01, "C", "EHLO me"),
    Line(0.02, "S", "250 SIZE 1000"),
    Line(0.03, "C", "MAIL FROM:<bob@lab>"),
    Line(0.04, "S", "553 5.7.1 you are ada, not bob"),
)


def message(subject: str, text: str = "Hello\n", html: str = "") -> bytes:
    """A message with all that it should have."""
    made = EmailMessage()
    made["Date"] = "Fri, 20 Nov 2026 12:00:00 +0000"
    made["From"], made["To"] = "Ada <ada@lab>", "bob@lab"
    made["Subject"], made["Message-ID"] = subject, "<1@lab>"
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
        made.set_boundary("inner")
    made.add_attachment(b"<b>bytes</b>\0", "text", "html", filename="evil.html")
    made.set_boundary("outer")
    return made.as_bytes().replace(b"\n", b"\r\n")


def send(daemon: Daemon, data: bytes) -> None:
    """Send a message through the daemon's own SMTP port."""
    with smtplib.SMTP("127.0.0.1", daemon.ports["mail"]) as client:
        client.sendmail("ada@lab", ["bob@lab"], data)


def kept(data: bytes) -> Mail:
    found = lint(data, body_8bit=False, wire={})
    return mail(data, replace(RECORD, dialogue=DIALOGUE, findings=found))


def refused() -> Mail:
    """A session that ended at MAIL, before there was a message."""
    return mail(
        None,
        replace(RECORD, recipients=(), findings=(), dialogue=DIALOGUE),
        mail_from="bob@lab",
        verdict=Verdict.REFUSED,
        rule="sender-must-match-login",
        reply="553 5.7.1 you are ada, not bob",
    )


@contextmanager
def lab(directory: Path, *mails: Mail, options: tuple[str, ...] = ()) -> Iterator[Daemon]:
    """A daemon over a store that holds these."""
    state = directory / "state"
    state.mkdir(mode=0o700)
    fill(state, *mails)
    with Daemon(directory, *options) as daemon:
        yield daemon
