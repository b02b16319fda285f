"""What can be done with the queue of outgoing mail: its routes of the control API."""

from __future__ import annotations

import sqlite3
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random
from typing import Annotated

from twisted.internet.interfaces import IReactorTime

from netlabsvc.mail.delivery import Dsn, Outgoing
from netlabsvc.mail.headers import Ready
from netlabsvc.mail.message import message_id
from netlabsvc.mail.queue import Queue
from netlabsvc.mail.schedule import Recipient
from netlabsvc.mail.spool import Queued, Spool, SpoolError
from netlabsvc.routes import Json, Problem, Route, Rule
from netlabsvc.times import rfc3339

#: As the sandbox takes by default.
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
#: Base64, and the rest of the request.
MAX_BODY_BYTES = MAX_MESSAGE_BYTES * 4 // 3 + 1024 * 1024

MailId = Annotated[int, Rule(bounds=(1, 2**63 - 1))]


class QueueOperating:
    """The operator's side of the queue."""

    def __init__(self, queue: Queue, spool: Spool, reactor: IReactorTime, random: Random) -> None:
        self._queue = queue
        self._spool = spool
        self._reactor = reactor
        self._random = random

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        path = "/v1/mail/queue"
        take = "Queue a mail; when this answers, it is on disk."
        return [
            Route("POST", path, self.take, take, MAX_BODY_BYTES),
            Route("GET", path, self.mails, "The mails in the queue, the oldest first."),
            Route("GET", f"{path}/{{id}}", self.mail, "One mail, and each of its recipients."),
            Route("POST", f"{path}/{{id}}/retry", self.retry, "Try again now."),
            Route("DELETE", f"{path}/{{id}}", self.drop, "Take a mail out of the queue."),
        ]

    async def take(
        self,
        mail_from: Annotated[str, Rule(longest=320)],
        rcpt_to: tuple[str, ...],
        message: Annotated[str, Rule(longest=MAX_BODY_BYTES)],
        notify: tuple[str, ...] = (),
        ret: Annotated[str, Rule(one_of=("", "FULL", "HDRS"))] = "",
    ) -> Json:
        """:raises ValueError: for an address or a message that is none."""
        if not self._queue.ready:
            why = "there is no way out: set smarthost, or mx = true, under [mail.queue]"
            raise Problem(409, why)
        if not rcpt_to:
            raise Problem(400, "rcpt_to: names nobody", {"rcpt_to": "names nobody"})
        now = datetime.fromtimestamp(self._reactor.seconds(), UTC)
        try:
            data = b64decode(message, validate=True)
            ready = Ready(data)
            named = ready.values("Message-ID")
            if not named:
                # Each attempt must carry the same one.
                named = [message_id(mail_from.rpartition("@")[2] or "localhost", now, self._random)]
                ready.add_missing("Message-ID", named[0])
                data = bytes(ready)
            outgoing = Outgoing(mail_from, tuple(dict.fromkeys(rcpt_to)), data, Dsn(notify, ret))
        except Base64Error:
            raise Problem(400, "message: is no Base64", {"message": "is no Base64"}) from None
        except ValueError as error:
            raise ValueError(str(error)) from None  # an AddressError or a MessageError
        try:
            queued = await self._queue.take(outgoing, named[0])
        except (sqlite3.Error, SpoolError) as error:
            raise Problem(503, f"not queued: it cannot be written: {error}") from None
        return {"id": queued.id, "message_id": queued.message_id}

    async def mails(
        self, done: bool = False, limit: Annotated[int, Rule(bounds=(1, 10_000))] = 100
    ) -> Json:
        found = await self._spool.mails(done=done, limit=limit)
        return [_as_object(mail) for mail in found]

    async def mail(self, id: MailId) -> Json:
        found = await self._spool.mail(id)
        if found is None:
            raise LookupError(f"there is no mail {id} in the queue")
        return _as_object(found)

    def retry(self, id: MailId) -> Json:
        return {"id": id, "recipients": self._queue.retry(id)}

    async def drop(self, id: MailId) -> Json:
        await self._queue.drop(id)
        return {"id": id}


def _as_object(mail: Queued) -> dict[str, object]:
    return {
        "id": mail.id,
        "queued": rfc3339(mail.queued_s),
        "done": (mail.done_s is not None and rfc3339(mail.done_s)) or None,
        "mail_from": mail.mail_from,
        "message_id": mail.message_id,
        "size": mail.size,
        "recipients": [_recipient(one) for one in mail.recipients],
    }


def _recipient(one: Recipient) -> dict[str, object]:
    return {
        "address": one.address,
        "state": str(one.state),
        "attempts": one.attempts,
        "next": None if one.settled else rfc3339(one.due_s),
        "code": one.code,
        "text": one.text,
        "maybe_delivered": one.doubtful > 0,
        "under_way": one.under_way,
    }
