"""What becomes of a mail that is sent: the stages of the dialogue, and how it can end.

    in the end                                          of each recipient   Ending
    --------------------------------------------------  ------------------  ------------
    2xx after the final dot                             delivered           DELIVERED
    some recipients got no 2xx                          refused, deferred   SOME_REFUSED
    no recipient got a 2xx                              refused             ALL_REFUSED
    ... one of them a 4xx                               deferred            TRY_LATER
    5xx to the greeting, EHLO, MAIL, DATA, the dot      refused             UNAVAILABLE
    the server does not offer what this mail needs      refused             UNAVAILABLE
    no connection, TLS failed                           deferred            UNAVAILABLE
    no mechanism of AUTH succeeded                      deferred            NO_AUTH
    4xx, connection lost, deadline passed               deferred            TRY_LATER
    what is no SMTP                                     deferred            PROTOCOL
    the last two, after the final dot was sent          unknown             UNKNOWN
    ended on purpose before the final dot               not sent            DELIVERED, stopped

Unknown is a state of its own: to send again might give two copies, not to send none (RFC 5321
4.5.4.1, RFC 1047). It knows no sockets and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from functools import cached_property, lru_cache

from netlabsvc.mail.address import mailbox
from netlabsvc.mail.message import MessageError, check_lines
from netlabsvc.mail.transparency import wire_size


class Stage(StrEnum):
    """How far the dialogue came: what is being waited for."""

    CONNECT = "connecting"
    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    TLS = "TLS handshake"
    AUTH = "AUTH"
    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BODY = "message"
    DOT = "final dot"
    QUIT = "QUIT"


class Ending(IntEnum):
    """How it ended: the exit status of a command that sends mail (sysexits.h, and 3 and 4)."""

    DELIVERED = 0
    SOME_REFUSED = 3
    UNKNOWN = 4
    USAGE = 64
    BAD_DATA = 65
    ALL_REFUSED = 67
    NO_HOST = 68
    UNAVAILABLE = 69
    TRY_LATER = 75
    PROTOCOL = 76
    NO_AUTH = 77
    CONFIG = 78


class Fate(StrEnum):
    """What is known of the mail to one recipient."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    NOT_SENT = "not sent"


@dataclass(frozen=True)
class Dsn:
    """Which reports of the delivery the sender asks for (RFC 3461).

    :ivar notify: NEVER alone, or of SUCCESS, FAILURE, DELAY; empty leaves it to the server.
    :ivar ret: FULL or HDRS: what of the message a report holds.
    :ivar envelope_id: printable ASCII, given back in each report.
    :raises MessageError: for anything else.
    """

    notify: tuple[str, ...] = ()
    ret: str = ""
    envelope_id: str = ""

    def __post_init__(self) -> None:
        notify = set(self.notify)
        if notify != {"NEVER"} and not notify <= {"SUCCESS", "FAILURE", "DELAY"}:
            said = ",".join(self.notify)
            raise MessageError(f"{said!r}: NEVER, or some of SUCCESS, FAILURE, DELAY")
        if self.ret not in ("", "FULL", "HDRS"):
            raise MessageError(f"{self.ret!r}: a report returns FULL or HDRS")
        if not re.fullmatch(r"[!-~]{0,100}", self.envelope_id):
            raise MessageError(
                f"{self.envelope_id!r}: an envelope id is printable ASCII, up to 100"
            )


#: `mailbox`, for addresses that come again and again.
_check = lru_cache(maxsize=1024)(mailbox)


@dataclass(frozen=True)
class Outgoing:
    """A mail to be sent: an envelope, and a message that the envelope does not come from.

    :ivar dsn: what to be told of, where the server offers it.
    :raises AddressError: for an address that is none ("" is right as sender: the null path).
    :raises MessageError: for a line that is too long.
    """

    mail_from: str
    rcpt_to: tuple[str, ...]
    message: bytes
    dsn: Dsn = Dsn()

    def __post_init__(self) -> None:
        for address in (*filter(None, [self.mail_from]), *self.rcpt_to):
            _check(address)
        check_lines(self.message)

    @cached_property
    def wire_size(self) -> int:
        """Bytes, as RFC 1870 counts them: every line end CRLF, dots not doubled."""
        return wire_size(self.message)

    @property
    def needs_smtputf8(self) -> bool:
        addresses = (self.mail_from, *self.rcpt_to)
        if not "".join(addresses).isascii():
            return True
        # Looked at first, for it is nearly always so: a head in ASCII within ASCII.
        return self.needs_8bit and not self.message.partition(b"\r\n\r\n")[0].isascii()

    @property
    def needs_8bit(self) -> bool:
        return not self.message.isascii()


@dataclass(frozen=True)
class Recipient:
    """One recipient, and the reply that decided it; code 0 where there was none."""

    address: str
    fate: Fate
    code: int
    text: str


@dataclass(frozen=True)
class Channel:
    """Over what it went; each is empty where there was none."""

    tls: str = ""
    cipher: str = ""
    mechanism: str = ""


@dataclass(frozen=True)
class Result:
    """How it ended, where, and why, in one line for people.

    :ivar stopped: it ended on purpose, before the final dot.
    """

    ending: Ending
    stage: Stage
    cause: str
    recipients: tuple[Recipient, ...]
    channel: Channel = Channel()
    stopped: bool = False


def together(results: Iterable[Result]) -> Ending:
    """How several mails ended, as one status: the same for all, or some refused, or the worst."""
    endings = {result.ending for result in results}
    if len(endings) == 1:
        return endings.pop()
    if Ending.UNKNOWN in endings:
        return Ending.UNKNOWN
    if endings & {Ending.DELIVERED, Ending.SOME_REFUSED}:
        return Ending.SOME_REFUSED
    return Ending.TRY_LATER if Ending.TRY_LATER in endings else max(endings)


class Progress:
    """One mail on its way; gives the `Result` when it has ended."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.stage = Stage.CONNECT
        self.channel = Channel()
        self._recipients = outgoing.rcpt_to
        self._asked = 0
        #: Those that got no 2xx to RCPT, by their place.
        self._decided: dict[int, Recipient] = {}

    @property
    def next_recipient(self) -> str | None:
        """Whom to name in the next RCPT; None after the last."""
        return self._recipients[self._asked] if self._asked < len(self._recipients) else None

    @property
    def any_accepted(self) -> bool:
        return len(self._decided) < self._asked

    def answered_rcpt(self, code: int, text: str) -> None:
        """The reply to the RCPT of `next_recipient`."""
        fate = _fate(code)
        if fate is not Fate.DELIVERED:
            address = self._recipients[self._asked]
            self._decided[self._asked] = Recipient(address, fate, code, text)
        self._asked += 1

    def none_accepted(self) -> Result:
        """Every RCPT was answered, and nobody is left to get the message."""
        *_, last = self._decided.values()
        deferred = any(one.fate is Fate.DEFERRED for one in self._decided.values())
        ending = Ending.TRY_LATER if deferred else Ending.ALL_REFUSED
        cause = f"no recipient was accepted: {last.code} {last.text}"
        return self._result(ending, cause, last.fate, last.code, last.text)

    def replied(self, code: int, text: str) -> Result:
        """The reply that ends it, at the stage reached; 2xx only after the final dot."""
        fate = _fate(code)
        if fate is not Fate.DELIVERED:
            ending = Ending.UNAVAILABLE if fate is Fate.REFUSED else Ending.TRY_LATER
            return self._result(ending, f"{self.stage} refused: {code} {text}", fate, code, text)
        if not self._decided:
            return self._result(Ending.DELIVERED, f"{code} {text}", fate, code, text)
        (first, *_) = self._decided.values()
        others = f", and {len(self._decided) - 1} more" if len(self._decided) > 1 else ""
        cause = f"{first.address} refused: {first.code} {first.text}{others}"
        return self._result(Ending.SOME_REFUSED, cause, fate, code, text)

    def cannot(self, ending: Ending, cause: str, fate: Fate = Fate.DEFERRED) -> Result:
        """It ended without a reply that decides it."""
        if self.stage is Stage.DOT:
            cause = f"{cause}; whether the mail was delivered is unknown"
            return self._result(Ending.UNKNOWN, cause, Fate.UNKNOWN, 0, cause)
        return self._result(ending, cause, fate, 0, cause)

    def stopped(self) -> Result:
        """It ended on purpose."""
        if self.stage is Stage.DOT:
            return self.cannot(Ending.UNKNOWN, "the connection was dropped on purpose")
        cause = f"ended on purpose after {self.stage}"
        ending = Ending.SOME_REFUSED if self._decided else Ending.DELIVERED
        return replace(self._result(ending, cause, Fate.NOT_SENT, 0, cause), stopped=True)

    def _result(self, ending: Ending, cause: str, fate: Fate, code: int, text: str) -> Result:
        recipients = tuple(
            self._decided.get(place) or Recipient(address, fate, code, text)
            for place, address in enumerate(self._recipients)
        )
        return Result(ending, self.stage, cause, recipients, self.channel)


def _fate(code: int) -> Fate:
    if 200 <= code < 300:
        return Fate.DELIVERED
    return Fate.DEFERRED if 400 <= code < 500 else Fate.REFUSED
