"""Mail on disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, execute

from netlabsvc.mail.command import Parameters
from netlabsvc.mail.session import Envelope
from netlabsvc.mail.store import FILE, Entry, Mail, Mailbox, Store, StoreError

ENVELOPE = Envelope("me", True, "ada@lab", Parameters(), ("bob@lab", "小@例"))


def mail(data: bytes) -> Mail:
    return Mail(1.5, "127.0.0.1:4000", ENVELOPE, data)


class Elsewhere:
    """Stands for a slow disk: work is done when the test says so."""

    def __init__(self) -> None:
        self.todo: list[tuple[Callable[[], list[int]], Deferred[list[int]]]] = []

    def __call__(self, work: Callable[[], list[int]]) -> Deferred[list[int]]:
        done: Deferred[list[int]] = Deferred()
        self.todo.append((work, done))
        return done

    def finish_one(self) -> None:
        work, done = self.todo.pop(0)
        execute(work).chainDeferred(done)


def test_a_mail_is_kept_byte_for_byte_and_its_envelope_apart(tmp_path: Path) -> None:
    """What one reads is what was sent, NUL and bare CR included; the subject is decoded."""
    data = b"Subject: =?utf-8?q?h=C3=A9?=\r\n\r\n\0\r\xff\n.\r\n"
    store, ids = Store(tmp_path, execute), list[int]()
    store.add(mail(data)).addCallback(ids.append)
    with Mailbox(tmp_path) as mailbox:
        expected = Entry(
            *(1, 1.5, "127.0.0.1:4000", "me", "ada@lab", ("bob@lab", "小@例"), len(data), "hé")
        )
        assert ids == [1]
        assert mailbox.entries(10) == [expected]
        assert mailbox.entry(1) == expected
        assert mailbox.source(1) == data


def test_the_newest_come_first_and_as_many_as_asked_for(tmp_path: Path) -> None:
    """A limit cuts off the oldest."""
    store = Store(tmp_path, execute)
    for number in range(5):
        store.add(mail(b"%d" % number))
    store.close()
    with Mailbox(tmp_path) as mailbox:
        assert [entry.id for entry in mailbox.entries(3)] == [5, 4, 3]
        for missing in (mailbox.entry, mailbox.source):
            with pytest.raises(KeyError):
                missing(99)


def test_what_comes_during_a_commit_shares_the_next(tmp_path: Path) -> None:
    """Many sessions pay for one commit, each is told after its own, and closing waits for all."""
    disk = Elsewhere()
    store, told = Store(tmp_path, disk), list[int]()
    for number in range(4):
        store.add(mail(b"%d" % number)).addCallback(told.append)
    closed = store.close()
    assert (told, len(disk.todo)) == ([], 1)
    disk.finish_one()
    assert (told, len(disk.todo), closed.called) == ([1], 1, False)
    disk.finish_one()
    assert (told, disk.todo, closed.called) == ([1, 2, 3, 4], [], True)


def test_a_mail_that_cannot_be_kept_is_told(tmp_path: Path) -> None:
    """Nothing is left half written, and the next mail is kept."""
    store, failures = Store(tmp_path, execute), list[object]()
    with sqlite3.connect(tmp_path / FILE) as other:
        full = "length(NEW.data) = 3 BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        other.execute(f"CREATE TRIGGER full BEFORE INSERT ON message WHEN {full}")
    store.add(mail(b"big")).addErrback(failures.append)
    assert len(failures) == 1
    store.add(mail(b"small"))
    with Mailbox(tmp_path) as mailbox:
        assert [entry.size for entry in mailbox.entries(9)] == [5]


def test_a_newer_or_foreign_file_is_left_alone(tmp_path: Path) -> None:
    """The error names the file and what to do; nothing is written into it."""
    path = tmp_path / FILE
    for statement, complaint in (
        ("CREATE TABLE cats (name)", "not of netlab"),
        ("PRAGMA user_version=99", "newer netlab .schema 99"),
    ):
        with sqlite3.connect(path) as other:
            other.execute(statement)
        before = path.read_bytes()
        for make in (lambda: Store(tmp_path, execute), lambda: Mailbox(tmp_path)):
            with pytest.raises(StoreError, match=f"{FILE}.*{complaint}"):
                make()
        assert path.read_bytes() == before
    path.write_bytes(b"no database at all, but longer than its header" * 100)
    with pytest.raises(StoreError, match="not a database"):
        Mailbox(tmp_path)


def test_where_nothing_was_kept_there_is_no_mailbox(tmp_path: Path) -> None:
    """Reading makes no file."""
    with pytest.raises(FileNotFoundError):
        Mailbox(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="unable to open"):
        Store(tmp_path / "missing", execute)


def test_a_directory_of_someone_else(tmp_path: Path) -> None:
    """The error says why nothing can be read."""
    nobody = 65534
    mine = os.geteuid()
    tmp_path.chmod(0)
    try:
        if mine == 0:  # whom no mode keeps out
            os.seteuid(nobody)
        with pytest.raises(StoreError, match="may not look there"):
            Mailbox(tmp_path)
    finally:
        os.seteuid(mine)
        tmp_path.chmod(0o700)


def test_an_old_store_is_opened_again(tmp_path: Path) -> None:
    """Ids go on where they were."""
    for expected in ([1], [2]):
        store, ids = Store(tmp_path, execute), list[int]()
        store.add(mail(b"x")).addCallback(ids.append)
        store.close()
        assert ids == expected
