"""The queue on disk: what it has said it has, it has."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, execute

from netlabsvc.mail.delivery import Dsn, Outgoing
from netlabsvc.mail.schedule import State
from netlabsvc.mail.spool import FILE, KEPT_DONE, Queued, Spool, SpoolError

MAIL = Outgoing("", ("小@例", "bob@lab"), b"a\x00\xff\r\n", Dsn(("FAILURE",), "HDRS", "x1"))


def result(told: Deferred[Any]) -> Any:
    results: list[Any] = []
    told.addCallback(results.append)
    return results[0]


def queued(spool: Spool, mail: Outgoing = MAIL) -> Queued:
    added: Queued = result(spool.add(mail, "<1@lab>", 7.5))
    return added


def test_a_mail_outlives_its_daemon(tmp_path: Path) -> None:
    """Envelope, bytes and the state of each recipient, as they were written."""
    spool = Spool(tmp_path, execute)
    mail = queued(spool)
    tried = replace(
        mail.recipients[0], state=State.DEFERRED, attempts=3, due_s=9.5, text="later 小"
    )
    mail.recipients[0] = tried
    spool.write(mail)
    spool.close()
    again = Spool(tmp_path, execute)
    assert again.undone() == [mail]
    assert (mail.dsn, mail.queued_s, mail.size) == (MAIL.dsn, 7.5, 5)
    assert result(again.message(1)) == MAIL.message
    again.close()


def test_what_was_under_way_in_a_crash_is_unknown(tmp_path: Path) -> None:
    """Only the recipients whose attempt had begun."""
    spool = Spool(tmp_path, execute)
    mail = queued(spool)
    mail.recipients[1] = mail.recipients[1].begun()
    assert result(spool.begin(mail)) == MAIL.message
    spool.close()
    spool = Spool(tmp_path, execute)
    (found,) = spool.undone()
    assert [one.state for one in found.recipients] == [State.QUEUED, State.UNKNOWN]
    assert [one.under_way for one in found.recipients] == [False, False]
    spool.close()


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    """Not even that of the last mail, dropped before a restart."""
    spool = Spool(tmp_path, execute)
    assert queued(spool).id == 1
    spool.drop(1)
    spool.close()
    spool = Spool(tmp_path, execute)
    assert (queued(spool).id, result(spool.mail(1))) == (2, None)
    spool.close()


def test_those_that_are_done_are_remembered_for_a_while(tmp_path: Path) -> None:
    """The newest thousand; what is not done is never forgotten."""
    spool = Spool(tmp_path, execute)
    first = queued(spool)
    for _ in range(KEPT_DONE + 5):
        mail = queued(spool)
        mail.done_s = 8.0
        spool.write(mail)
    found = result(spool.mails(done=True, limit=10_000))
    assert (found[0], found[1].id, len(found)) == (first, 7, KEPT_DONE + 1)
    spool.close()


def test_many_share_a_commit_and_each_is_told(tmp_path: Path) -> None:
    """What is asked for during a commit waits for the next one, and closing for them all."""
    threads: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def later(work: Callable[[], Any]) -> Deferred[Any]:
        threads.append((work, Deferred()))
        return threads[-1][1]

    spool, told = Spool(tmp_path, later), list[int]()
    for _ in range(10):
        spool.add(MAIL, "<1@lab>", 7.5).addCallback(lambda mail: told.append(mail.id))
    closed = spool.close()
    while threads:
        work, done = threads.pop()
        assert not closed.called
        done.callback(work())
    assert (told, closed.called) == (list(range(1, 11)), True)


def test_a_disk_that_is_full_fails_whoever_waits(tmp_path: Path) -> None:
    """Nothing is acknowledged, nothing half written, and the next one may succeed."""
    spool = Spool(tmp_path, execute)
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        (pages,) = other.execute("PRAGMA page_count").fetchone()
    spool._db.execute(f"PRAGMA max_page_count={pages}")
    failures: list[Any] = []
    spool.add(replace(MAIL, message=b"x\r\n" * 10_000), "<1@lab>", 7.5).addErrback(failures.append)
    assert "full" in failures[0].getErrorMessage()
    assert result(spool.mails(done=True, limit=9)) == []
    spool._db.execute("PRAGMA max_page_count=1000000")
    assert queued(spool).id == 1
    spool.close()


@pytest.mark.parametrize("statement", ["PRAGMA user_version=99", "CREATE TABLE other (x)"])
def test_a_file_of_others_is_left_alone(tmp_path: Path, statement: str) -> None:
    """A newer spool, or no spool: one line that says what can be done."""
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute(statement)
    with pytest.raises(SpoolError, match="use another --state-dir"):
        Spool(tmp_path, execute)


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    """With the file's name."""
    (tmp_path / FILE).write_bytes(b"no database at all" * 100)
    with pytest.raises(SpoolError, match=r"queue\.sqlite3: file is not a database"):
        Spool(tmp_path, execute)
