"""The file of the store: where it is, what is in it, how an older one becomes a new one.

file       <state directory>/mail.sqlite3 (and -wal, -shm while it is in use)
mail       one row per message that was offered: what a list shows
message    its bytes, where it was taken; in a table of their own, a list reads none of them
detail     its record (`row`)
words      what the search looks at
total      how many there are, and their bytes; kept right by triggers, so that neither needs
           to be counted
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from netlabsvc.mail import row, words
from netlabsvc.mail.record import Answered, Facts, Record

FILE = "mail.sqlite3"
VERSION = 2
#: How long SQLite may wait for another process that holds a lock.
LOCK_S = 5.0
#: The log that a commit appends to is merged into the file when it has so many pages (16 MiB).
_WAL_PAGES = 4096
_TABLES = ("mail", "detail", "words", "message")
#: Rows of one statement; the connection keeps the statements for all numbers up to this.
_AT_ONCE = 16
_SCHEMA = """
CREATE TABLE mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    time_s REAL NOT NULL,                  -- since the epoch
    verdict TEXT NOT NULL,
    peer TEXT NOT NULL,                    -- address:port
    hello TEXT NOT NULL,
    mail_from TEXT,                        -- '' is the null path
    rcpt_to TEXT NOT NULL,                 -- a JSON list
    subject TEXT NOT NULL,                 -- decoded; so is the author
    author TEXT NOT NULL,                  -- the header From
    size INTEGER NOT NULL,                 -- of the message
    reply TEXT NOT NULL,                   -- that decided
    bytes INTEGER NOT NULL                 -- all that it takes up, about
);
CREATE TABLE message (
    mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
    data BLOB NOT NULL
);
CREATE TABLE detail (
    mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
    record TEXT NOT NULL
);
CREATE TABLE words (
    mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
    text TEXT NOT NULL
);
CREATE TABLE total (mails INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO total VALUES (0, 0);
CREATE TRIGGER more AFTER INSERT ON mail
    BEGIN UPDATE total SET mails = mails + 1, bytes = bytes + NEW.bytes; END;
CREATE TRIGGER fewer AFTER DELETE ON mail
    BEGIN UPDATE total SET mails = mails - 1, bytes = bytes - OLD.bytes; END;
"""


class StoreError(Exception):
    """The file cannot be used; the text says which, why, and what can be done."""


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open the store, or make it, or bring an older one to this version.

    :raises StoreError: when the file cannot be written, or is not a store of this version.
    """
    try:
        # In autocommit mode: each commit is told where it happens, and nowhere else.
        db = sqlite3.connect(path, timeout=LOCK_S, isolation_level=None, check_same_thread=False)
        if version(db, path) == 0:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        db.execute("PRAGMA foreign_keys=ON")
        _bring_up_to_date(db, path)
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from None
    return db


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open the store while others write.

    :raises FileNotFoundError: when no mail was ever kept there.
    :raises StoreError: when the file cannot be read, or is not a store of this version.
    """
    try:
        if not path.exists():
            raise FileNotFoundError(path)
    except PermissionError:
        raise StoreError(f"{path}: this user may not look there") from None
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, LOCK_S, uri=True, isolation_level=None)
        found = version(db, path)
        if 0 < found < VERSION:
            open_to_write(path).close()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from None
    if found == 0:
        raise FileNotFoundError(path)
    return db


def version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the schema; 0 is an empty file.

    :raises StoreError: for a schema that is not known here.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if found > VERSION:
        raise StoreError(
            f"{path}: made by a newer netlab (schema {found}, this one knows {VERSION}); "
            "update netlab, or use another --state-dir"
        )
    if found == 0 and tables:
        raise StoreError(f"{path}: a database, but not of netlab; use another --state-dir")
    assert isinstance(found, int)
    return found


def insert(
    db: sqlite3.Connection, mails: Iterable[tuple[int, Record, bytes | None]]
) -> list[words.Words]:
    """Fill the rows of mails that have their ids already, and the rows that belong to them.

    :param mails: id, record and message of each.
    :return: what was read of each.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in _TABLES}
    found = []
    for mail_id, record, data in mails:
        read, text = words.of(data or b""), row.written(record)
        recipients = listed(record)
        sought = words.folded(
            record.mail_from or "", " ".join(recipients), read.subject, read.author, read.text
        )
        size = len(data or b"") + len(text) + len(sought)
        rows["mail"].append(_head(mail_id, record, recipients, read, size))
        rows["detail"].append((mail_id, text))
        rows["words"].append((mail_id, sought))
        if data is not None:
            rows["message"].append((mail_id, data))
        found.append(read)
    for table, its_rows in rows.items():
        _fill(db, table, its_rows)
    return found


def _head(
    mail_id: int, record: Record, recipients: tuple[str, ...], read: words.Words, size: int
) -> tuple[Any, ...]:
    return (
        mail_id,
        record.time_s,
        record.verdict,
        record.facts.peer,
        record.facts.hello,
        record.mail_from,
        json.dumps(recipients),
        read.subject,
        read.author,
        record.size_bytes,
        record.reply,
        size,
    )


def _fill(db: sqlite3.Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows, many with one statement.

    Between two statements Python's lock goes from this thread to the reactor and back, which
    costs more than to insert a row.
    """
    for start in range(0, len(rows), _AT_ONCE):
        some = rows[start : start + _AT_ONCE]
        marks = ",".join([f"({','.join('?' * len(some[0]))})"] * len(some))
        db.execute(f"INSERT INTO {table} VALUES {marks}", list(chain.from_iterable(some)))


def next_id(db: sqlite3.Connection) -> int:
    """The next id that no mail has ever had; ask inside a transaction that writes."""
    (last,) = db.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'mail'").fetchone()
    return int(last or 0) + 1


def listed(record: Record) -> tuple[str, ...]:
    """The recipients that a list shows: who got it, or where nobody did, who should have."""
    return record.rcpt_to or tuple(one.address for one in record.recipients)


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    if version(db, path) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        found = version(db, path)  # another process may have been quicker
        if found == 1:
            _from_1(db)
        elif found == 0:
            _make(db)
        db.execute("COMMIT")
    except BaseException:
        db.rollback()
        raise


def _make(db: sqlite3.Connection) -> None:
    statement = ""
    for line in _SCHEMA.splitlines():  # executescript() would commit
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
    db.execute(f"PRAGMA user_version={VERSION}")


def _from_1(db: sqlite3.Connection) -> None:
    """Version 1 had no attempts that were refused, no dialogue, and a wider table of mails."""
    last = next_id(db) - 1
    db.execute("ALTER TABLE mail RENAME TO mail_1")
    db.execute("ALTER TABLE message RENAME TO message_1")
    _make(db)
    query = "SELECT mail_1.*, data FROM mail_1 JOIN message_1 ON mail_id = id ORDER BY id"
    for old in db.execute(query):
        mail_id, time_s, peer, hello, esmtp, sender, rcpt_to, body_8bit, smtputf8, size, data = old
        record = Record(
            time_s,
            Facts(peer, hello, bool(esmtp)),
            sender,
            tuple(Answered(path, 250, "") for path in json.loads(rcpt_to)),
            bool(body_8bit),
            bool(smtputf8),
            reply=f"250 2.0.0 kept as {mail_id}",
            size_bytes=size,
        )
        insert(db, [(mail_id, record, bytes(data))])
    db.execute("DROP TABLE message_1")
    db.execute("DROP TABLE mail_1")
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'mail'", (last,))
    if last:
        db.execute("INSERT INTO sqlite_sequence SELECT 'mail', ? WHERE NOT changes()", (last,))
