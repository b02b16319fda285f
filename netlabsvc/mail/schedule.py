"""What the queue does with a recipient, and when: states, back-off, the end of patience.

    queued ----+                   2xx after the final dot     delivered
    deferred --+-- an attempt ---  5xx                         bounced
    unknown ---+                   4xx, no connection          deferred, or unknown as before
                                   lost after the final dot    unknown
                                   expire_s after the begin    bounced

An attempt is written down before it begins (`under_way`). What is found under way after a crash
may have been delivered: it is unknown, too. Who was unknown once stays so until a server has
decided: to send again may give a second copy, under the same Message-ID; not to send, none
(RFC 5321 4.5.4.1, RFC 1047). Times are seconds since the epoch and arguments, as is chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from netlabsvc.mail.delivery import Ending, Fate, Result, Stage

#: A refusal here is not about the mail: the server, or how we talk to it, can be mended.
_BEFORE_MAIL = (Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.TLS, Stage.AUTH)
#: Of a reply that is kept.
MAX_TEXT = 240
CRASHED = "the daemon was killed while it was being sent; whether it was delivered is unknown"


class State(StrEnum):
    """What is known of the mail to one recipient."""

    QUEUED = "queued"
    DEFERRED = "deferred"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    BOUNCED = "bounced"


#: There will be no other attempt.
SETTLED = (State.DELIVERED, State.BOUNCED)


@dataclass(frozen=True)
class Recipient:
    """One recipient of a queued mail.

    :ivar attempts: that were begun.
    :ivar due_s: not before then comes the next one.
    :ivar code: of the last reply; 0 where there was none.
    :ivar doubtful: after how many attempts it was unknown whether it was delivered.
    :ivar reported: whether the sender has been told that it bounced.
    """

    address: str
    state: State = State.QUEUED
    attempts: int = 0
    due_s: float = 0.0
    code: int = 0
    text: str = ""
    doubtful: int = 0
    under_way: bool = False
    reported: bool = False

    @property
    def settled(self) -> bool:
        return self.state in SETTLED

    def begun(self) -> Recipient:
        """An attempt begins."""
        return replace(self, under_way=True, attempts=self.attempts + 1)

    def recovered(self) -> Recipient:
        """As it is found after a crash."""
        return self._unknown(self.due_s, 0, CRASHED) if self.under_way else self

    def put_back(self) -> Recipient:
        """The attempt was called off before the final dot."""
        return replace(self, under_way=False, attempts=self.attempts - 1)

    def tried(self, fate: Fate, code: int, text: str, due_s: float) -> Recipient:
        """The attempt has ended; `due_s` is for the next one."""
        if fate is Fate.UNKNOWN:
            return self._unknown(due_s, code, text)
        state = {Fate.DELIVERED: State.DELIVERED, Fate.REFUSED: State.BOUNCED}.get(
            fate, State.UNKNOWN if self.doubtful else State.DEFERRED
        )
        return replace(self, state=state, code=code, text=text, due_s=due_s, under_way=False)

    def given_up(self, patience_s: float) -> Recipient:
        """There was no success for too long."""
        text = f"not delivered in {in_words(patience_s)}"
        text += f"; the last answer: {self.text}" if self.text else ""
        return replace(self, state=State.BOUNCED, text=text)

    def _unknown(self, due_s: float, code: int, text: str) -> Recipient:
        return replace(
            self,
            state=State.UNKNOWN,
            due_s=due_s,
            code=code,
            text=text,
            doubtful=self.doubtful + 1,
            under_way=False,
        )


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds: between attempts at least and at most, and in all."""

    retry_min_s: float = 60.0
    retry_max_s: float = 4 * 3600.0
    expire_s: float = 3 * 86400.0

    def wait_s(self, attempts: int, random: Random) -> float:
        """Until the next attempt, after so many: twice as long each time, and never quite the same,
        so that mails which failed together do not come back together.
        """
        most_s = max(self.retry_max_s, self.retry_min_s)
        upper_s = min(most_s, self.retry_min_s * 2.0 ** min(attempts, 64))
        return random.uniform(max(self.retry_min_s, upper_s / 2), upper_s)

    def due_s(self, queued_s: float, now_s: float, wait_s: float) -> float:
        """When the next attempt comes: the last one when patience ends, not long before."""
        end_s = queued_s + self.expire_s
        return min(now_s + wait_s, max(end_s, now_s + self.retry_min_s))


@dataclass(frozen=True)
class Attempt:
    """What one dialogue has told of some recipients.

    :ivar host_is_down: nothing came of the connection: other mails need not try now.
    """

    result: Result

    @property
    def host_is_down(self) -> bool:
        return self.result.stage in _BEFORE_MAIL and not any(
            self._fate(one.fate, one.code) is Fate.REFUSED for one in self.result.recipients
        )

    def applied(
        self,
        recipients: list[Recipient],
        queued_s: float,
        now_s: float,
        patience: Patience,
        random: Random,
    ) -> list[Recipient]:
        """The recipients it was for, in the order of the result's.

        :param queued_s: since when; where patience has ended, those that are not settled bounce.
        """
        wait_s = patience.wait_s(max(one.attempts for one in recipients), random)
        due_s = patience.due_s(queued_s, now_s, wait_s)
        after = [
            before.tried(self._fate(told.fate, told.code), told.code, told.text[:MAX_TEXT], due_s)
            for before, told in zip(recipients, self.result.recipients, strict=True)
        ]
        if now_s - queued_s < patience.expire_s:
            return after
        return [one if one.settled else one.given_up(patience.expire_s) for one in after]

    def _fate(self, fate: Fate, code: int) -> Fate:
        about_the_mail = self.result.stage not in _BEFORE_MAIL or code == 0
        return fate if fate is not Fate.REFUSED or about_the_mail else Fate.DEFERRED


def called_off(result: Result) -> bool:
    """Whether a dialogue that was cut certainly left no copy behind."""
    return result.ending is not Ending.UNKNOWN and not any(
        one.fate in (Fate.DELIVERED, Fate.REFUSED) for one in result.recipients
    )


def in_words(seconds: float) -> str:
    """``3 days``, ``4 h``, ``90 s``."""
    for size, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (size < 86400 and seconds == size):
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"
