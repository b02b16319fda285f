"""Whose turn it is: the mails that are given to one connection, and their results.

    given -> waiting -> on its way -> told
                 \\          \\-> None: the connection ended, and nothing was heard about this mail
                  \\-> None: the connection ended

It knows no command but that a mail begins with `begin_mail`; what is said, and what a reply means,
is in `client`.
"""

from __future__ import annotations

from collections import deque
from math import inf
from random import Random
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Progress, Result, Stage
from netlabsvc.mail.opening import Opening
from netlabsvc.mail.plan import Plan
from netlabsvc.mail.speaking import Pause, Watch
from netlabsvc.mail.transcript import Transcript


class _Mail(NamedTuple):
    outgoing: Outgoing
    progress: Progress
    result: Deferred[Result | None]


class Turns(Opening):
    """One mail after the other, in the order in which they are given."""

    def __init__(
        self,
        reactor: IReactorTime,
        plan: Plan,
        random: Random,
        watch: Watch | None,
        pause: Pause | None,
        transcript: Transcript,
    ) -> None:
        super().__init__(reactor, plan, random, watch, pause, transcript)
        self._mail: _Mail | None = None
        #: Those after it.
        self._waiting: deque[_Mail] = deque()
        #: Those before it whose result is to be told.
        self._told: deque[tuple[Deferred[Result | None], Result | None]] = deque()
        #: The mail whose first commands were said behind the message before it.
        self._announced: _Mail | None = None
        #: The connection was in use before this mail, and nothing was heard about it yet.
        self._unheard = False
        #: What the mail on its way will get, while replies to what was said with it are to come.
        self._verdict: Result | None = None
        #: Mails can be sent; and: no more can be.
        self._established = False
        self._ending = False

    def begin_mail(self) -> None:
        """Say the first commands of the mail whose turn it is."""
        raise NotImplementedError

    def send(self, outgoing: Outgoing) -> Deferred[Result | None]:
        """Send a mail when its turn comes; fires with what became of it, never fails.

        None: the connection has ended, or a 421 came, before anything was heard about this mail
        (and it was not the first): that was not about this mail, and another connection may do.
        """
        mail = _Mail(outgoing, Progress(outgoing), Deferred())
        self._waiting.append(mail)
        if self._ending:
            self._let_go()
        elif self._mail is None:
            self._take_next()
        return mail.result

    @property
    def usable(self) -> bool:
        """Whether another mail can be given."""
        return not self._ending

    def _take_next(self) -> None:
        """The turn of the next mail; its deadline runs from now on."""
        self._mail, self._verdict = self._waiting.popleft(), None
        self.total_due_s = self._reactor.seconds() + self.plan.deadlines.total_s
        self._unheard = self._established
        if self._established:
            self.stage = Stage.MAIL
            if self._mail is not self._announced:
                self.begin_mail()

    def _conclude(self, ending: Ending, cause: str, fate: Fate = Fate.DEFERRED) -> None:
        """The mail on its way, if there is one, ends without a reply that decides it."""
        if self._mail and self._unheard and self._ending:
            self._waiting.appendleft(self._mail)
            self._mail = None
        elif self._mail:
            self._settle(self._verdict or self._progress().cannot(ending, cause, fate))
        self._let_go()

    def _settle(self, outcome: Result) -> None:
        """The mail has its result; the connection may go on, with the next one."""
        assert self._mail is not None
        self._told.append((self._mail.result, outcome))
        self._mail, self.total_due_s = None, inf
        if self._waiting and self._established and not self._ending:
            self._take_next()
        if not self.hearing:
            self._tell()

    def _tell(self) -> None:
        """Whoever waits gets the results: behind what was to be said, for the server works then."""
        while self._told:
            result, outcome = self._told.popleft()
            result.callback(outcome)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self._tell()

    def _let_go(self) -> None:
        """When the connection ends: the mails whose turn never came."""
        while self._waiting and self._ending:
            self._told.append((self._waiting.popleft().result, None))
        if not self.hearing:
            self._tell()

    def _progress(self) -> Progress:
        """That of the mail on its way, at the stage reached."""
        assert self._mail is not None
        progress = self._mail.progress
        progress.stage, progress.channel = self.stage, self.channel
        return progress
