"""The queue of outgoing mail at work: what is due goes out, what fails waits, what bounces is told.

    take -> spool -> due -> a lane of its place -> begun, on disk -> dialogue -> tried, on disk
                      ^                                                |
                      +--------------- back-off -----------------------+--> report to the sender

What is to be done follows from `schedule`, what survives a crash is `spool`'s; here is what needs
sockets and a clock. No secret comes by here: `destination` knows how one logs in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from heapq import heappop, heappush
from random import Random

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from netlabsvc.mail.book import AGAIN_S, Book
from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Result, Stage
from netlabsvc.mail.destination import Carrier, Destination
from netlabsvc.mail.lane import Lane
from netlabsvc.mail.reporter import Reporter
from netlabsvc.mail.schedule import Attempt, Patience, Recipient, State, called_off
from netlabsvc.mail.spool import Queued, Spool
from netlabsvc.metrics import Metric, counter, counter_by, gauge

#: The clock on the wall may be set: it is looked at so often.
LOOK_S = 60.0


@dataclass(frozen=True)
class Lot:
    """Recipients of one mail that share a dialogue, by their places."""

    mail_id: int
    places: tuple[int, ...]
    lane: str


class Queue:
    """All queued mail of a daemon."""

    _log = Logger()

    def __init__(
        self,
        destination: Destination,
        spool: Spool,
        reporter: Reporter,
        reactor: IReactorTime,
        random: Random,
    ) -> None:
        """:param reporter: tells senders what bounced."""
        self._destination = destination
        self._spool = spool
        self._book = Book(spool, reporter, reactor, self._advance)
        self._mails = self._book.mails
        self._reactor = reactor
        self._random = random
        #: Recipients that a lane has, by mail and place.
        self._taken: set[tuple[int, int]] = set()
        self._lanes: dict[str, Lane[Lot]] = {}
        #: Of earlier destinations, with something still under way.
        self._old_lanes: set[Lane[Lot]] = set()
        self._due: list[tuple[float, int]] = []
        self._call: IDelayedCall | None = None
        self._stopping = False
        self._cut = False
        self.accepted = 0
        self.outcomes = dict.fromkeys(
            (State.DELIVERED, State.DEFERRED, State.UNKNOWN, State.BOUNCED), 0
        )

    # What others call.

    def start(self) -> None:
        """Go on with what is on disk."""
        if self._mails and not self._destination.exists:
            text = "{count} mails queued, and neither [mail.queue] smarthost nor mx is set"
            self._log.warn(text, count=len(self._mails))
        for mail in list(self._mails.values()):
            self._advance(mail)

    @property
    def ready(self) -> bool:
        """Whether there is a way out."""
        return self._destination.exists

    async def take(self, outgoing: Outgoing, message_id: str) -> Queued:
        """Queue a mail; when this returns, it is on disk."""
        mail = await self._spool.add(outgoing, message_id, self._reactor.seconds())
        self._mails[mail.id] = mail
        self.accepted += 1
        text = "queued mail {id} taken: <{sender}> to {count}, {size} bytes"
        facts = {"sender": mail.mail_from, "count": len(mail.recipients), "size": mail.size}
        self._log.info(text, event="queued", id=mail.id, **facts)
        self._advance(mail)
        return mail

    def retry(self, mail_id: int) -> int:
        """Let a mail be due now; how many recipients that are not under way concerns it.

        :raises LookupError: when it is not in the queue, or nothing is left to be done.
        """
        mail, now_s = self._undone(mail_id), self._reactor.seconds()
        free = self._open(mail)
        for place in free:
            mail.recipients[place] = replace(mail.recipients[place], due_s=now_s)
        self._advance(mail)
        return len(free)

    async def drop(self, mail_id: int) -> None:
        """Take a mail out of the queue; what is under way may still arrive.

        :raises LookupError: when it is not in the queue.
        """
        del self._mails[self._undone(mail_id).id]
        await self._spool.drop(mail_id)
        self._log.info("queued mail {id} is dropped", event="dropped", id=mail_id)

    def redirect(self, destination: Destination) -> None:
        """Use another way out, with the dialogues that begin from now on."""
        self._destination = destination
        for lane in self._lanes.values():
            for lot in lane.waiting:
                self._release(lot)
            self._old_lanes.add(lane)
            lane.end().addCallback(lambda _, lane: self._old_lanes.discard(lane), lane)
        self._lanes = {}
        for mail in list(self._mails.values()):
            self._advance(mail)

    def drain(self, reason: str = "") -> Deferred[None]:
        """Begin nothing more; fires when what is under way has ended, and is on disk."""
        self._stopping = self._book.stopping = True
        if self._call and self._call.active():
            self._call.cancel()
        ended = DeferredList([lane.end() for lane in self._every_lane()])
        drained: Deferred[None] = ended.addCallback(lambda _: self._book.written())
        return drained

    def abort(self) -> None:
        """Cut what is under way; after its final dot it is unknown, else it stays queued."""
        self._cut = True
        for lane in self._every_lane():
            lane.cut("the daemon is going down")

    def metrics(self) -> Iterator[Metric]:
        yield gauge(
            "netlab_mail_queue_mails", "Mails with a recipient to be served.", len(self._mails)
        )
        yield gauge(
            "netlab_mail_queue_open_connections",
            "Connections open now to servers that take queued mail.",
            sum(lane.connections for lane in self._every_lane()),
        )
        yield counter("netlab_mail_queue_taken_total", "Mails taken into the queue.", self.accepted)
        yield counter_by(
            "netlab_mail_queue_attempts_total",
            "Attempts to deliver to a recipient, by what came of them.",
            "outcome",
            self.outcomes,
        )

    def _every_lane(self) -> list[Lane[Lot]]:
        return [*self._lanes.values(), *self._old_lanes]

    # What is due.

    def _undone(self, mail_id: int) -> Queued:
        if mail_id not in self._mails:
            raise LookupError(f"there is no mail {mail_id} that waits in the queue")
        return self._mails[mail_id]

    def _open(self, mail: Queued) -> list[int]:
        """The places of recipients that wait for an attempt, and are in no lane."""
        return [
            place
            for place, one in enumerate(mail.recipients)
            if not one.settled and (mail.id, place) not in self._taken
        ]

    def _advance(self, mail: Queued) -> None:
        """Do what can be done for a mail now, and come back when there is more."""
        if self._stopping or mail.id not in self._mails:
            return
        self._book.report(mail)
        now_s, lots = self._reactor.seconds(), dict[str, list[int]]()
        later: list[float] = []
        for place in self._open(mail) if self._destination.exists else ():
            one = mail.recipients[place]
            if one.due_s <= now_s:
                lots.setdefault(self._destination.place(one.address), []).append(place)
            else:
                later.append(one.due_s)
        if later:
            heappush(self._due, (min(later), mail.id))
        # All of them first: a lot that is back at once comes by here again.
        self._taken |= {(mail.id, place) for places in lots.values() for place in places}
        for name, places in lots.items():
            self._hand_over(Lot(mail.id, tuple(places), name))
        self._arm()

    def _hand_over(self, lot: Lot) -> None:
        if lot.lane not in self._lanes:
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.busy}
            make = partial(self._destination.carrier, lot.lane)
            self._lanes[lot.lane] = Lane(make, self._carry, self._reactor)
        try:
            self._lanes[lot.lane].add(lot, self._destination.settings.concurrency)
        except ValueError as error:
            self._release(lot)
            self._log.error("the queue waits: [mail.queue] {why}", why=str(error))
            self._later(lot.mail_id)

    def _later(self, mail_id: int) -> None:
        """Look at a mail again when what went wrong here may be over."""
        heappush(self._due, (self._reactor.seconds() + AGAIN_S, mail_id))
        self._arm()

    def _arm(self) -> None:
        """Wake up when the next one is due."""
        if self._call and self._call.active():
            self._call.cancel()
        if self._due and not self._stopping:
            wait_s = self._due[0][0] - self._reactor.seconds()
            self._call = self._reactor.callLater(min(max(wait_s, 0.0), LOOK_S), self._wake)

    def _wake(self) -> None:
        now_s, woken = self._reactor.seconds(), dict[int, None]()
        while self._due and self._due[0][0] <= now_s:
            woken[heappop(self._due)[1]] = None
        for mail_id in woken:
            if mail_id in self._mails:
                self._advance(self._mails[mail_id])
        self._arm()

    def _release(self, lot: Lot) -> None:
        self._taken -= {(lot.mail_id, place) for place in lot.places}

    # One lot.

    async def _carry(self, lot: Lot, carrier: Carrier) -> None:
        """Send to some recipients of a mail: begun and ended on disk."""
        mail = self._mails.get(lot.mail_id)
        if mail is None or self._stopping:
            self._release(lot)
            return
        self._put(mail, lot, [one.begun() for one in self._now(mail, lot)])
        try:
            data = await self._spool.begin(mail)
        except Exception as error:
            self._log.error("cannot write the queue: {why}", why=str(error))
            data = None
        if data is None or self._stopping:
            self._put(mail, lot, [one.put_back() for one in self._now(mail, lot)])
            self._release(lot)
            self._book.write(mail)
            self._later(mail.id)
            return
        addresses = tuple(one.address for one in self._now(mail, lot))
        outgoing = Outgoing(mail.mail_from, addresses, data, mail.dsn)
        result = await self._sent(outgoing, carrier)
        self._conclude(mail, lot, result)
        if Attempt(result).host_is_down:
            self._put_off(lot.lane, result)

    async def _sent(self, outgoing: Outgoing, carrier: Carrier) -> Result:
        """Send it; once more where a connection that was kept turns out to be gone."""
        kept = carrier.connected
        result = await carrier.send(outgoing)
        early = result.stage in (Stage.MAIL, Stage.RSET) and result.ending is Ending.TRY_LATER
        if kept and early and not carrier.connected and not self._cut:
            return await carrier.send(outgoing)
        return result

    def _conclude(self, mail: Queued, lot: Lot, result: Result) -> None:
        """A lot is back: write it down, then go on with its mail."""
        settings, before = self._destination.settings, self._now(mail, lot)
        if self._cut and called_off(result):
            after = [one.put_back() for one in before]
        else:
            patience = Patience(settings.retry_min_s, settings.retry_max_s, settings.expire_s)
            now_s = self._reactor.seconds()
            after = Attempt(result).applied(before, mail.queued_s, now_s, patience, self._random)
            for one in after:
                self._tell(mail, one)
        self._put(mail, lot, after)
        self._release(lot)
        self._book.write(mail)
        self._advance(mail)

    def _put_off(self, name: str, result: Result) -> None:
        """What waits for the same place has failed with it: each alone would wait as long."""
        lane = self._lanes.get(name)
        while lane and lane.waiting and not self._cut:
            lot = lane.waiting.popleft()
            mail = self._mails.get(lot.mail_id)
            if mail is None:
                self._release(lot)
                continue
            self._put(mail, lot, [one.begun() for one in self._now(mail, lot)])
            told = replace(result.recipients[0], fate=Fate.DEFERRED)
            recipients = tuple(replace(told, address=r.address) for r in self._now(mail, lot))
            self._conclude(mail, lot, replace(result, recipients=recipients))

    def _tell(self, mail: Queued, one: Recipient) -> None:
        self.outcomes[one.state] += 1
        said = f"{one.code} {one.text}" if one.code else one.text
        facts = {"id": mail.id, "address": one.address, "state": str(one.state), "said": said}
        self._log.info(
            "queued mail {id} to {address}: {state}: {said}", event=str(one.state), **facts
        )

    def _now(self, mail: Queued, lot: Lot) -> list[Recipient]:
        return [mail.recipients[place] for place in lot.places]

    def _put(self, mail: Queued, lot: Lot, recipients: list[Recipient]) -> None:
        for place, one in zip(lot.places, recipients, strict=True):
            mail.recipients[place] = one
