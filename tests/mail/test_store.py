"""Mail on disk."""

from __future__ import annotations

import os
import sqlite3
from base64 import b64encode
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute

from mail.keeping import RECORD, REFUSED, fill, mail
from netlabsvc.mail.mailbox import Counts, Entry, Mailbox
from netlabsvc.mail.record import Verdict
from netlabsvc.mail.schema import FILE, StoreError
from netlabsvc.mail.store import Bounds, Store


class Elsewhere:
    """Stands for a slow disk: work is done when the test says so."""

    def __init__(self) -> None:
        self.todo: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def __call__(self, work: Callable[[], Any]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.todo.append((work, done))
        return done

    def finish_one(self) -> None:
        work, done = self.todo.pop(0)
        execute(work).chainDeferred(done)


def test_a_mail_is_kept_byte_for_byte_and_its_record_apart(tmp_path: Path) -> None:
    """What one reads is what was sent, NUL and bare CR included; the subject is decoded."""
    data = b"Subject: =?utf-8?q?h=C3=A9?=\r\nFrom: x@y\r\n\r\n\0\r\xff\n.\r\n"
    store, ids, told = Store(tmp_path, execute), list[int](), list[Entry]()
    store.added.append(told.append)
    store.add(mail(data)).addCallback(ids.append)
    with Mailbox(tmp_path) as mailbox:
        expected = Entry(
            *(1, 1.5, Verdict.KEPT, "127.0.0.1:4000", "me", "ada@lab", ("bob@lab", "小@例")),
            *("hé", "x@y", len(data), "250 2.0.0 kept as 1"),
        )
        assert ids == [1]
        assert mailbox.page() == told == [expected]
        assert mailbox.entry(1) == expected
        assert mailbox.source(1) == data
        sized = replace(RECORD, size_bytes=len(data), reply="250 2.0.0 kept as 1")
        assert mailbox.record(1) == sized


def test_a_refused_attempt_has_a_record_and_no_source(tmp_path: Path) -> None:
    """It stands in the list with whom it was meant for, and the reply that decided."""
    fill(tmp_path, mail(None, REFUSED), mail(None, REFUSED, mail_from=None, recipients=()))
    with Mailbox(tmp_path) as mailbox:
        nobody, attempt = mailbox.page()
        assert (nobody.mail_from, nobody.rcpt_to) == (None, ())
        assert (attempt.rcpt_to, attempt.verdict) == (("eve@lab",), "refused")
        assert attempt.reply == "550 5.1.1 nobody"
        assert mailbox.record(1) == REFUSED
        with pytest.raises(KeyError):
            mailbox.source(1)


def test_pages_follow_each_other(tmp_path: Path) -> None:
    """The newest first, as many as asked for, older than the last one seen."""
    fill(tmp_path, *(mail(b"%d" % number) for number in range(5)))
    with Mailbox(tmp_path) as mailbox:
        assert [entry.id for entry in mailbox.page(limit=3)] == [5, 4, 3]
        assert [entry.id for entry in mailbox.page(before_id=3)] == [2, 1]
        assert [entry.id for entry in mailbox.page(after_id=3)] == [5, 4]
        for missing in (mailbox.entry, mailbox.source, mailbox.record):
            with pytest.raises(KeyError):
                missing(99)


def test_the_search_finds_words_wherever_they_are(tmp_path: Path) -> None:
    """Addresses, From, subject, text, encoded and Chinese ones; all words, in either case."""
    encoded = b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode("四十二".encode())
    fill(
        tmp_path,
        mail(b"From: Ada L <x@y>\r\nSubject: =?utf-8?b?5L2g5aW9?= exam\r\n\r\nthe ANSWER"),
        mail(encoded, mail_from="eve@lab"),
    )
    with Mailbox(tmp_path) as mailbox:
        found = {
            word: [entry.id for entry in mailbox.page(search=word)]
            for word in ("ada", "answer EXAM", "你好", "小@", "四十二", "EVE@", "answer eve", "%")
        }
    assert list(found.values()) == [[1], [1], [1], [2, 1], [2], [2], [], []]


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    """By number, by bytes, by age; the newest stays, however large it is; the file is reused."""
    store = Store(tmp_path, execute, Bounds(mails=3))
    with Mailbox(tmp_path) as mailbox:
        for number in range(9):
            store.add(mail(b"x" * 100_000, time_s=86400.0 * number))
        assert [entry.id for entry in mailbox.page()] == [9, 8, 7]
        assert (tmp_path / FILE).stat().st_size < 1_000_000
        store.bounds = Bounds(bytes=250_000)
        store.add(mail(b"x" * 100_000, time_s=86400.0 * 9))
        assert [entry.id for entry in mailbox.page()] == [10, 9]
        store.add(mail(b"x" * 300_000, time_s=86400.0 * 9))
        assert [entry.id for entry in mailbox.page()] == [11]
        store.bounds = Bounds(days=1.5)
        store.add(mail(b"x", time_s=86400.0 * 10))
        assert [entry.id for entry in mailbox.page()] == [12, 11]
        store.add(mail(b"x", time_s=86400.0 * 20))
        assert [entry.id for entry in mailbox.page()] == [13]
        assert mailbox.counts().mails == 1


def test_what_is_too_old_goes_without_a_new_mail(tmp_path: Path) -> None:
    """`tidy` needs no mail to come; without a limit of age nothing is too old."""
    store = Store(tmp_path, execute)
    with Mailbox(tmp_path) as mailbox:
        for day in (0, 1, 2):
            store.add(mail(b"x", time_s=86400.0 * day))
        store.tidy(86400.0 * 10_000)
        assert mailbox.counts().mails == 3
        store.bounds = Bounds(days=8.5)
        store.tidy(86400.0 * 10)
        assert [entry.id for entry in mailbox.page()] == [3]
        store.tidy(86400.0 * 11)
        assert mailbox.counts() == Counts(0, 0)
    store.close()


def test_removing_while_the_store_is_open(tmp_path: Path) -> None:
    """What was removed is gone with its bytes; the file shrinks, ids are not given again."""
    store, ids = Store(tmp_path, execute), list[int]()
    for _ in range(20):
        store.add(mail(b"x" * 100_000))
    with Mailbox(tmp_path) as mailbox:
        assert mailbox.remove([99, *range(2, 21)]) == 19
        assert [entry.id for entry in mailbox.page()] == [1]
        with pytest.raises(KeyError):
            mailbox.source(20)
        assert mailbox.remove([1]) == 1
        assert mailbox.counts() == Counts(0, 0)
    store.add(mail(b"x")).addCallback(ids.append)
    assert ids == [21]
    store.close()
    assert (tmp_path / FILE).stat().st_size < 1_500_000


VERSION_1 = """
CREATE TABLE mail (id INTEGER PRIMARY KEY AUTOINCREMENT, time_s REAL, peer TEXT, hello TEXT,
    esmtp INTEGER, mail_from TEXT, rcpt_to TEXT, body_8bit INTEGER, smtputf8 INTEGER, size INTEGER);
CREATE TABLE message (mail_id INTEGER PRIMARY KEY REFERENCES mail (id) ON DELETE CASCADE,
    data BLOB NOT NULL);
INSERT INTO mail VALUES (7, 1.5, 'p', 'me', 1, 'a@b', '["c@d"]', 1, 0, 14);
INSERT INTO message VALUES (7, x'5375626a6563743a2068690d0a0d0a');
PRAGMA user_version=1;
"""


@pytest.mark.parametrize("opened", [lambda path: Store(path, execute), Mailbox])
def test_a_store_of_version_1_is_brought_up_to_date(opened: Any, tmp_path: Path) -> None:
    """Whoever opens it first, its mails are there, byte for byte, and numbers go on."""
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript(VERSION_1)
    opened(tmp_path)
    with Mailbox(tmp_path) as mailbox:
        (entry,) = mailbox.page(search="HI")
        assert (entry.id, entry.subject, entry.rcpt_to) == (7, "hi", ("c@d",))
        assert mailbox.source(7) == b"Subject: hi\r\n\r\n"
        record = mailbox.record(7)
        assert (record.reply, record.body_8bit) == ("250 2.0.0 kept as 7", True)
        assert mailbox.counts().mails == 1
    store, ids = Store(tmp_path, execute), list[int]()
    store.add(mail(b"x")).addCallback(ids.append)
    assert ids == [8]


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
        assert [entry.size for entry in mailbox.page()] == [5]


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
