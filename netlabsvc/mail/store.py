"""The mail that was taken, on SQLite: the bytes as they came, and the envelope apart from them.

    file       <state directory>/mail.sqlite3 (and -wal, -shm while it is in use)
    mail       one row per mail: the envelope and who sent it; never parts of the message
    message    its bytes, in a table of their own: a list of mails reads none of them

One process writes (`Store`), any number read meanwhile (`Mailbox`): that is what WAL mode is for.
What `Store.add` has answered survives a crash of the process and of the machine
(``synchronous=FULL``).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from netlabsvc.mail import reading
from netlabsvc.mail.session import Envelope
from netlabsvc.times import rfc3339

FILE = "mail.sqlite3"
VERSION = 1
_SCHEMA = """
CREATE TABLE mail (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
    time_s REAL NOT NULL,                  -- since the epoch
    peer TEXT NOT NULL,                    -- address:port
    hello TEXT NOT NULL,
    esmtp INTEGER NOT NULL,
    mail_from TEXT NOT NULL,               -- '' is the null path
    rcpt_to TEXT NOT NULL,                 -- a JSON list
    body_8bit INTEGER NOT NULL,
    smtputf8 INTEGER NOT NULL,
    size INTEGER NOT NULL
);
CREATE TABLE message (
    mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
    data BLOB NOT NULL
);
"""
_ENTRY = """
SELECT id, time_s, peer, hello, mail_from, rcpt_to, size, substr(data, 1, ?)
FROM mail JOIN message ON mail_id = id
"""
#: How long SQLite may wait for another process that holds a lock.
_LOCK_S = 5.0


class StoreError(Exception):
    """The file cannot be used; the text says which, why, and what can be done."""


@dataclass(frozen=True)
class Mail:
    """A mail to be kept."""

    time_s: float
    peer: str
    envelope: Envelope
    data: bytes


@dataclass(frozen=True)
class Entry:
    """A mail that was kept, without its bytes; the subject is read from them when asked for."""

    id: int
    time_s: float
    peer: str
    hello: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    size: int
    subject: str

    def as_object(self) -> dict[str, object]:
        """As JSON has it, in `netlab inbox list --json` and in the control API."""
        return {
            "id": self.id,
            "time": rfc3339(self.time_s),
            "mail_from": self.mail_from,
            "rcpt_to": list(self.rcpt_to),
            "subject": self.subject,
            "size": self.size,
        }


InThread = Callable[[Callable[[], list[int]]], Deferred[list[int]]]


class Store:
    """Where the daemon puts mail.

    Disks are slow, so writing is done in a thread, one commit at a time; whatever arrives during
    a commit goes to disk with the next one. Many sessions thus share the price of a commit.
    """

    def __init__(self, directory: Path, in_thread: InThread) -> None:
        """Open the store, or make it.

        :param directory: the state directory, which exists.
        :param in_thread: calls a function, elsewhere, and gives its result:
            ``partial(deferToThreadPool, reactor, reactor.getThreadPool())``.
        :raises StoreError: when the file cannot be written, or is not a store of this version.
        """
        path = directory / FILE
        try:
            # In autocommit mode, so that it is told here, and only here, when a commit happens.
            self._db = sqlite3.connect(
                path, timeout=_LOCK_S, isolation_level=None, check_same_thread=False
            )
            if _version(self._db, path) == 0:
                self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={VERSION}; COMMIT;")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from None
        self._in_thread = in_thread
        self._waiting: list[tuple[Mail, Deferred[int]]] = []
        self._writing = False
        self._closed: Deferred[None] | None = None

    def add(self, mail: Mail) -> Deferred[int]:
        """Keep a mail. Fires with its id when it is on disk, or fails when it cannot be."""
        kept: Deferred[int] = Deferred()
        self._waiting.append((mail, kept))
        if not self._writing:
            self._write_waiting()
        return kept

    def close(self) -> Deferred[None]:
        """Close the file once everything that was added is on disk."""
        closed = self._closed = Deferred()
        if not self._writing:
            self._close(closed)
        return closed

    def _write_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        self._writing = True
        writing = self._in_thread(lambda: self._write([mail for mail, _ in batch]))
        writing.addBoth(self._written, [kept for _, kept in batch])

    def _written(self, result: list[int] | Failure, batch: list[Deferred[int]]) -> None:
        self._writing = False
        if self._waiting:
            self._write_waiting()
        elif self._closed:
            self._close(self._closed)
        for place, kept in enumerate(batch):
            if isinstance(result, Failure):
                kept.errback(result)
            else:
                kept.callback(result[place])

    def _close(self, closed: Deferred[None]) -> None:
        self._db.close()
        closed.callback(None)

    def _write(self, mails: list[Mail]) -> list[int]:
        """All of them or none, in one transaction; the only part that runs in a thread."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            ids = [self._insert(mail) for mail in mails]
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return ids

    def _insert(self, mail: Mail) -> int:
        envelope, parameters = mail.envelope, mail.envelope.parameters
        row = self._db.execute(
            "INSERT INTO mail VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                mail.time_s,
                mail.peer,
                envelope.hello,
                envelope.esmtp,
                envelope.mail_from,
                json.dumps(envelope.rcpt_to),
                parameters.body_8bit,
                parameters.smtputf8,
                len(mail.data),
            ),
        )
        assert row.lastrowid is not None
        self._db.execute("INSERT INTO message VALUES (?, ?)", (row.lastrowid, mail.data))
        return row.lastrowid


class Mailbox:
    """The store as one reads it, while the daemon writes or without a daemon."""

    def __init__(self, directory: Path) -> None:
        """:raises FileNotFoundError: when no mail was ever kept there.

        :raises StoreError: when the file cannot be read, or is not a store of this version.
        """
        self._path = directory / FILE
        try:
            if not self._path.exists():
                raise FileNotFoundError(self._path)
        except PermissionError:
            raise StoreError(f"{self._path}: this user may not look there") from None
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            self._db = sqlite3.connect(uri, _LOCK_S, uri=True)
            version = _version(self._db, self._path)
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from None
        if version == 0:
            raise FileNotFoundError(self._path)

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()

    def entries(self, limit: int) -> list[Entry]:
        """The newest mails, the newest first."""
        rows = self._rows(f"{_ENTRY} ORDER BY id DESC LIMIT ?", reading.HEAD_BYTES, limit)
        return [_entry(*row) for row in rows]

    def entry(self, mail_id: int) -> Entry:
        """:raises KeyError: when there is no such mail."""
        for row in self._rows(f"{_ENTRY} WHERE id = ?", reading.HEAD_BYTES, mail_id):
            return _entry(*row)
        raise KeyError(mail_id)

    def source(self, mail_id: int) -> bytes:
        """The message exactly as it was received.

        :raises KeyError: when there is no such mail.
        """
        for (data,) in self._rows("SELECT data FROM message WHERE mail_id = ?", mail_id):
            return bytes(data)
        raise KeyError(mail_id)

    def _rows(self, query: str, *values: int) -> list[Any]:
        try:
            return self._db.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from None


def _entry(
    mail_id: int,
    time_s: float,
    peer: str,
    hello: str,
    mail_from: str,
    rcpt_to: str,
    size: int,
    head: bytes,
) -> Entry:
    recipients = tuple(json.loads(rcpt_to))
    subject = reading.subject(head)
    return Entry(mail_id, time_s, peer, hello, mail_from, recipients, size, subject)


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the schema; 0 is an empty file.

    :raises StoreError: for a schema that is not known here.
    """
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version > VERSION:
        raise StoreError(
            f"{path}: made by a newer netlab (schema {version}, this one knows {VERSION}); "
            "update netlab, or use another --state-dir"
        )
    if version == 0 and tables:
        raise StoreError(f"{path}: a database, but not of netlab; use another --state-dir")
    assert isinstance(version, int)
    return version
