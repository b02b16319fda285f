"""What is kept of a mail besides its bytes, and of an attempt that was refused.

One record for each message that was offered: it says who claimed what, what was said, and which
rule decided. It knows no sockets, no store and no HTML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from netlabsvc.mail.transcript import Line


class Verdict(StrEnum):
    """What became of it."""

    KEPT = "kept"
    """Answered 250 after the dot, and on disk."""
    REFUSED = "refused"
    """A 4xx or 5xx ended it: at MAIL, for every recipient, at DATA or after the dot."""
    DROPPED = "dropped"
    """The sandbox took the message and let the client believe otherwise, as it was told to."""
    ABANDONED = "abandoned"
    """The client went away in the middle."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the connection that a message came by."""

    peer: str
    """Address and port."""
    hello: str = ""
    """The name in EHLO or HELO."""
    esmtp: bool = False
    tls: str = ""
    """The version, as ``TLSv1.3``; empty without TLS."""
    cipher: str = ""
    auth_mechanism: str = ""
    auth_user: str = ""
    """As the client gave it; empty without AUTH."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A recipient, and the reply to its RCPT."""

    address: str
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the wire or the message that a reader should know."""

    rule: str
    """One of those that `lint` lists: a short word such as ``bare-lf``."""
    count: int = 1
    line: int = 0
    """The first line of the message where it was seen, from 1; 0 where it is not one line's."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything but the bytes of the message."""

    time_s: float
    facts: Facts
    mail_from: str | None
    """The reverse path, "" for the null path; None where MAIL was not even accepted or sent."""
    recipients: tuple[Answered, ...] = ()
    body_8bit: bool = False
    smtputf8: bool = False
    verdict: Verdict = Verdict.KEPT
    personality: str = "open"
    rule: str = ""
    """Which rule decided, in a few words for people."""
    reply: str = ""
    """The reply that decided it: ``250 2.0.0 kept as 1``, ``553 5.7.1 ...``."""
    dialogue: tuple[Line, ...] = ()
    """The session up to that reply, secrets taken out; at most a few hundred lines."""
    findings: tuple[Finding, ...] = field(default=())
    size_bytes: int = 0

    @property
    def rcpt_to(self) -> tuple[str, ...]:
        """The recipients that were accepted."""
        return tuple(one.address for one in self.recipients if 200 <= one.code < 300)
