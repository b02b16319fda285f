"""The mail that was taken, and the attempts that were refused, on SQLite: where they are written.

One process writes (`Store`), any number read meanwhile (`mailbox.Mailbox`): that is what WAL mode
is for. What `Store.add` has answered survives a crash of the process and of the machine
(``synchronous=FULL``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from netlabsvc.mail import schema
from netlabsvc.mail.mailbox import Entry, entry_of, give_back
from netlabsvc.mail.record import Record

_DAY_S = 86400

InThread = Callable[[Callable[[], Any]], Deferred[Any]]
Soon = Callable[[Callable[[], None]], object]


def _at_once(function: Callable[[], None]) -> None:
    function()


@dataclass(frozen=True)
class Mail:
    """What is to be kept.

    :ivar describe: makes its record, which may tell the id.
    :ivar data: the message exactly as it was received; None for an attempt that was refused.
    """

    describe: Callable[[int], Record]
    data: bytes | None


@dataclass(frozen=True)
class Bounds:
    """How much is kept; what is above, goes, the oldest first.

    :ivar days: None: for ever.
    """

    mails: int = 100_000
    bytes: int = 2 << 30
    days: float | None = None


class Store:
    """Where the daemon puts mail.

    Disks are slow, so writing is done in a thread, one commit at a time; whatever arrives during
    a commit, or in the turn of the reactor that begins one, goes to disk together. Many sessions
    thus share the price of a commit.

    :ivar bounds: may be replaced at any time.
    :ivar added: each of these is called, in the reactor's thread, with whatever was kept.
    """

    _log = Logger()

    def __init__(
        self,
        directory: Path,
        in_thread: InThread,
        bounds: Bounds = Bounds(),
        soon: Soon = _at_once,
    ) -> None:
        """Open the store, or make it.

        :param directory: the state directory, which exists.
        :param in_thread: calls a function, elsewhere, and gives its result:
            ``partial(deferToThreadPool, reactor, reactor.getThreadPool())``.
        :param soon: calls a function when what is there to be read has been read:
            ``partial(reactor.callLater, 0)``.
        :raises StoreError: when the file cannot be written, or is not a store of this version.
        """
        self._db = schema.open_to_write(directory / schema.FILE)
        self._in_thread = in_thread
        self._soon = soon
        self.bounds = bounds
        self.added: list[Callable[[Entry], None]] = []
        self._waiting: list[tuple[Mail, Deferred[int]]] = []
        self._writing = False
        self._closed: Deferred[None] | None = None
        self._now_s = 0.0

    def add(self, mail: Mail) -> Deferred[int]:
        """Keep a mail. Fires with its id when it is on disk, or fails when it cannot be."""
        kept: Deferred[int] = Deferred()
        self._waiting.append((mail, kept))
        if not self._writing:
            self._writing = True
            self._soon(self._write_waiting)
        return kept

    def tidy(self, now_s: float) -> None:
        """Let go what is too old, or too much."""
        self._now_s = now_s
        if not self._writing:
            self._writing = True
            self._write_waiting()

    def close(self) -> Deferred[None]:
        """Close the file once everything that was added is on disk."""
        closed = self._closed = Deferred()
        if not self._writing:
            self._close(closed)
        return closed

    def _write_waiting(self) -> None:
        batch, self._waiting = self._waiting, []
        writing = self._in_thread(lambda: self._write([mail for mail, _ in batch]))
        writing.addBoth(self._written, batch)

    def _written(
        self, result: list[Entry] | Failure, batch: list[tuple[Mail, Deferred[int]]]
    ) -> None:
        self._writing = bool(self._waiting)
        if self._waiting:
            self._soon(self._write_waiting)
        elif self._closed:
            self._close(self._closed)
        if isinstance(result, Failure):
            if not batch:
                self._log.error("mail: cannot tidy: {why}", why=result.getErrorMessage())
            for _, kept in batch:
                kept.errback(result)
            return
        for entry, (_, kept) in zip(result, batch, strict=True):
            kept.callback(entry.id)
            for tell in self.added:
                self._tell(tell, entry)

    def _tell(self, tell: Callable[[Entry], None], entry: Entry) -> None:
        try:
            tell(entry)
        except Exception:  # whoever listens must not hold up those who come after
            self._log.failure("who was told of mail {id} failed", id=entry.id)

    def _close(self, closed: Deferred[None]) -> None:
        self._db.close()
        closed.callback(None)

    def _write(self, mails: list[Mail]) -> list[Entry]:
        """All of them or none, in one transaction; the only part that runs in a thread."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            first = schema.next_id(self._db)
            entries = self._insert(first, mails)
            removed = self._trim(max([self._now_s, *(entry.time_s for entry in entries)]))
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        if removed:
            give_back(self._db)
        return entries

    def _insert(self, first: int, mails: list[Mail]) -> list[Entry]:
        records = [(number, mail.describe(number)) for number, mail in enumerate(mails, first)]
        rows = [(*one, mail.data) for one, mail in zip(records, mails, strict=True)]
        found = schema.insert(self._db, rows)
        return [entry_of(*one, read) for one, read in zip(records, found, strict=True)]

    def _trim(self, now_s: float) -> int:
        """Take the oldest out until the bounds hold, the newest excepted; how many went."""
        removed = 0
        if self.bounds.days is not None:
            since_s = now_s - self.bounds.days * _DAY_S
            removed = self._db.execute("DELETE FROM mail WHERE time_s < ?", (since_s,)).rowcount
        while True:
            mails, size = self._db.execute("SELECT mails, bytes FROM total").fetchone()
            above = mails - self.bounds.mails
            if above <= 0 and (size <= self.bounds.bytes or mails <= 1):
                return removed
            oldest = "SELECT id FROM mail ORDER BY id LIMIT ?"
            gone = self._db.execute(f"DELETE FROM mail WHERE id IN ({oldest})", (max(above, 1),))
            removed += gone.rowcount
