"""The queue, with its disk, and a world in which anything may happen to a mail."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock

from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Result, Stage
from netlabsvc.mail.delivery import Recipient as Told
from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.queue import Queue
from netlabsvc.mail.reporter import Reporter
from netlabsvc.mail.schedule import State
from netlabsvc.mail.settings import Queue as Settings
from netlabsvc.mail.spool import Queued, Spool
from netlabsvc.mail.store import Store

RECIPIENTS = ("a@x", "b@x", "c@y")
MAIL = Outgoing("ada@lab", RECIPIENTS, b"Subject: hi\r\nMessage-ID: <1@lab>\r\n\r\nhello\r\n")
#: What the world does with one recipient in one attempt: the fate that is told, and whether a
#: copy arrived.
TAKES = [
    *((Fate.DELIVERED, True), (Fate.REFUSED, False), (Fate.DEFERRED, False)),
    *((Fate.UNKNOWN, False), (Fate.UNKNOWN, True)),
]


class World:
    """All servers there are, and what they have been given; a way out for the queue.

    :ivar plan: for each attempt: what happens to each recipient, and whether the daemon is killed
        when the world has acted.
    """

    exists = True

    def __init__(self, plan: list[tuple[dict[str, tuple[Fate, bool]], bool]]) -> None:
        self.settings = Settings(smarthost="lab:25", concurrency=2)
        self.copies: Counter[str] = Counter()
        self.excused: Counter[str] = Counter()
        self.messages: set[bytes] = set()
        self.killed = False
        self._plan = plan

    def place(self, recipient: str) -> str:
        return recipient.partition("@")[2]

    def carrier(self, place: str) -> Any:
        return self

    connected = False

    async def send(self, outgoing: Outgoing) -> Result:
        happens, kill = self._plan.pop(0) if self._plan else ({}, False)
        self.messages.add(outgoing.message)
        told = []
        for address in outgoing.rcpt_to:
            fate, arrives = happens.get(address, (Fate.DELIVERED, True))
            self.copies[address] += arrives
            self.excused[address] += arrives and (kill or fate is Fate.UNKNOWN)
            told.append(Told(address, fate, 0, "so it is"))
        if kill:
            self.killed = True
            await Deferred[None]()  # for ever: nobody hears of it
        unknown = any(one.fate is Fate.UNKNOWN for one in told)
        ending = Ending.UNKNOWN if unknown else Ending.TRY_LATER
        return Result(ending, Stage.DOT, "so it is", tuple(told))

    def cut(self, why: str) -> None:
        """Nothing is cut here."""

    async def close(self) -> None:
        """There is nobody to say goodbye to."""


class Life:
    """One life of a daemon with this directory."""

    def __init__(self, directory: Path, world: World, clock: Clock) -> None:
        self.store, self.spool = Store(directory, execute), Spool(directory, execute)
        reporter = Reporter(self.store, clock, "lab.example")
        self.queue = Queue(world, self.spool, reporter, clock, Random(1))  # type: ignore[arg-type]
        self.queue.start()

    def end(self) -> None:
        """Only the files are closed; nothing is written any more."""
        self.spool.close()
        self.store.close()


def result(told: Deferred[Any]) -> Any:
    results: list[Any] = []
    told.addCallback(results.append)
    return results[0]


def lived(directory: Path, world: World, mail: Outgoing = MAIL) -> Queued:
    """Queue a mail, and go on, through all crashes, until it is done."""
    clock = Clock()
    queued: Queued | None = None
    for _ in range(100):
        life = Life(directory, world, clock)
        if queued is None:
            # It may be begun, and the daemon killed, before it is even acknowledged.
            Deferred.fromCoroutine(life.queue.take(mail, "<1@lab>"))
        for _ in range(100):
            queued = result(life.spool.mail(1))
            if world.killed or queued.done_s is not None:
                break
            clock.advance(3600)
        if not world.killed:
            life.end()
            break
        life.end()
        world.killed, clock = False, _later(clock)
    assert queued is not None
    return queued


def _later(clock: Clock) -> Clock:
    """A new reactor, at the same time."""
    new = Clock()
    new.rightNow = clock.rightNow
    return new


attempts = st.fixed_dictionaries({address: st.sampled_from(TAKES) for address in RECIPIENTS})


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(attempts, st.booleans()), max_size=8))
def test_nobody_is_lost_and_nobody_served_twice(plan: Any) -> None:
    """Whatever servers do, and whenever the daemon is killed: each recipient is delivered to, or
    the sender told; a second copy comes only after an outcome that was not known, as the same
    message."""
    with tempfile.TemporaryDirectory() as name:
        world = World(plan)
        queued = lived(Path(name), world)
        reports = reported(Path(name))
    assert queued.done_s is not None
    for one in queued.recipients:
        assert one.settled
        assert one.state is State.DELIVERED or f"  {one.address}\r\n" in reports
        assert world.copies[one.address] <= 1 + world.excused[one.address]
        if one.state is State.DELIVERED:
            assert world.copies[one.address] >= 1
        assert one.doubtful >= world.excused[one.address]
    assert world.messages == {MAIL.message}


def reported(directory: Path) -> str:
    """All reports in the sandbox, one after the other."""
    with Mailbox(directory) as mailbox:
        sources = [mailbox.source(entry.id) for entry in mailbox.page(limit=1000)]
    return b"\r\n".join(sources).decode()


def test_the_null_path_gets_no_report(tmp_path: Path) -> None:
    """A bounce never bounces: it is just over."""
    refused = dict.fromkeys(RECIPIENTS, (Fate.REFUSED, False))
    mail = Outgoing("", RECIPIENTS, MAIL.message)
    queued = lived(tmp_path, World([(refused, False)] * 2), mail)
    assert [one.state for one in queued.recipients] == [State.BOUNCED] * 3
    assert reported(tmp_path) == ""


def test_a_mail_that_is_done_leaves_no_bytes(tmp_path: Path) -> None:
    """What became of it is still known; the message is gone, and no queue is held up."""
    queued = lived(tmp_path, World([]))
    assert [one.state for one in queued.recipients] == [State.DELIVERED] * 3
    spool = Spool(tmp_path, execute)
    assert result(spool.message(1)) is None
    assert (spool.undone(), result(spool.mails(done=True, limit=9))) == ([], [queued])
    spool.close()
