"""How the sandbox may behave: a table of personalities, each with what it does.

    personality    for the whole sandbox: the key of the same name, or netlab ctl mail personality
    local part     for one recipient: greylist@..., mailbox-full@..., any name of the table, and
                   reject-550@ (any 5xx), defer@, defer-3x@ (three times), drop@ (flaky-after-dot)

Nothing of it is drawn by chance or depends on the time: the same dialogue gets the same replies.
What must be remembered from one connection to the next is in `Memory`. It knows no sockets; what a
`Manner` asks for, whoever writes the replies does.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Messages that one connection may begin under rate-limit.
RATE_LIMIT_MAILS = 3
SLOW_S = 2.0
_MAX_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Manner:
    """How a reply is said.

    :ivar delay_s: that it comes late.
    :ivar bytewise: each byte in a segment of its own.
    :ivar multiline: as several lines, where one would do.
    :ivar lf_only: its lines end with LF alone.
    """

    delay_s: float = 0.0
    bytewise: bool = False
    multiline: bool = False
    lf_only: bool = False


PLAIN = Manner()


@dataclass(frozen=True, slots=True)
class Situation:
    """What a command is judged by.

    :ivar host: the client's address, without its port.
    :ivar user: who has logged in, "" for nobody.
    :ivar recipient: "" at MAIL.
    :ivar mails: begun in this connection before.
    """

    host: str
    user: str
    mail_from: str
    recipient: str = ""
    mails: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reply that refuses; `rule` says why for people. 421 closes the connection."""

    code: int
    enhanced: str
    text: str
    rule: str


class Memory:
    """How often something has happened, for the last so many things."""

    def __init__(self) -> None:
        self._times: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def times(self, *what: str) -> int:
        """Count it once more: how often it has happened before."""
        before = self._times.pop(what, 0)
        self._times[what] = before + 1
        if len(self._times) > _MAX_REMEMBERED:
            self._times.popitem(last=False)
        return before


Rule = Callable[[Situation, Memory], Refusal | None]


@dataclass(frozen=True, slots=True)
class Personality:
    """One way to behave.

    :ivar help: one line for people.
    :ivar at_mail: judges MAIL; for a local part, RCPT.
    :ivar at_rcpt: judges RCPT.
    :ivar breaks_off: takes the message, and closes the connection without a reply.
    """

    name: str
    help: str
    at_mail: Rule | None = None
    at_rcpt: Rule | None = None
    manner: Manner = PLAIN
    breaks_off: bool = False


def _auth_required(it: Situation, memory: Memory) -> Refusal | None:
    if it.user:
        return None
    return Refusal(
        530, "5.7.0", "authentication required; AUTH comes before MAIL", "nobody logged in"
    )


def _must_match(it: Situation, memory: Memory) -> Refusal | None:
    if not it.user:
        text = "this sender needs its owner's login, and nobody has logged in"
        return Refusal(553, "5.7.1", text, "the sender is nobody's: no login")
    local = it.mail_from.rpartition("@")[0]
    if it.user.casefold() in (it.mail_from.casefold(), local.casefold()):
        return None
    text = "this sender does not belong to who has logged in"
    return Refusal(553, "5.7.1", text, "the sender is neither NAME@... nor the login itself")


def _greylist(it: Situation, memory: Memory) -> Refusal | None:
    if memory.times("greylist", it.host, it.mail_from, it.recipient):
        return None
    text = "greylisted: come again, and it will be taken"
    return Refusal(451, "4.7.1", text, "the first time of this client, sender and recipient")


def _rate_limit(it: Situation, memory: Memory) -> Refusal | None:
    if it.mails < RATE_LIMIT_MAILS:
        return None
    text = f"at most {RATE_LIMIT_MAILS} messages in one connection, come again"
    return Refusal(421, "4.7.0", text, f"message {it.mails + 1} of this connection")


def _full(it: Situation, memory: Memory) -> Refusal:
    return Refusal(452, "4.2.2", "the mailbox is full, try later", "the mailbox is full")


def _full_for_good(it: Situation, memory: Memory) -> Refusal:
    return Refusal(552, "5.2.2", "the mailbox is full", "the mailbox is full")


_ALL = (
    Personality("open", "takes every mail"),
    Personality("auth-required", "530 to MAIL before AUTH", at_mail=_auth_required),
    Personality(
        "sender-must-match-login",
        "553 to a MAIL whose sender is neither the login nor has it before the @",
        at_mail=_must_match,
    ),
    Personality(
        "greylist",
        "451 to RCPT the first time of a client, sender and recipient",
        at_rcpt=_greylist,
    ),
    Personality(
        "rate-limit",
        f"421 to MAIL after {RATE_LIMIT_MAILS} messages in a connection",
        at_mail=_rate_limit,
    ),
    Personality("mailbox-full", "452 to every RCPT", at_rcpt=_full),
    Personality("mailbox-full-552", "552 to every RCPT", at_rcpt=_full_for_good),
    Personality("slow", f"each reply {SLOW_S:g} s late (a tarpit)", manner=Manner(delay_s=SLOW_S)),
    Personality("flaky-after-dot", "takes the message, closes without a reply", breaks_off=True),
    Personality(
        "bytewise", "each byte of a reply in its own segment", manner=Manner(bytewise=True)
    ),
    Personality("multiline", "each reply as several lines", manner=Manner(multiline=True)),
    Personality("lf-only", "replies end with LF instead of CR LF", manner=Manner(lf_only=True)),
)
#: By name, in the order of the manual.
PERSONALITIES = {one.name: one for one in _ALL}
OPEN = PERSONALITIES["open"]
_REJECT = re.compile(r"reject-(5[0-9][0-9])")
_DEFER = re.compile(r"defer-([1-9][0-9]?)x")


def of_recipient(address: str) -> Personality:
    """What the local part of a recipient asks for; `OPEN` where it asks for nothing."""
    name = address.rpartition("@")[0].lower()
    if name == "drop":
        return PERSONALITIES["flaky-after-dot"]
    if name == "defer":
        return Personality(name, "451 to RCPT, always", at_rcpt=_deferring(None))
    if match := _DEFER.fullmatch(name):
        times = int(match[1])
        return Personality(name, f"451 to RCPT {times} times", at_rcpt=_deferring(times))
    if match := _REJECT.fullmatch(name):
        return Personality(name, f"{match[1]} to RCPT", at_rcpt=_rejecting(int(match[1])))
    return PERSONALITIES.get(name, OPEN)


def _deferring(times: int | None) -> Rule:
    def defer(it: Situation, memory: Memory) -> Refusal | None:
        before = memory.times("defer", it.host, it.mail_from, it.recipient)
        if times is not None and before >= times:
            return None
        which = f"{before + 1} of {times}" if times else f"{before + 1}"
        return Refusal(451, "4.2.1", "not now, try later", f"deferred as asked, time {which}")

    return defer


def _rejecting(code: int) -> Rule:
    enhanced = {550: "5.1.1", 552: "5.2.2", 553: "5.7.1", 530: "5.7.0"}.get(code, "5.0.0")
    refusal = Refusal(code, enhanced, "this recipient is refused, as its name asks", "as asked")
    return lambda it, memory: refusal


class Conduct:
    """How a sandbox behaves now: one for all its sessions, which follow at once."""

    def __init__(self, name: str = "open") -> None:
        self.change(name)

    def change(self, name: str) -> None:
        """Behave so from now on, and remember nothing of before.

        :raises KeyError: for a name that is not in the table.
        """
        self.personality = PERSONALITIES[name]
        self.memory = Memory()

    def at_mail(self, it: Situation) -> Refusal | None:
        return self._judge(self.personality.at_mail, it, self.personality)

    def at_rcpt(self, it: Situation) -> Refusal | None:
        """What the recipient asks for comes before what the sandbox is told to be."""
        asked = of_recipient(it.recipient)
        rules = ((asked.at_mail, asked), (asked.at_rcpt, asked))
        for rule, owner in (*rules, (self.personality.at_rcpt, self.personality)):
            if refusal := self._judge(rule, it, owner):
                return refusal
        return None

    def breaks_off(self, recipients: tuple[str, ...]) -> str:
        """Whose doing it is that the final dot gets no reply; "" where it gets one."""
        for one in (self.personality, *map(of_recipient, recipients)):
            if one.breaks_off:
                return one.name
        return ""

    def manner(self, recipient: str = "") -> Manner:
        """How to say a reply; one to RCPT as its recipient asks."""
        asked = of_recipient(recipient).manner if recipient else PLAIN
        return asked if asked is not PLAIN else self.personality.manner

    def _judge(self, rule: Rule | None, it: Situation, owner: Personality) -> Refusal | None:
        refusal = rule(it, self.memory) if rule else None
        if refusal is None:
            return None
        return Refusal(
            refusal.code, refusal.enhanced, refusal.text, f"{owner.name}: {refusal.rule}"
        )
