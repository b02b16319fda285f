"""The mails of the queue as they are at this moment, written down as they change.

Here it is known when a mail is done with: when each of its recipients is delivered to, or its
sender has been told. What the disk does not take now is written later, and never forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from netlabsvc.mail.reporter import Reporter
from netlabsvc.mail.schedule import State
from netlabsvc.mail.spool import Queued, Spool

#: What went wrong on this machine is tried again after so long.
AGAIN_S = 10.0


class Book:
    """All mails with which something is left to be done.

    :ivar mails: by their number.
    :ivar stopping: whether what fails now is left to the next start.
    """

    _log = Logger()

    def __init__(
        self,
        spool: Spool,
        reporter: Reporter,
        reactor: IReactorTime,
        advance: Callable[[Queued], None],
    ) -> None:
        """:param advance: is called when a report has been written, or is to be tried again."""
        self.mails = {mail.id: mail for mail in spool.undone()}
        self.stopping = False
        self._spool = spool
        self._reporter = reporter
        self._reactor = reactor
        self._advance = advance
        self._reporting: set[int] = set()
        self._under_way: set[Deferred[None]] = set()

    def write(self, mail: Queued) -> None:
        """Write a mail down as it is now; where that fails, again until it succeeds."""
        unreported = self._unreported(mail)
        if not unreported and all(one.settled for one in mail.recipients):
            mail.done_s = self._reactor.seconds()
        writing = self._spool.write(mail)
        writing.addCallbacks(self._written, self._not_written, (mail,), {}, (mail,))
        self._keep(writing)

    def report(self, mail: Queued) -> None:
        """Tell the sender of what bounced, unless that is done or being done."""
        places = self._unreported(mail)
        if places and mail.id not in self._reporting:
            self._reporting.add(mail.id)
            self._keep(Deferred.fromCoroutine(self._reported(mail, places)))

    def written(self) -> Deferred[None]:
        """Fires when all that is being written has been."""
        return DeferredList(list(self._under_way)).addCallback(lambda _: None)

    def _keep(self, work: Deferred[None]) -> None:
        self._under_way.add(work)
        work.addBoth(lambda _: self._under_way.discard(work))

    def _unreported(self, mail: Queued) -> list[int]:
        """The places of those that bounced without anybody having been told."""
        return [
            place
            for place, one in enumerate(mail.recipients)
            if one.state is State.BOUNCED and not one.reported
        ]

    def _written(self, _: None, mail: Queued) -> None:
        if mail.done_s is not None:
            self.mails.pop(mail.id, None)

    def _not_written(self, failure: Failure, mail: Queued) -> None:
        why = failure.getErrorMessage()
        self._log.error("cannot write to the queue: {why}", event="not_written", why=why)
        if not self.stopping:
            self._reactor.callLater(AGAIN_S, self.write, mail)

    async def _reported(self, mail: Queued, places: list[int]) -> None:
        try:
            data = await self._spool.message(mail.id) or b""
            await self._reporter.report(mail, [mail.recipients[place] for place in places], data)
        except Exception as error:  # whatever the disk has
            text = "cannot keep the report on queued mail {id}: {why}"
            self._log.error(text, event="not_written", id=mail.id, why=str(error))
            if not self.stopping:
                self._reactor.callLater(AGAIN_S, self._advance, mail)
            return
        finally:
            self._reporting.discard(mail.id)
        for place in places:
            mail.recipients[place] = replace(mail.recipients[place], reported=True)
        self.write(mail)
        self._advance(mail)
