"""The server's side of SMTP: bytes in, replies and messages out (RFC 5321).

    extension                announced by EHLO          RFC
    SIZE, 8BITMIME           SIZE <max_size>            1870, 6152
    SMTPUTF8, PIPELINING                                6531, 2920
    ENHANCEDSTATUSCODES      in every reply but the     2034, 3463
                             greeting, EHLO, HELO, 3xx
    STARTTLS                 where there is a key       3207
    AUTH                     PLAIN, LOGIN: inside TLS,  4954
                             or on this machine alone

It knows no sockets, no clock of its own and no store: whoever feeds it does what its events ask
for, and says so: a `Message` is `stored` or has `failed`, a `Check` is `checked`, `StartTLS` has
`secured`. Until then it is `waiting`: nothing is answered, and what was sent behind waits. No input
makes it raise; how the bytes were cut makes no difference. What the commands do is in `orders`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from netlabsvc.mail import command, orders
from netlabsvc.mail.attempt import Attempt
from netlabsvc.mail.command import Refused, Reply
from netlabsvc.mail.login import MAX_LINE_BYTES
from netlabsvc.mail.personality import OPEN, PERSONALITIES, PLAIN, Conduct
from netlabsvc.mail.record import Facts, Verdict
from netlabsvc.mail.standing import (
    Attempted,
    Close,
    Event,
    Message,
    Standing,
    StartTLS,
    Terms,
    kept,
)
from netlabsvc.mail.tally import Outcome, Tally
from netlabsvc.mail.transcript import tries_to_log_in
from netlabsvc.mail.transparency import MAX_BODY_LINE_BYTES, Body

MAX_BAD_COMMANDS = 20
#: Attempts that one connection gets kept; who tries more often has shown what is to be seen.
MAX_ATTEMPTS = 100
#: What ends a message that was begun and did not come.
_ENDS_A_MESSAGE = ("EHLO", "HELO", "RSET", "STARTTLS", "QUIT")


class Session:
    """One connection, from the greeting to the end.

    :ivar waiting: an event is out that must be answered before the session goes on.
    """

    def __init__(
        self,
        terms: Terms,
        conduct: Conduct | None = None,
        tally: Tally | None = None,
        clock: Callable[[], float] = float,
    ) -> None:
        """:param conduct: how the sandbox behaves; it may change at any time.

        :param tally: counts what is refused, for all sessions of a sandbox.
        :param clock: seconds since the epoch.
        """
        self.waiting = False
        self.closed = False
        self._terms = terms
        self._conduct = conduct or Conduct()
        self._tally = tally or Tally()
        self._clock = clock
        self._begun_s = clock()
        self._attempt = Attempt(Facts(terms.peer))
        self._standing = Standing(terms, self._conduct, self._attempt)
        self._input = bytearray()
        self._body: Body | None = None
        self._breaks_off = False
        self._starting_tls = False
        self._dropped_bytes = 0
        self._bad_commands = 0
        self._attempts = 0

    @property
    def in_body(self) -> bool:
        """Between DATA and its final dot."""
        return self._body is not None

    @property
    def user(self) -> str:
        """Who has logged in; "" for nobody."""
        return self._standing.user

    # What happens to the connection.

    def greeting(self) -> list[Event]:
        return [self._say(Reply(220, "", (f"{self._terms.hostname} ESMTP netlab mail sandbox",)))]

    def feed(self, data: bytes) -> list[Event]:
        """Hear what the client sent.

        While `waiting` it is kept unread; do not read much more from the client then.
        """
        if self.closed:
            return []
        if self._starting_tls:  # whoever is in between could have said it
            self._dropped_bytes += len(data)
            return []
        self._input += data
        return list(self._events())

    def stored(self, mail_id: int) -> list[Event]:
        """The message is on disk: answer the final dot, and go on with what came behind it."""
        if self._breaks_off:
            self.waiting, self.closed = False, True
            return [Close()]
        return self._go_on(self._with_manner(kept(mail_id, PLAIN)))

    def failed(self) -> list[Event]:
        """The message could not be kept: say so, and go on with what came behind it."""
        reply = Reply(451, "4.3.0", ("the message could not be kept, try later",))
        self._tally.count("message", reply.code)
        return self._go_on(self._with_manner(reply))

    def checked(self, *, right: bool) -> list[Event]:
        """Who logs in is somebody, or is not."""
        if right:
            reply = orders.logged_in(self._standing)
        else:
            reply = self._refusal("AUTH", Refused(535, "5.7.8", "wrong name or password"))
        return self._go_on(self._say(reply))

    def secured(self, version: str, cipher: str) -> None:
        """TLS is on; what was said before it is forgotten, what was sent behind it dropped."""
        self.waiting = self._starting_tls = False
        self._standing.in_tls(version, cipher)
        if self._dropped_bytes:
            text = f"({self._dropped_bytes} bytes behind STARTTLS, dropped unread)"
            self._attempt.note(self._at_s(), "C", text)
        self._attempt.note(self._at_s(), "S", f"({version} from here)")

    def timed_out(self) -> list[Event]:
        """Say goodbye to a client that was silent for too long."""
        hint = "; a message ends with CR LF . CR LF" if self._body else ""
        return self._goodbye("4.4.2", f"silent for too long{hint}")

    def shut_down(self) -> list[Event]:
        """Say goodbye because the server ends."""
        return self._goodbye("4.3.2", "the server is going down")

    def too_many(self) -> list[Event]:
        """Say goodbye instead of the greeting: there is no room for one more."""
        return self._goodbye("4.3.2", "too many connections, try later")

    def lost(self) -> list[Event]:
        """The client has gone: what it left behind."""
        was_closed, self.closed = self.closed, True
        return [] if was_closed or self.waiting else list(self._over(last=True))

    # The stream.

    def _events(self) -> Iterator[Event]:
        while not self.waiting and not self.closed:
            if self._body:
                if not self._body.take(self._input):
                    return
                yield from self._end_of_data(self._body)
            else:
                line = self._line()
                if not line:
                    return
                yield from self._command(line)

    def _line(self) -> bytes:
        """The next command line with its LF, empty when there is none yet."""
        end = self._input.find(b"\n") + 1
        line = bytes(self._input[:end])
        del self._input[:end]
        if not end:
            # A line that is too long already is refused when it ends; its tail need not be kept.
            del self._input[MAX_LINE_BYTES:]
        return line

    def _command(self, line: bytes) -> Iterator[Event]:
        if self._bad_commands >= MAX_BAD_COMMANDS:
            yield from self._goodbye("4.7.0", "too many bad commands")
            return
        answers = self._standing.login is not None
        verb, argument, wrong = self._read(line, answers)
        it, attempt = self._standing, self._attempt
        if verb == "MAIL":
            attempt.belongs_to_a_message()
        unknown = verb not in orders.VERBS and not answers
        attempt.heard(self._at_s(), line.rstrip(b"\r\n"), secret=unknown and it.login_failed)
        if unknown and tries_to_log_in(line):
            it.login_failed = True  # its answers may come all the same
        elif verb in orders.VERBS and verb != "AUTH":
            it.login_failed = False
        nested, facts = verb == "MAIL" and attempt.open, attempt.facts
        try:
            if wrong:
                raise wrong
            if nested:
                raise Refused(503, "5.5.1", "there is a sender already; RSET starts again")
            reply = orders.answer(it, argument) if answers else orders.obey(it, verb, argument)
        except Refused as refused:
            reply = self._refusal(verb, refused)
        yield from self._answer(verb, reply, nested, facts)

    def _read(self, line: bytes, answers: bool) -> tuple[str, str, Refused | None]:
        """Verb and argument of a line, or what is wrong with it."""
        try:
            if not answers:
                return *command.parse(line), None
            return "AUTH", command.answer(line), None
        except Refused as refused:
            return "AUTH" if answers else "", "", refused

    def _answer(
        self, verb: str, reply: Reply | None, nested: bool, facts: Facts
    ) -> Iterator[Event]:
        """What follows from a command, and its reply, where it has one yet."""
        code = reply.code if reply else 0
        if reply:
            yield self._say(reply)
        if verb == "MAIL" and code >= 400 and not nested:
            yield from self._attempted(Verdict.REFUSED, facts)
        elif code == 421 or (verb in _ENDS_A_MESSAGE and code < 400):
            yield from self._over(last=code in (221, 421), facts=facts)
        if self._standing.receiving:
            self._body = Body(self._terms.max_size)
        for event in self._standing.next:
            self.waiting = True
            if isinstance(event, StartTLS):
                self._starting_tls = True
                self._dropped_bytes = len(self._input)
                self._input.clear()
            yield event
        self._standing.next.clear()
        if code in (221, 421):
            self.closed = True
            yield Close()

    def _refusal(self, verb: str, refused: Refused) -> Reply:
        """The reply of a refusal: counted, and remembered where it may be what decides."""
        reply, attempt = refused.reply, self._attempt
        self._tally.count(verb if verb in orders.VERBS else "other", reply.code)
        self._bad_commands += 500 <= reply.code <= 504 or reply.code == 535
        if verb == "AUTH":
            self._standing.login, self._standing.login_failed = None, True
        offered = verb in ("MAIL", "RCPT") or (verb == "DATA" and not attempt.last)
        if offered or (verb == "AUTH" and not attempt.open):
            attempt.decide(reply, refused.rule or f"{verb}: {reply.text[0]}")
        return reply

    def _end_of_data(self, body: Body) -> Iterator[Event]:
        attempt, size = self._attempt, body.size
        self._body, self._standing.receiving = None, False
        attempt.note(self._at_s(), "C", f"({size} bytes of message)")
        attempt.heard(self._at_s(), b".")
        if body.too_large:
            refused = command.too_large(self._terms.max_size)
        elif body.line_too_long:
            refused = Refused(554, "5.6.0", f"a line of more than {MAX_BODY_LINE_BYTES} octets")
        else:
            self.waiting = True
            yield self._message(body)
            attempt.mails += 1
            attempt.forget()
            return
        self._tally.messages[Outcome.REFUSED] += 1
        attempt.decide(refused.reply, f"the message: {refused.reply.text[0]}")
        self._tally.count("message", refused.reply.code)
        yield self._say(refused.reply)
        yield from self._attempted(Verdict.REFUSED, attempt.facts, size)

    def _message(self, body: Body) -> Message:
        attempt, name = self._attempt, self._conduct.personality.name
        breaker = self._conduct.breaks_off(attempt.rcpt_to())
        self._breaks_off = bool(breaker)
        verdict = Verdict.DROPPED if breaker else Verdict.KEPT
        if breaker:
            attempt.rule = f"{breaker}: {PERSONALITIES['flaky-after-dot'].help}"
        else:
            attempt.rule = f"{name}: {OPEN.help if name == 'open' else 'nothing against it'}"
        attempt.last = None
        record = attempt.record(self._clock(), verdict, name, body.size)
        wire = {"dot-not-stuffed": body.not_stuffed} if body.not_stuffed else {}
        return Message(record, body.message, wire, self._at_s(), self._conduct.manner())

    def _over(self, *, last: bool, facts: Facts | None = None) -> Iterator[Event]:
        """No message will come of what was begun; `last`: nor of anything later."""
        attempt = self._attempt
        if self._body:
            self._tally.messages[Outcome.ABANDONED] += 1
            yield from self._attempted(Verdict.ABANDONED, attempt.facts, self._body.size)
        elif attempt.open or (last and attempt.last):
            verdict = Verdict.REFUSED if attempt.last else Verdict.ABANDONED
            yield from self._attempted(verdict, facts or attempt.facts)

    def _attempted(self, verdict: Verdict, facts: Facts, size: int = 0) -> Iterator[Event]:
        self._attempts += 1
        if self._attempts <= MAX_ATTEMPTS:
            name = self._conduct.personality.name
            record = self._attempt.record(self._clock(), verdict, name, size)
            yield Attempted(replace(record, facts=facts))
        self._attempt.forget()

    def _goodbye(self, enhanced: str, text: str) -> list[Event]:
        reply = Reply(421, enhanced, (f"{self._terms.hostname} {text}",))
        self._tally.count("connection", reply.code)
        if self._attempt.open and not self._attempt.last:
            self._attempt.decide(reply, text)
        events = [self._say(reply), *self._over(last=True), Close()]
        self.closed = True
        return events

    def _go_on(self, reply: Reply) -> list[Event]:
        self.waiting = False
        return [reply, *self._events()]

    def _say(self, reply: Reply) -> Reply:
        reply = self._with_manner(reply)
        self._attempt.said(self._at_s(), reply)
        return reply

    def _with_manner(self, reply: Reply) -> Reply:
        manner = self._conduct.manner() if reply.manner is PLAIN else reply.manner
        return reply if manner is reply.manner else reply._replace(manner=manner)

    def _at_s(self) -> float:
        return self._clock() - self._begun_s
