"""Sending mails: one connection to one server, over which one mail after the other goes.

    (opening) -> ready -> MAIL -> RCPT ... -> DATA -> message, final dot -> ready ...  `send`
                 ready -> QUIT                                                         `close`

A mail counts as delivered after a 2xx to its final dot, and after nothing else; every end of the
connection gives the mail on its way a `Result` (RFC 5321; what follows from an ending is in
`delivery`). Nothing is sent twice: to try again is the business of whoever asked.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Progress, Result, Stage
from netlabsvc.mail.opening import Opening
from netlabsvc.mail.plan import Plan
from netlabsvc.mail.speaking import SUCCESS, Awaited, Pause, Watch
from netlabsvc.mail.transaction import CannotCarry, mail_command, rcpt_command
from netlabsvc.mail.transcript import Transcript
from netlabsvc.mail.transparency import END, Stuffed, on_wire

#: A message up to here is written at once.
SMALL_BYTES = 65536
RCPT_ANSWERS = [*SUCCESS, *range(400, 600)]


class Client(Opening):
    """One connection. One mail at a time; the next one is given when the last has its result."""

    def __init__(
        self,
        reactor: IReactorTime,
        plan: Plan,
        random: Random,
        watch: Watch | None = None,
        pause: Pause | None = None,
        *,
        show_secrets: bool = False,
    ) -> None:
        """:param watch: is given each line of the dialogue, secrets taken out.
        :param pause: is asked before each command.
        :param show_secrets: leave them in.
        """
        transcript = Transcript(show_secrets=show_secrets)
        super().__init__(reactor, plan, random, watch, pause, transcript)
        #: Fires when the connection has ended.
        self.gone: Deferred[None] = Deferred()
        self._mail: tuple[Outgoing, Progress, Deferred[Result]] | None = None
        #: What the mail on its way will get, while replies to what was said with it are to come.
        self._verdict: Result | None = None
        self._established = False
        self._needs_reset = False
        self._ending = False
        self._end: tuple[Ending, str] | None = None

    # What whoever sends mails calls.

    def send(self, outgoing: Outgoing) -> Deferred[Result]:
        """Send a mail when the connection is ready; fires with what became of it, never fails."""
        assert self._mail is None, "one mail at a time"
        result: Deferred[Result] = Deferred()
        self._mail, self._verdict = (outgoing, Progress(outgoing), result), None
        if self._ending:
            self._conclude(*self._end or (Ending.TRY_LATER, "the connection has ended"))
        elif self._established:
            self.stage = Stage.MAIL
            self._begin_mail()
        return result

    @property
    def usable(self) -> bool:
        """Whether another mail can be sent."""
        return bool(self.connected) and not self._ending

    def close(self) -> Deferred[None]:
        """Say QUIT, unless that was said; fires when the connection has ended."""
        if self.usable:
            self._quit()
        closed: Deferred[None] = Deferred()
        self.gone.chainDeferred(closed)
        return closed

    def late(self, what: str) -> None:
        if self.connected and self._ending:
            self.transport.abortConnection()
        elif self.connected:
            cause = f"no answer in time from the server (at: {self.stage}, {what})"
            self.broken(Ending.TRY_LATER, cause)

    # How it ends.

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.rest()
        self.connected = 0
        if self.stage is Stage.TLS and not self._ending:
            self._end = Ending.UNAVAILABLE, f"TLS failed: {self.plan.tls.cause(reason)}"
        elif not self._end:
            cause = f"the server closed the connection (at: {self.stage})"
            self._end = Ending.TRY_LATER, cause
        self._conclude(*self._end)
        self._ending = True
        self.gone.callback(None)

    def broken(self, ending: Ending, cause: str) -> None:
        """The dialogue cannot go on: nothing more is said or heard."""
        self._end = self._end or (ending, cause)
        self._ending = True
        self.rest()
        self._awaited.clear()
        self.clearLineBuffer()
        if self.transport is not None:
            self.transport.abortConnection()
        self._conclude(ending, cause)

    def no_session(self, ending: Ending, cause: str) -> None:
        """The server is there, and nothing can be sent through it: say QUIT."""
        self._end = ending, cause
        self._quit()
        self._conclude(ending, cause)

    def _conclude(self, ending: Ending, cause: str, fate: Fate = Fate.DEFERRED) -> None:
        """The mail on its way, if there is one, ends without a reply that decides it."""
        if self._mail:
            self._settle(self._verdict or self._progress().cannot(ending, cause, fate))

    def _settle(self, outcome: Result) -> None:
        """The mail has its result; the connection may go on."""
        assert self._mail is not None
        (_, _, result), self._mail = self._mail, None
        result.callback(outcome.over(self.channel))

    def _progress(self) -> Progress:
        """That of the mail on its way, at the stage reached."""
        assert self._mail is not None
        progress = self._mail[1]
        progress.stage = self.stage
        return progress

    def _quit(self) -> None:
        self._ending = True
        self.ask(b"QUIT", Awaited(Stage.QUIT, SUCCESS, self._bye, self._bye))

    def _bye(self, code: int, text: bytes) -> None:
        self.transport.loseConnection()

    def passes(self, stage: Stage) -> bool:
        """Whether the dialogue goes on after a stage; if not, it ends here, as was asked."""
        stop = self.plan.stop
        if stop is None or stop.after is not stage:
            return True
        outcome = self._progress().stopped() if self._mail else None
        self._end = Ending.TRY_LATER, f"ended on purpose after {stage}"
        if stop.drop:
            self._ending = True
            self.reach(Stage.QUIT)
            self.transport.loseConnection()
        else:
            self._quit()
        if outcome:
            self._settle(outcome)
        return False

    # What the server says.

    def replied(self, code: int, text: bytes) -> None:
        if self.stage is Stage.BODY or (code == 421 and not self._ending):
            self.refused(code, text)
        else:
            super().replied(code, text)

    def unasked(self, code: int, text: bytes) -> None:
        """Between two mails a server may say 421 and close; nothing else is right."""
        self.no_smtp(f"{code} {self.shown(text)!r} to nothing")

    def refused(self, code: int, text: bytes) -> None:
        """A reply that is not the one hoped for; after 421 the server closes (RFC 5321 3.8)."""
        if 200 <= code < 400:
            self.no_smtp(f"{code} as answer (at: {self.stage})")
            return
        said = self.shown(text)
        if self._mail and self._verdict is None:
            self._verdict = self._progress().replied(code, said)
        ending = Ending.UNAVAILABLE if code >= 500 else Ending.TRY_LATER
        cause = f"{self.stage} refused: {code} {said}"
        if code == 421 or self.stage is Stage.BODY:
            self.broken(ending, cause)
        elif not self._established or self.stage is Stage.RSET:
            self.no_session(ending, cause)
        elif not self._awaited:
            self._mail_is_over()

    def _mail_is_over(self) -> None:
        """The replies have all come; the connection stays."""
        assert self._verdict is not None
        self._needs_reset = self.stage in (Stage.RCPT, Stage.DATA)
        self.rest()
        self._settle(self._verdict)

    # The mail.

    def ready(self) -> None:
        self._established = True
        if self._mail:
            self._begin_mail()
        else:
            self.rest()

    def _begin_mail(self) -> None:
        """Say MAIL, and with pipelining all up to DATA; RSET alone when one was left open."""
        assert self._mail is not None
        outgoing = self._mail[0]
        if self._needs_reset:
            self._needs_reset = False
            self.ask(b"RSET", Awaited(Stage.RSET, SUCCESS, self._was_reset, self.refused))
            return
        try:
            mail = mail_command(outgoing, self.offers)
        except CannotCarry as error:
            self.stage = Stage.EHLO  # whose answer decides it
            self.rest()
            self._conclude(Ending.UNAVAILABLE, str(error), Fate.REFUSED)
            return
        asked = [(mail, Awaited(Stage.MAIL, SUCCESS, self.smtpState_to, self.refused))]
        if self._together:
            asked += map(self._rcpt, outgoing.rcpt_to)
            asked.append(self._data())
        self.ask_all(asked)

    @property
    def _together(self) -> bool:
        return self.plan.pipelining and "PIPELINING" in self.offers and self.plan.stop is None

    def _was_reset(self, code: int, text: bytes) -> None:
        self._begin_mail()

    def _rcpt(self, recipient: str) -> tuple[bytes, Awaited]:
        assert self._mail is not None
        awaited = Awaited(Stage.RCPT, RCPT_ANSWERS, self.smtpState_toOrData, self.refused)
        return rcpt_command(self._mail[0], recipient), awaited

    def _data(self) -> tuple[bytes, Awaited]:
        return b"DATA", Awaited(Stage.DATA, [354], self.smtpState_data, self._data_refused)

    def smtpState_to(self, code: int, resp: bytes) -> None:
        if not self._awaited and self.passes(Stage.MAIL):
            self._name_next_recipient()

    def _name_next_recipient(self) -> None:
        recipient = self._progress().next_recipient
        assert recipient is not None
        self.ask(*self._rcpt(recipient))

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        if self._verdict:
            return
        progress = self._progress()
        progress.answered_rcpt(code, self.shown(resp))
        if self._awaited:
            return
        if progress.next_recipient is not None:
            self._name_next_recipient()
        elif not progress.any_accepted:
            self._verdict = progress.none_accepted()
            self._mail_is_over()
        elif self.passes(Stage.RCPT):
            self.ask(*self._data())

    def _data_refused(self, code: int, text: bytes) -> None:
        progress = self._progress()
        if self._verdict is None and not progress.any_accepted:
            progress.stage = Stage.RCPT
            self._verdict = progress.none_accepted()
        self.refused(code, text)

    def smtpState_data(self, code: int, resp: bytes) -> None:
        progress = self._progress()
        if self._verdict:  # MAIL was refused, and yet a message is wanted
            self.no_smtp("354 to DATA after no to MAIL")
        elif not progress.any_accepted:
            # RFC 2920 3.1: nobody is left to get it; the dot alone ends it.
            progress.stage = Stage.RCPT
            self._verdict = progress.none_accepted()
            over = Awaited(Stage.DATA, RCPT_ANSWERS, self._nothing_sent, self.refused)
            self.ask(END[2:3], over)
        elif early := self.clearLineBuffer():
            self.reach(Stage.BODY)  # what answers the message before it was sent is no answer
            self.setLineMode(early)
        elif self.passes(Stage.DATA):
            self._send_message()

    def _nothing_sent(self, code: int, text: bytes) -> None:
        self._mail_is_over()

    def _send_message(self) -> None:
        assert self._mail is not None
        message, stop = self._mail[0].message, self.plan.stop
        self.show_note(f"({len(message)} bytes of message)")
        if stop and stop.after is Stage.BODY:
            self.transport.write(on_wire(message)[: -len(END) + 2])
            self.stage = Stage.BODY
            self.passes(Stage.BODY)
        elif len(message) <= SMALL_BYTES:
            self.write(on_wire(message))
            self.finishedFileTransfer(b"")
        else:
            self.reach(Stage.BODY)
            sending = FileSender()
            sent = sending.beginFileTransfer(Stuffed(message), self.transport, self.transformChunk)
            # When it fails the connection has gone, and connectionLost says so.
            sent.addCallbacks(self.finishedFileTransfer, lambda failure: None)

    def transformChunk(self, chunk: bytes) -> bytes:
        """A block goes out: the deadline is for each block."""
        self.reach(Stage.BODY)
        return chunk

    def finishedFileTransfer(self, lastsent: bytes) -> None:
        """All was sent, and the final dot with it."""
        self.stage = Stage.DOT
        if self.passes(Stage.DOT):
            self.expect(Awaited(Stage.DOT, SUCCESS, self.smtpState_msgSent, self.refused))
        self.show_said(b".")

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        self._verdict = self._progress().replied(code, self.shown(resp))
        self._mail_is_over()
