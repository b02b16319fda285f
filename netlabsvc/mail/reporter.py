"""Where reports about undelivered mail go: into the sandbox, as mail to the sender.

They are kept here, whoever the sender is: nothing is ever sent to an address that a message only
claims to come from.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

from netlabsvc.mail import bounce
from netlabsvc.mail.record import Answered, Facts, Record
from netlabsvc.mail.schedule import Recipient
from netlabsvc.mail.spool import Queued
from netlabsvc.mail.store import Mail, Store


class Reporter:
    """Writes reports, and keeps them."""

    def __init__(self, store: Store, reactor: IReactorTime, host: str) -> None:
        """:param host: the name of this machine."""
        self._store = store
        self._reactor = reactor
        self._host = host

    async def report(self, mail: Queued, failed: Sequence[Recipient], message: bytes) -> None:
        """Tell the sender, unless nobody is to be told; when this returns, it is on disk."""
        if not bounce.wanted(mail.mail_from, mail.dsn.notify):
            return
        now_s = self._reactor.seconds()
        data = bounce.report(
            *(mail.id, mail.mail_from, failed, message),
            host=self._host,
            queued_s=mail.queued_s,
            now_s=now_s,
        )

        def describe(mail_id: int) -> Record:
            reply = f"250 2.0.0 kept as {mail_id}"
            return Record(
                now_s,
                Facts("the queue", self._host),
                "",
                (Answered(mail.mail_from, 250, "2.1.5 the sender of what bounced"),),
                body_8bit=not data.isascii(),
                smtputf8=not mail.mail_from.isascii(),
                rule=f"a report on mail {mail.id} of the queue",
                reply=reply,
                size_bytes=len(data),
            )

        await self._store.add(Mail(describe, data))
