"""The server's side of SMTP: bytes in, replies and messages out (RFC 5321).

    extension                announced by EHLO          RFC
    SIZE, 8BITMIME           SIZE <max_size>            1870, 6152
    SMTPUTF8, PIPELINING                                6531, 2920
    ENHANCEDSTATUSCODES      in every reply but the     2034, 3463
                             greeting, EHLO, HELO, 3xx

It knows no sockets, no clock and no store: whoever feeds it writes its replies, keeps its
messages and says `Session.stored` or `Session.failed`; only then is the final dot answered, and
what was sent behind it waits. No input makes it raise; how the bytes were cut makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from netlabsvc.mail import command
from netlabsvc.mail.command import Parameters, Refused, Reply
from netlabsvc.mail.tally import Outcome, Tally
from netlabsvc.mail.transparency import MAX_BODY_LINE_BYTES, Body

MAX_RECIPIENTS = 100
MAX_BAD_COMMANDS = 20


@dataclass(frozen=True)
class Envelope:
    """What the commands said, as they said it: nothing of it is taken from the message."""

    hello: str
    esmtp: bool
    mail_from: str
    parameters: Parameters
    rcpt_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Message:
    """A whole message, exactly as sent, to be kept before the session goes on."""

    envelope: Envelope
    data: bytes


@dataclass(frozen=True)
class Close:
    """Nothing more will be said or heard: close the connection."""


Event = Reply | Message | Close


class Session:
    """One connection, from the greeting to the end."""

    def __init__(self, hostname: str, max_size: int, tally: Tally | None = None) -> None:
        """:param hostname: this server's name, in ASCII.

        :param max_size: the largest message accepted, in bytes.
        :param tally: counts what is refused, for all sessions of a sandbox.
        """
        self._hostname = hostname
        self._max_size = max_size
        self._tally = tally or Tally()
        self._input = bytearray()
        self._hello = ""
        self._esmtp = False
        self._envelope: Envelope | None = None
        self._incoming: tuple[Envelope, Body] | None = None
        self._bad_commands = 0
        #: A message is out, and neither `stored` nor `failed` was said yet.
        self.waiting = False
        self.closed = False

    @property
    def in_data(self) -> bool:
        """Between DATA and the reply to its final dot."""
        return self._incoming is not None or self.waiting

    def greeting(self) -> list[Event]:
        return [Reply(220, "", (f"{self._hostname} ESMTP netlab mail sandbox",))]

    def feed(self, data: bytes) -> list[Event]:
        """Hear what the client sent.

        While `waiting` it is kept unread; do not read much more from the client then.
        """
        if self.closed:
            return []
        self._input += data
        return list(self._events())

    def stored(self, mail_id: int) -> list[Event]:
        """The message is on disk: answer the final dot, and go on with what came behind it."""
        return self._answer_dot(Reply(250, "2.0.0", (f"kept as {mail_id}",)))

    def failed(self) -> list[Event]:
        """The message could not be kept: say so, and go on with what came behind it."""
        reply = Reply(451, "4.3.0", ("the message could not be kept, try later",))
        self._tally.count("message", reply.code)
        return self._answer_dot(reply)

    def timed_out(self) -> list[Event]:
        """Say goodbye to a client that was silent for too long."""
        hint = "; a message ends with CR LF . CR LF" if self._incoming else ""
        return self._goodbye("4.4.2", f"silent for too long{hint}")

    def shut_down(self) -> list[Event]:
        """Say goodbye because the server ends."""
        return self._goodbye("4.3.2", "the server is going down")

    def too_many(self) -> list[Event]:
        """Say goodbye instead of the greeting: there is no room for one more."""
        return self._goodbye("4.3.2", "too many connections, try later")

    def _goodbye(self, enhanced: str, text: str) -> list[Event]:
        self.closed = True
        reply = Reply(421, enhanced, (f"{self._hostname} {text}",))
        self._tally.count("connection", reply.code)
        return [reply, Close()]

    def _answer_dot(self, reply: Reply) -> list[Event]:
        self.waiting = False
        return [reply, *self._events()]

    def _events(self) -> Iterator[Event]:
        while not self.waiting and not self.closed:
            if self._incoming:
                if not self._incoming[1].take(self._input):
                    return
                yield self._end_of_data(*self._incoming)
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
            del self._input[command.MAX_COMMAND_LINE_BYTES :]
        return line

    def _command(self, line: bytes) -> Iterator[Event]:
        if self._bad_commands >= MAX_BAD_COMMANDS:
            yield from self._goodbye("4.7.0", "too many bad commands")
            return
        verb = ""
        try:
            verb, argument = command.parse(line)
            reply = self._obey(verb, argument)
        except Refused as refused:
            reply = refused.reply
        self._tally.count(verb if verb in _VERBS else "other", reply.code)
        if 500 <= reply.code <= 504:
            self._bad_commands += 1
        yield reply
        if reply.code == 221:
            self.closed = True
            yield Close()

    def _obey(self, verb: str, argument: str) -> Reply:
        if verb not in _VERBS:
            raise Refused(500, "5.5.1", f"unknown command; known are {' '.join(_VERBS)}")
        needs, obey = _VERBS[verb]
        if needs is _NOTHING and argument:
            raise Refused(501, "5.5.4", f"{verb} stands alone on its line")
        if needs and not argument:
            raise Refused(501, "5.5.4", f"write {verb} {needs}")
        return obey(self, argument)

    def _ehlo(self, name: str) -> Reply:
        welcome = self._greet(name, esmtp=True)
        size = f"SIZE {self._max_size}"
        offers = ("8BITMIME", "SMTPUTF8", "PIPELINING", "ENHANCEDSTATUSCODES")
        return Reply(250, "", (welcome, size, *offers))

    def _helo(self, name: str) -> Reply:
        return Reply(250, "", (self._greet(name, esmtp=False),))

    def _greet(self, name: str, *, esmtp: bool) -> str:
        # Whose name it is does not matter: RFC 5321 4.1.4 forbids to refuse mail for that.
        if " " in name or not name.isascii():
            raise Refused(501, "", "a host name is ASCII without blanks")
        self._envelope = None
        self._hello, self._esmtp = name, esmtp
        return f"{self._hostname} greets you"

    def _mail(self, argument: str) -> Reply:
        if not self._hello:
            raise Refused(503, "5.5.1", "EHLO or HELO comes before MAIL")
        if self._envelope:
            raise Refused(503, "5.5.1", "there is a sender already; RSET starts again")
        path, parameters = command.sender(argument, self._max_size, extended=self._esmtp)
        self._envelope = Envelope(self._hello, self._esmtp, path, parameters)
        return Reply(250, "2.1.0", ("sender ok",))

    def _rcpt(self, argument: str) -> Reply:
        if not self._envelope:
            raise Refused(503, "5.5.1", "MAIL comes before RCPT")
        sent = self._envelope
        path = command.recipient(argument, smtputf8=sent.parameters.smtputf8)
        if len(sent.rcpt_to) >= MAX_RECIPIENTS:
            raise Refused(452, "4.5.3", f"at most {MAX_RECIPIENTS} recipients for one message")
        self._envelope = replace(sent, rcpt_to=(*sent.rcpt_to, path))
        return Reply(250, "2.1.5", ("recipient ok",))

    def _data(self, argument: str) -> Reply:
        if not self._envelope or not self._envelope.rcpt_to:
            raise Refused(503, "5.5.1", "MAIL and RCPT come before DATA")
        self._incoming = self._envelope, Body(self._max_size)
        return Reply(354, "", ("go on; CR LF . CR LF ends the message",))

    def _end_of_data(self, envelope: Envelope, body: Body) -> Reply | Message:
        self._envelope = self._incoming = None
        if body.too_large:
            reply = command.too_large(self._max_size).reply
        elif body.line_too_long:
            reply = Reply(554, "5.6.0", (f"a line of more than {MAX_BODY_LINE_BYTES} octets",))
        else:
            self.waiting = True
            return Message(envelope, body.message)
        self._tally.messages[Outcome.REFUSED] += 1
        self._tally.count("message", reply.code)
        return reply

    def _rset(self, argument: str) -> Reply:
        self._envelope = None
        return Reply(250, "2.0.0", ("forgotten",))

    def _noop(self, argument: str) -> Reply:
        return Reply(250, "2.0.0", ("ok",))

    def _vrfy(self, argument: str) -> Reply:
        return Reply(252, "2.0.0", ("every mailbox is taken here; send and see",))

    def _help(self, argument: str) -> Reply:
        return Reply(214, "2.0.0", ("commands: " + " ".join(_VERBS), "RFC 5321 explains them"))

    def _quit(self, argument: str) -> Reply:
        return Reply(221, "2.0.0", (f"{self._hostname} says goodbye",))


_NOTHING = ""
_ANYTHING = None
#: Verb: what must stand behind it, and what it does. HELP and the reply to an unknown verb list it.
_VERBS: dict[str, tuple[str | None, Callable[[Session, str], Reply]]] = {
    "EHLO": ("and your host's name", Session._ehlo),
    "HELO": ("and your host's name", Session._helo),
    "MAIL": ("FROM:<name@domain>", Session._mail),
    "RCPT": ("TO:<name@domain>", Session._rcpt),
    "DATA": (_NOTHING, Session._data),
    "RSET": (_NOTHING, Session._rset),
    "NOOP": (_ANYTHING, Session._noop),
    "VRFY": ("and a name", Session._vrfy),
    "HELP": (_ANYTHING, Session._help),
    "QUIT": (_NOTHING, Session._quit),
}
