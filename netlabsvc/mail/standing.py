"""Where a session stands: what holds for it, what has been said so far, what must happen next.

The commands (`orders`) change it, the stream (`session`) acts on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from netlabsvc.mail import attempt
from netlabsvc.mail.attempt import Attempt
from netlabsvc.mail.command import Reply
from netlabsvc.mail.lint import lint
from netlabsvc.mail.login import Claim, Login
from netlabsvc.mail.personality import PLAIN, Conduct, Manner, Situation
from netlabsvc.mail.record import Facts, Record, Verdict


@dataclass(frozen=True)
class Terms:
    """What holds for one connection from its beginning.

    :ivar hostname: this server's name, in ASCII.
    :ivar max_size: the largest message accepted, in bytes.
    :ivar peer: address and port of the client; host: its address alone.
    :ivar starttls: whether there is a certificate.
    :ivar private: nobody can listen in, as on the loopback: passwords may go without TLS.
    :ivar login_required: MAIL needs AUTH.
    :ivar lookup: whether who logs in is looked up; else every name is right.
    :ivar challenge: of CRAM-MD5, another one for each connection.
    """

    hostname: str = "localhost"
    max_size: int = 32 << 20
    peer: str = ""
    host: str = ""
    starttls: bool = False
    private: bool = False
    login_required: bool = False
    lookup: bool = False
    challenge: bytes = b"<1@localhost>"


@dataclass(frozen=True)
class Message:
    """A whole message, exactly as sent, to be kept before the session goes on.

    :ivar record: complete but for the reply, which tells the id.
    :ivar wire: what its bytes do not show, by the rule of a finding.
    """

    record: Record
    data: bytes
    wire: Mapping[str, int] = field(default_factory=dict)
    at_s: float = 0.0
    manner: Manner = PLAIN

    def described(self, mail_id: int) -> Record:
        """The record, once there is an id, with what is wrong with the message."""
        found = lint(self.data, body_8bit=self.record.body_8bit, wire=self.wire)
        record = replace(self.record, findings=found)
        if record.verdict is not Verdict.KEPT:
            return record
        return attempt.answered(record, self.at_s, kept(mail_id, self.manner))


@dataclass(frozen=True)
class Attempted:
    """A message was offered and did not come: keep the record; the session goes on."""

    record: Record


@dataclass(frozen=True)
class Check:
    """Look up whether this is somebody, and say `Session.checked`."""

    claim: Claim


@dataclass(frozen=True)
class StartTLS:
    """Begin TLS behind the reply before this, and say `Session.secured`."""


@dataclass(frozen=True)
class Close:
    """Nothing more will be said or heard: close the connection."""


Event = Reply | Message | Attempted | Check | StartTLS | Close


@dataclass
class Standing:
    """Of one session.

    :ivar hello: what the client calls itself, user: who has logged in; "" for nothing.
    :ivar login: an AUTH that is on its way; login_failed: the last one was refused.
    :ivar begun: messages that this connection has begun.
    :ivar receiving: after DATA, until the final dot.
    :ivar next: what must happen behind the reply.
    """

    terms: Terms
    conduct: Conduct
    attempt: Attempt
    hello: str = ""
    esmtp: bool = False
    user: str = ""
    login: Login | None = None
    login_failed: bool = False
    begun: int = 0
    receiving: bool = False
    next: list[Event] = field(default_factory=list)

    def situation(self, mail_from: str, recipient: str = "") -> Situation:
        """What a personality judges by."""
        return Situation(self.terms.host, self.user, mail_from, recipient, self.begun)

    def in_tls(self, version: str, cipher: str) -> None:
        """TLS is on. Whatever was said before STARTTLS holds no more (RFC 3207 section 4.2)."""
        self.hello, self.esmtp, self.user, self.login = "", False, "", None
        self.attempt.facts = Facts(self.terms.peer, tls=version, cipher=cipher)


def kept(mail_id: int, manner: Manner) -> Reply:
    """The reply to a final dot."""
    return Reply(250, "2.0.0", (f"kept as {mail_id}",), manner)
