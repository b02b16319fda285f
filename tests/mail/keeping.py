"""Mails as a sandbox would keep them, for tests of the store and of those who read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import execute

from netlabsvc.mail.record import Answered, Facts, Finding, Record, Verdict
from netlabsvc.mail.store import Mail, Store
from netlabsvc.mail.transcript import Line

RECORD = Record(
    1.5,
    Facts("127.0.0.1:4000", "me", True, "TLSv1.3", "AES", "PLAIN", "ada"),
    "ada@lab",
    (
        Answered("bob@lab", 250, "2.1.5 recipient ok"),
        Answered("小@例", 250, "2.1.5 recipient ok"),
        Answered("eve@lab", 550, "5.1.1 nobody"),
    ),
    body_8bit=True,
    rule="open: all is taken",
    dialogue=(Line(0.0, "S", "220 lab"), Line(0.25, "C", "EHLO 小明")),
    findings=(Finding("bare-lf", 3, 2, "here"),),
)
REFUSED = replace(
    RECORD,
    recipients=RECORD.recipients[2:],
    verdict=Verdict.REFUSED,
    reply="550 5.1.1 nobody",
)


def mail(data: bytes | None, record: Record = RECORD, **changes: Any) -> Mail:
    """A mail with these bytes, and a record in which something may be other."""
    record = replace(record, size_bytes=len(data or b""), **changes)

    def describe(mail_id: int) -> Record:
        return record if record.reply else replace(record, reply=f"250 2.0.0 kept as {mail_id}")

    return Mail(describe, data)


def fill(directory: Path, *mails: Mail) -> None:
    """Keep mails in a store that is closed again."""
    store = Store(directory, execute)
    for one in mails:
        store.add(one)
    store.close()
