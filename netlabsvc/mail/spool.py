"""The queue on disk: SQLite in a file of its own, ``queue.sqlite3`` in the state directory.

mail        one row per mail: envelope, when it was queued, and when all was settled
recipient   one row per recipient: its `schedule.Recipient`
message     the bytes; they go when nothing is left to be done with the mail

What `Spool` has answered survives a crash of the process and of the machine (WAL mode,
``synchronous=FULL``). No secret is ever written here: the queue does not know how one logs in.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from netlabsvc.mail.delivery import Dsn, Outgoing
from netlabsvc.mail.schedule import Recipient, State

FILE = "queue.sqlite3"
VERSION = 1
LOCK_S = 5.0
#: Mails that are done with are remembered, without their bytes, up to so many.
KEPT_DONE = 1000
_SCHEMA = (
    """CREATE TABLE mail (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given twice
        queued_s REAL NOT NULL,                -- since the epoch
        done_s REAL,                           -- NULL while something is left to be done
        mail_from TEXT NOT NULL,               -- '' is the null path
        dsn TEXT NOT NULL,                     -- a JSON list: notify, ret, envelope id
        message_id TEXT NOT NULL,
        size INTEGER NOT NULL
    )""",
    """CREATE TABLE recipient (
        mail_id INTEGER NOT NULL REFERENCES mail (id) ON DELETE CASCADE,
        place INTEGER NOT NULL,
        address TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due_s REAL NOT NULL,
        code INTEGER NOT NULL, text TEXT NOT NULL, doubtful INTEGER NOT NULL,
        under_way INTEGER NOT NULL, reported INTEGER NOT NULL,
        PRIMARY KEY (mail_id, place)
    ) WITHOUT ROWID""",
    """CREATE TABLE message (
        mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
        data BLOB NOT NULL
    )""",
    "CREATE INDEX undone ON mail (id) WHERE done_s IS NULL",
    f"PRAGMA user_version={VERSION}",
)
_MAIL = "SELECT id, queued_s, done_s, mail_from, dsn, message_id, size FROM mail"
_RECIPIENT = ", ".join(one.name for one in fields(Recipient))


class SpoolError(Exception):
    """The file cannot be used; the text says which, why, and what can be done."""


@dataclass
class Queued:
    """A mail in the queue, without its bytes.

    :ivar done_s: when nothing was left to be done; None until then.
    """

    id: int
    queued_s: float
    done_s: float | None
    mail_from: str
    dsn: Dsn
    message_id: str
    size: int
    recipients: list[Recipient]


InThread = Callable[[Callable[[], Any]], Deferred[Any]]
Work = Callable[[sqlite3.Connection], Any]


class Spool:
    """Where the daemon keeps what it has promised to send.

    Disks are slow, so the work is done in a thread, one transaction at a time; whatever is asked
    for during a commit goes to disk with the next one. Each method fires when it is on disk.
    """

    def __init__(self, directory: Path, in_thread: InThread) -> None:
        """Open the spool, or make it; what was under way in a crash is unknown from now on.

        :param directory: the state directory, which exists.
        :param in_thread: calls a function, elsewhere, and gives its result.
        :raises SpoolError: when the file cannot be written, or is not a spool of this version.
        """
        self._db = _opened(directory / FILE)
        self._in_thread = in_thread
        self._waiting: list[tuple[Work, Deferred[Any]]] = []
        self._working = False
        self._closed: Deferred[None] | None = None

    def undone(self) -> list[Queued]:
        """The mails with which something is left to be done: for the start, before all else."""
        return _mails(self._db, "WHERE done_s IS NULL ORDER BY id")

    def add(self, outgoing: Outgoing, message_id: str, now_s: float) -> Deferred[Queued]:
        """Take a mail into the queue, due at once."""
        return self._do(partial(_add, outgoing=outgoing, message_id=message_id, now_s=now_s))

    def write(self, mail: Queued) -> Deferred[None]:
        """Write down how the recipients are now; without `done_s`, their mail is kept."""
        return self._do(partial(_write, mail_id=mail.id, rows=_rows(mail), done_s=mail.done_s))

    def begin(self, mail: Queued) -> Deferred[bytes | None]:
        """Write down that an attempt begins; gives the bytes to be sent."""
        rows = _rows(mail)

        def begin(db: sqlite3.Connection) -> bytes | None:
            _write(db, mail.id, rows, None)
            return _message(db, mail.id)

        return self._do(begin)

    def message(self, mail_id: int) -> Deferred[bytes | None]:
        """The bytes of a mail; None when it is done, or gone."""
        return self._do(partial(_message, mail_id=mail_id))

    def drop(self, mail_id: int) -> Deferred[None]:
        """Take a mail out of the queue, and forget it."""
        return self._do(partial(_drop, mail_id=mail_id))

    def mails(self, *, done: bool, limit: int) -> Deferred[list[Queued]]:
        """The newest mails, the oldest first; with those that are done, if so wished."""
        where = "" if done else "WHERE done_s IS NULL "
        query = f"{where}ORDER BY id DESC LIMIT {int(limit)}"
        return self._do(lambda db: _mails(db, query)[::-1])

    def mail(self, mail_id: int) -> Deferred[Queued | None]:
        """One mail, done or not; None where there is none."""
        return self._do(lambda db: next(iter(_mails(db, "WHERE id = ?", (mail_id,))), None))

    def close(self) -> Deferred[None]:
        """Close the file once everything that was asked for is on disk."""
        closed = self._closed = Deferred()
        if not self._working:
            self._close(closed)
        return closed

    def _do(self, work: Work) -> Deferred[Any]:
        if self._closed:
            return fail(SpoolError("the daemon is going down"))
        done: Deferred[Any] = Deferred()
        self._waiting.append((work, done))
        if not self._working:
            self._work()
        return done

    def _work(self) -> None:
        batch, self._waiting = self._waiting, []
        self._working = True
        working = self._in_thread(lambda: self._transaction([work for work, _ in batch]))
        working.addBoth(self._worked, batch)

    def _transaction(self, batch: list[Work]) -> list[Any]:
        """All of it or nothing; the only part that runs in a thread."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            results = [work(self._db) for work in batch]
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return results

    def _worked(
        self, results: list[Any] | Failure, batch: list[tuple[Work, Deferred[Any]]]
    ) -> None:
        self._working = False
        if self._waiting:
            self._work()
        for place, (_, done) in enumerate(batch):
            if isinstance(results, Failure):
                done.errback(results)
            else:
                done.callback(results[place])
        if self._closed and not self._working:
            self._close(self._closed)

    def _close(self, closed: Deferred[None]) -> None:
        self._db.close()
        closed.callback(None)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.touch(0o600)  # and so are the files that SQLite puts beside it
        db = sqlite3.connect(path, timeout=LOCK_S, isolation_level=None, check_same_thread=False)
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if version > VERSION or (version == 0 and tables):
            raise SpoolError(f"{path}: no queue of this netlab; use another --state-dir")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA if version == 0 else ():
            db.execute(statement)
        for mail in _mails(db, "WHERE done_s IS NULL"):
            mail.recipients = [one.recovered() for one in mail.recipients]
            _write(db, mail.id, _rows(mail), None)
        db.execute("COMMIT")
    except OSError as error:
        raise SpoolError(f"{path}: {error.strerror}") from None
    except sqlite3.Error as error:
        raise SpoolError(f"{path}: {error}") from None
    return db


def _add(db: sqlite3.Connection, outgoing: Outgoing, message_id: str, now_s: float) -> Queued:
    dsn, message = outgoing.dsn, outgoing.message
    values = (now_s, None, outgoing.mail_from, json.dumps(astuple(dsn)), message_id, len(message))
    mail_id = db.execute("INSERT INTO mail VALUES (NULL, ?, ?, ?, ?, ?, ?)", values).lastrowid
    assert mail_id is not None
    recipients = [Recipient(address, due_s=now_s) for address in outgoing.rcpt_to]
    rows = [(mail_id, place, *astuple(one)) for place, one in enumerate(recipients)]
    marks = ", ".join("?" * len(rows[0]))
    db.executemany(f"INSERT INTO recipient VALUES ({marks})", rows)
    db.execute("INSERT INTO message VALUES (?, ?)", (mail_id, message))
    return Queued(
        *(mail_id, now_s, None, outgoing.mail_from, dsn, message_id, len(message), recipients)
    )


def _write(
    db: sqlite3.Connection, mail_id: int, rows: Sequence[tuple[Any, ...]], done_s: float | None
) -> None:
    columns = ", ".join(f"{one.name} = ?" for one in fields(Recipient))
    db.executemany(f"UPDATE recipient SET {columns} WHERE mail_id = ? AND place = ?", rows)
    if done_s is not None:
        db.execute("UPDATE mail SET done_s = ? WHERE id = ?", (done_s, mail_id))
        db.execute("DELETE FROM message WHERE mail_id = ?", (mail_id,))
        too_old = "SELECT id FROM mail WHERE done_s IS NOT NULL ORDER BY id DESC LIMIT -1 OFFSET ?"
        db.execute(f"DELETE FROM mail WHERE id IN ({too_old})", (KEPT_DONE,))


def _message(db: sqlite3.Connection, mail_id: int) -> bytes | None:
    row = db.execute("SELECT data FROM message WHERE mail_id = ?", (mail_id,)).fetchone()
    return row and bytes(row[0])


def _drop(db: sqlite3.Connection, mail_id: int) -> None:
    db.execute("DELETE FROM mail WHERE id = ?", (mail_id,))


def _mails(db: sqlite3.Connection, where: str, values: Iterable[Any] = ()) -> list[Queued]:
    found = []
    for mail_id, queued_s, done_s, mail_from, dsn, message_id, size in db.execute(
        f"{_MAIL} {where}", tuple(values)
    ).fetchall():
        query = f"SELECT {_RECIPIENT} FROM recipient WHERE mail_id = ? ORDER BY place"
        recipients = [_recipient(row) for row in db.execute(query, (mail_id,))]
        notify, ret, envelope_id = json.loads(dsn)
        asked = Dsn(tuple(notify), ret, envelope_id)
        times = (mail_id, queued_s, done_s)
        found.append(Queued(*times, mail_from, asked, message_id, size, recipients))
    return found


def _rows(mail: Queued) -> list[tuple[Any, ...]]:
    """As `_write` takes them."""
    return [(*astuple(one), mail.id, place) for place, one in enumerate(mail.recipients)]


def _recipient(row: tuple[Any, ...]) -> Recipient:
    address, state, attempts, due_s, code, text, doubtful, under_way, reported = row
    facts = (address, State(state), attempts, due_s, code, text, doubtful)
    return Recipient(*facts, under_way=bool(under_way), reported=bool(reported))
