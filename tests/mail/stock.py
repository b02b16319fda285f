"""The client of twisted.mail as its users write it, to stand beside ours."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred

from netlabsvc.mail.delivery import Outgoing
from netlabsvc.mail.stock import ESMTPClient


class StockClient(ESMTPClient):
    """Sends one mail; `result` fires with the code of the last reply, or the error."""

    def __init__(self, mail: Outgoing, *more: Any, hello: bytes = b"me") -> None:
        super().__init__(more[0] if more else None, None, hello)
        self.mail: Outgoing | None = mail
        self.recipients = mail.rcpt_to
        self.message = mail.message
        self.result: Deferred[Any] = Deferred()
        self.lost = False

    def getMailFrom(self) -> str | None:
        mail, self.mail = self.mail, None
        return mail.mail_from if mail else None

    def getMailTo(self) -> list[str]:
        return list(self.recipients)

    def getMailData(self) -> BytesIO:
        return BytesIO(self.message.replace(b"\r\n", b"\n"))

    def sentMail(self, code: int, resp: bytes, count: int, addresses: Any, log: Any) -> None:
        if not self.result.called:
            self.result.callback(code)

    def sendError(self, exc: Any) -> None:
        if not self.result.called:
            self.result.callback(exc)
        super().sendError(exc)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True
        super().connectionLost(reason)
