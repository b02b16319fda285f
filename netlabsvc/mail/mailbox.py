"""The store as one reads it, while the daemon writes or without a daemon; and takes mails out."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from netlabsvc.mail import row, schema, words
from netlabsvc.mail.record import Record, Verdict
from netlabsvc.mail.schema import StoreError
from netlabsvc.times import rfc3339

T = TypeVar("T")
_ENTRY = """
SELECT id, time_s, verdict, peer, hello, mail_from, rcpt_to, subject, author, size, reply FROM mail
"""
#: Deleted at one time: others may write in between.
_REMOVED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """A mail, or an attempt that was refused, as a list shows it.

    :ivar mail_from: None where no sender was given.
    :ivar rcpt_to: who got it, or where nobody did, who should have.
    :ivar author: the header From; it and the subject are decoded, and safe to show.
    :ivar reply: the one that decided.
    """

    id: int
    time_s: float
    verdict: Verdict
    peer: str
    hello: str
    mail_from: str | None
    rcpt_to: tuple[str, ...]
    subject: str
    author: str
    size: int
    reply: str

    def as_object(self) -> dict[str, object]:
        """As JSON has it, in `netlab inbox list --json` and in the control API."""
        return {
            "id": self.id,
            "time": rfc3339(self.time_s),
            "mail_from": self.mail_from,
            "rcpt_to": list(self.rcpt_to),
            "subject": self.subject,
            "size": self.size,
            "verdict": str(self.verdict),
        }


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is: mails, attempts included, and the bytes that they take up, about."""

    mails: int
    bytes: int


class Mailbox:
    """What was kept. Opened where it is used, and in that thread; opening costs little."""

    def __init__(self, directory: Path) -> None:
        """:raises FileNotFoundError: when no mail was ever kept there.

        :raises StoreError: when the file cannot be read, or is not a store of this version.
        """
        self._path = directory / schema.FILE
        self._db = schema.open_to_read(self._path)

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def page(
        self,
        before_id: int | None = None,
        limit: int = 100,
        search: str = "",
        after_id: int = 0,
    ) -> list[Entry]:
        """Up to `limit` mails, the newest first, that are older than one and newer than another.

        :param search: words that occur, all of them and in any place, in the addresses of the
            envelope, in From, subject or text; upper or lower case is the same.
        """
        conditions = ["id < ?", "id > ?"]
        values: list[int | str] = [before_id or 2**63 - 1, after_id]
        for word in words.wanted(search):
            conditions.append("instr((SELECT text FROM words WHERE mail_id = id), ?)")
            values.append(word)
        where = " AND ".join(conditions)
        found = self._rows(f"{_ENTRY} WHERE {where} ORDER BY id DESC LIMIT ?", *values, limit)
        return [_entry(one) for one in found]

    def entry(self, mail_id: int) -> Entry:
        """:raises KeyError: when there is no such mail."""
        for one in self._rows(f"{_ENTRY} WHERE id = ?", mail_id):
            return _entry(one)
        raise KeyError(mail_id)

    def record(self, mail_id: int) -> Record:
        """All that is known of a mail besides its bytes.

        :raises KeyError: when there is no such mail.
        """
        for (text,) in self._rows("SELECT record FROM detail WHERE mail_id = ?", mail_id):
            return row.read(text)
        raise KeyError(mail_id)

    def source(self, mail_id: int) -> bytes:
        """The message exactly as it was received.

        :raises KeyError: when there is no such mail, or it was refused before there was a message.
        """
        for (data,) in self._rows("SELECT data FROM message WHERE mail_id = ?", mail_id):
            return bytes(data)
        raise KeyError(mail_id)

    def counts(self) -> Counts:
        """How much there is."""
        ((mails, size),) = self._rows("SELECT mails, bytes FROM total")
        return Counts(mails, size)

    def remove(self, mail_ids: Iterable[int]) -> int:
        """Take mails out, while the daemon writes or without one; returns how many there were.

        :raises StoreError: when the file cannot be written.
        """
        with closing(schema.open_to_write(self._path)) as db:
            return self._try(lambda: _remove(db, list(mail_ids)))

    def _rows(self, query: str, *values: Any) -> list[Any]:
        return self._try(lambda: self._db.execute(query, values).fetchall())

    def _try(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from None


def _remove(db: sqlite3.Connection, mail_ids: list[int]) -> int:
    removed = 0
    for start in range(0, len(mail_ids), _REMOVED_AT_ONCE):
        some = mail_ids[start : start + _REMOVED_AT_ONCE]
        marks = ",".join("?" * len(some))
        removed += db.execute(f"DELETE FROM mail WHERE id IN ({marks})", some).rowcount
    give_back(db)
    return removed


def give_back(db: sqlite3.Connection) -> None:
    """Let the file shrink where much of it is free; a little is kept for the mails to come."""
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free > pages // 2:
        # Only so is it done to its end: execute() would stop after one page.
        db.executescript(f"PRAGMA incremental_vacuum({free - pages // 4})")


def entry_of(mail_id: int, record: Record, read: words.Words) -> Entry:
    """What a list shows of a record."""
    return Entry(
        mail_id,
        record.time_s,
        record.verdict,
        record.facts.peer,
        record.facts.hello,
        record.mail_from,
        schema.listed(record),
        read.subject,
        read.author,
        record.size_bytes,
        record.reply,
    )


def _entry(one: tuple[Any, ...]) -> Entry:
    mail_id, time_s, verdict, peer, hello, mail_from, rcpt_to, *rest = one
    paths = tuple(json.loads(rcpt_to))
    return Entry(mail_id, time_s, Verdict(verdict), peer, hello, mail_from, paths, *rest)
