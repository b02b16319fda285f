"""One message being offered, as it will be kept: who claimed what, what was said, what decided.

A session has one for as long as it lives; each `Record` made of it begins with how the connection
began, then has what was said since the last one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from netlabsvc.mail.command import Parameters, Reply
from netlabsvc.mail.record import Answered, Facts, Record, Verdict
from netlabsvc.mail.transcript import REDACTED, Line, Side, Transcript

#: Lines of a record: of the connection's beginning, of the message's first commands, of its last.
MAX_BEGINNING, MAX_FIRST, MAX_LAST = 60, 120, 60
#: Recipients of a record, refused ones counted; a client may ask for as many as it likes.
MAX_ANSWERED = 300
#: Of a line of the dialogue.
MAX_LINE_BYTES = 1000


@dataclass
class Attempt:
    """What is known so far; `begin` forgets what was known of the message before.

    :ivar last: the reply that decides, unless a later one does.
    :ivar rule: why it was given, in a few words.
    :ivar taken: how many recipients are accepted.
    :ivar mails: that came before this one, in the same connection.
    """

    facts: Facts
    mail_from: str | None = None
    parameters: Parameters = field(default_factory=Parameters)
    recipients: list[Answered] = field(default_factory=list)
    open: bool = False
    last: Reply | None = None
    rule: str = ""
    mails: int = 0
    taken: int = 0
    _transcript: Transcript = field(default_factory=Transcript)
    _beginning: list[Line] = field(default_factory=list)
    _first: list[Line] = field(default_factory=list)
    _latest: deque[Line] = field(default_factory=lambda: deque(maxlen=MAX_LAST))
    _left_out: int = 0
    _begun: bool = False

    def begin(self, mail_from: str | None, parameters: Parameters) -> None:
        """MAIL was said; None where its sender cannot be told."""
        self.mail_from, self.parameters = mail_from, parameters
        self.recipients, self.taken = [], 0
        self.open = True
        self.last, self.rule = None, ""

    def forget(self) -> None:
        """The message is over, or never came."""
        self.mail_from, self.parameters = None, Parameters()
        self.recipients, self.taken = [], 0
        self.open = False
        self.last, self.rule = None, ""
        self._first.clear()
        self._latest.clear()
        self._left_out = 0

    def decide(self, reply: Reply, rule: str) -> None:
        self.last, self.rule = reply, rule

    def answer(self, address: str, reply: Reply) -> None:
        """A recipient got this reply; of those that were refused not all are remembered."""
        taken = reply.code < 300
        self.taken += taken
        if taken or len(self.recipients) < MAX_ANSWERED:
            self.recipients.append(Answered(address, reply.code, _text(reply)))

    def rcpt_to(self) -> tuple[str, ...]:
        return tuple(one.address for one in self.recipients if one.code < 300)

    def heard(self, at_s: float, line: bytes, *, secret: bool = False) -> None:
        """The client said a line; a secret one the transcript cannot know from what came before."""
        shown = REDACTED if secret else line[:MAX_LINE_BYTES]
        self._add(self._transcript.client(at_s, shown))

    def said(self, at_s: float, reply: Reply) -> None:
        """We said something."""
        for line in reply.lines():
            self._add(self._transcript.server(at_s, line.encode("ascii")))

    def note(self, at_s: float, side: Side, text: str) -> None:
        """Something happened that is no line."""
        self._add(self._transcript.note(at_s, side, text))

    def _add(self, line: Line) -> None:
        if not self._begun and len(self._beginning) < MAX_BEGINNING:
            self._beginning.append(line)
        elif len(self._first) < MAX_FIRST:
            self._first.append(line)
        else:
            self._left_out += len(self._latest) == MAX_LAST
            self._latest.append(line)

    def belongs_to_a_message(self) -> None:
        """What is said from now on belongs to a message, not to the connection's beginning."""
        self._begun = True

    def record(self, time_s: float, verdict: Verdict, personality: str, size: int = 0) -> Record:
        """Everything but the bytes."""
        return Record(
            time_s,
            self.facts,
            self.mail_from,
            tuple(self.recipients),
            self.parameters.body_8bit,
            self.parameters.smtputf8,
            verdict,
            personality,
            self.rule,
            shown(self.last) if self.last else "",
            tuple(self._lines()),
            size_bytes=size,
        )

    def _lines(self) -> Iterable[Line]:
        yield from self._beginning
        if self.mails:
            count = f"{self.mails} mail{'s' * (self.mails > 1)}"
            yield Line(self._first[0].at_s if self._first else 0.0, "S", f"({count} before this)")
        yield from self._first
        if self._left_out:
            yield Line(self._latest[0].at_s, "S", f"({self._left_out} lines are left out)")
        yield from self._latest


def answered(record: Record, at_s: float, reply: Reply) -> Record:
    """A record with the reply that was given to its final dot."""
    lines = (Line(at_s, "S", line) for line in reply.lines())
    return replace(record, reply=shown(reply), dialogue=(*record.dialogue, *lines))


def shown(reply: Reply) -> str:
    """A reply as one line: ``553 5.7.1 the sender ...``."""
    return f"{reply.code} {_text(reply)}"


def _text(reply: Reply) -> str:
    return " ".join(filter(None, (reply.enhanced, " / ".join(reply.text))))
