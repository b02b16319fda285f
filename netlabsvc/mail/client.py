"""Sending mails: one connection to one server, over which one mail after the other goes.

    (opening) -> ready -> MAIL -> RCPT ... -> DATA -> message, final dot -> ready ...  `send`
                 ready -> QUIT                                                         `close`

A mail counts as delivered after a 2xx to its final dot, and after nothing else; every end of the
connection gives the mail on its way a `Result` (RFC 5321; what follows from an ending is in
`delivery`). Nothing is sent twice: to try again is the business of whoever asked.

Where the server takes commands said together, those of a mail go up to its DATA in one write, and
behind the message before it when that mail is known by then (RFC 2920 3.1):

    C: MAIL, RCPT, DATA                    C: message, dot, MAIL, RCPT, DATA
    S: 250, 250, 354                       S: 250, 250, 250, 354
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure

from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Stage
from netlabsvc.mail.plan import Plan
from netlabsvc.mail.speaking import SUCCESS, Asked, Awaited, Pause, Watch, as_lines
from netlabsvc.mail.transaction import CannotCarry, mail_command, rcpt_command
from netlabsvc.mail.transcript import Transcript
from netlabsvc.mail.transparency import END, Stuffed, on_wire
from netlabsvc.mail.turns import Turns

#: A message up to here is written at once.
SMALL_BYTES = 65536
RCPT_ANSWERS = frozenset([*SUCCESS, *range(400, 600)])


class Client(Turns):
    """One connection; the mails go in the order in which they are given."""

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
        # What is awaited for each command of a mail.
        self._to_mail = Awaited(Stage.MAIL, SUCCESS, self.smtpState_to, self.refused)
        self._to_rcpt = Awaited(Stage.RCPT, RCPT_ANSWERS, self.smtpState_toOrData, self.refused)
        self._to_data = Awaited(Stage.DATA, [354], self.smtpState_data, self._data_refused)
        self._to_dot = Awaited(Stage.DOT, SUCCESS, self.smtpState_msgSent, self.refused)
        self._needs_reset = False
        self._end: tuple[Ending, str] | None = None

    # What whoever sends mails calls, beside `send`.

    def close(self) -> Deferred[None]:
        """Say QUIT, unless that was said; fires when the connection has ended."""
        if self.connected and not self._ending:
            self._quit()
        closed: Deferred[None] = Deferred()
        self.gone.chainDeferred(closed)
        return closed

    def late(self, what: str) -> None:
        if self.connected and self._ending:
            self.transport.abortConnection()
        elif self.connected:
            self._unheard = False
            cause = f"no answer in time from the server (at: {self.stage}, {what})"
            self.broken(*self.given_up() or (Ending.TRY_LATER, cause))

    # How it ends.

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.fall_silent()
        self.connected = 0
        if self.stage is Stage.TLS and not self._ending:
            self._end = Ending.UNAVAILABLE, f"TLS failed: {self.plan.tls.cause(reason)}"
        elif not self._end:
            cause = f"the server closed the connection (at: {self.stage})"
            self._end = self.given_up() or (Ending.TRY_LATER, cause)
        self._ending = True
        self._conclude(*self._end)
        self.gone.callback(None)

    def broken(self, ending: Ending, cause: str) -> None:
        """The dialogue cannot go on: nothing more is said or heard."""
        self._end = self._end or (ending, cause)
        self._ending = True
        self.fall_silent()
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
            self._unheard = False
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
        elif self.stage is Stage.DOT or not self._awaited:
            self._mail_is_over()

    def _mail_is_over(self) -> None:
        """The replies have all come; the connection stays."""
        assert self._verdict is not None
        self._needs_reset = self.stage in (Stage.RCPT, Stage.DATA)
        verdict, self._verdict = self._verdict, None
        self.rest()
        self._settle(verdict)

    # The mail.

    def ready(self) -> None:
        self._established = True
        if self._mail:
            self.begin_mail()
        else:
            self.rest()

    def begin_mail(self) -> None:
        """Say MAIL, and with pipelining all up to DATA; RSET alone when one was left open."""
        assert self._mail is not None
        if self._needs_reset:
            self._needs_reset = False
            self.ask(b"RSET", Awaited(Stage.RSET, SUCCESS, self._was_reset, self.refused))
            return
        try:
            asked = self._envelope(self._mail.outgoing)
        except CannotCarry as error:
            self.stage = Stage.EHLO  # whose answer decides it
            self.rest()
            self._conclude(Ending.UNAVAILABLE, str(error), Fate.REFUSED)
        else:
            self.ask_all(asked)

    def _envelope(self, outgoing: Outgoing) -> Asked:
        """:raises CannotCarry: for a mail that this server cannot take."""
        mail = mail_command(outgoing, self.offers)
        asked = [(mail, self._to_mail)]
        if self._together:
            asked += [self._rcpt(outgoing, recipient) for recipient in outgoing.rcpt_to]
            asked.append(self._data())
        return asked

    def _announcement(self) -> Asked:
        """What of the next mail is said behind this message."""
        if not (self._waiting and self._together and self._pause is None):
            return []
        try:
            asked = self._envelope(self._waiting[0].outgoing)
        except CannotCarry:
            return []
        self._announced = self._waiting[0]
        return asked

    @property
    def _together(self) -> bool:
        return self.plan.pipelining and "PIPELINING" in self.offers and self.plan.stop is None

    def _was_reset(self, code: int, text: bytes) -> None:
        self.begin_mail()

    def _rcpt(self, outgoing: Outgoing, recipient: str) -> tuple[bytes, Awaited]:
        return rcpt_command(outgoing, recipient), self._to_rcpt

    def _data(self) -> tuple[bytes, Awaited]:
        return b"DATA", self._to_data

    def smtpState_to(self, code: int, resp: bytes) -> None:
        if not self._awaited and self.passes(Stage.MAIL):
            self._name_next_recipient()

    def _name_next_recipient(self) -> None:
        recipient = self._progress().next_recipient
        assert self._mail is not None
        assert recipient is not None
        self.ask(*self._rcpt(self._mail.outgoing, recipient))

    def smtpState_toOrData(self, code: int, resp: bytes) -> None:
        if self._verdict:
            return
        progress = self._progress()
        progress.answered_rcpt(code, "" if code in SUCCESS else self.shown(resp))
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
        message, stop = self._mail.outgoing.message, self.plan.stop
        self.show_note(f"({len(message)} bytes of message)")
        if stop and stop.after is Stage.BODY:
            self.transport.write(on_wire(message)[: -len(END) + 2])
            self.stage = Stage.BODY
            self.passes(Stage.BODY)
        elif len(message) <= SMALL_BYTES:
            asked = self._announcement()
            self.write(on_wire(message) + as_lines(asked))
            self.finishedFileTransfer(b"")
            self.await_all(asked)
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
            self.expect(self._to_dot)
        self.show_said(b".")

    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        self._verdict = self._progress().replied(code, self.shown(resp))
        self._mail_is_over()
