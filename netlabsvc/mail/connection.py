"""One connection of the mail sandbox: a `Session`, which decides what is said, on a transport.

What it keeps goes to the store of its `Factory`; SMTP itself is not known here.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.connections import peer_name, plain_socket, unsent_bytes
from netlabsvc.mail.command import Reply
from netlabsvc.mail.record import Record
from netlabsvc.mail.session import Session
from netlabsvc.mail.speech import Speech
from netlabsvc.mail.standing import Attempted, Check, Close, Event, Message, StartTLS
from netlabsvc.mail.store import Mail
from netlabsvc.mail.tally import Outcome

if TYPE_CHECKING:
    from netlabsvc.mail.sandbox import Factory

#: How long a client may take to close its side after the last reply.
GOODBYE_S = 2.0

log = Logger()


@implementer(IHalfCloseableProtocol, IPushProducer, IHandshakeListener)
class Connection(Protocol, TimeoutMixin):
    """One client of a sandbox.

    It is not read while a mail of it goes to disk, while a reply is on its way in some strange
    manner, nor while it does not read its replies: what one client sends and does not hear stays
    in its own machine.
    """

    transport: Any
    _session: Session
    _speech: Speech

    def __init__(self, sandbox: Factory) -> None:
        self._sandbox = sandbox
        self._tally = sandbox.tally
        self._peer = ""
        self._mails = 0
        self._replies_pile_up = False
        self._handshaking = False
        self._leaving = False
        self._socket: socket.socket | None = None

    def connectionMade(self) -> None:
        sandbox = self._sandbox
        self._tally.connections += 1
        self._peer = peer_name(self.transport.getPeer())
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        if not isinstance(self.transport, TLSMemoryBIOProtocol):
            self._socket = plain_socket(self.transport)
        terms = sandbox.terms(self.transport, self._peer)
        self._session = Session(terms, sandbox.conduct, sandbox.tally, sandbox.reactor.seconds)
        self._speech = Speech(self._write, sandbox.reactor, self._read_or_not)
        self._handshaking = isinstance(self.transport, TLSMemoryBIOProtocol)
        self.transport.registerProducer(self, True)
        self.setTimeout(sandbox.settings.idle_s)
        limit = sandbox.settings.max_connections
        if len(sandbox.connections) >= limit:
            text = "mail {peer}: refused, {limit} are connected"
            log.warn(text, event="refused", peer=self._peer, limit=limit)
            self._act(self._session.too_many())
            return
        sandbox.connections.add(self)
        sandbox.tell(f"mail {self._peer}: connected", event="connected", peer=self._peer)
        self._act(self._session.greeting())

    def handshakeCompleted(self) -> None:
        """TLS is on, at once or after STARTTLS."""
        inside = isinstance(self.transport, TLSMemoryBIOProtocol)
        tls = (self.transport if inside else self.transport.protocol).getHandle()
        self._handshaking = False
        self._session.secured(tls.get_protocol_version_name(), tls.get_cipher_name())
        self._read_or_not()

    def dataReceived(self, data: bytes) -> None:
        if not self._leaving:
            self.resetTimeout()
        self._act(self._session.feed(data))

    def readConnectionLost(self) -> None:
        """The client has said all it wants to say, and may still read: ``nc -N``."""
        self._speech.say([self._close])

    def writeConnectionLost(self) -> None:
        """Our own doing, in `_leave`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        self._socket = None
        self._speech.stop()
        self._note(self._session.lost())
        self._sandbox.connections.discard(self)
        why = reason.getErrorMessage()
        self._sandbox.tell(
            f"mail {self._peer}: closed after {self._mails} mails: {why}",
            event="closed",
            peer=self._peer,
            mails=self._mails,
            why=why,
        )

    def wait_at_most(self, idle_s: float) -> None:
        """From now on the client's next bytes must come within so many seconds."""
        if not self._leaving:
            self.setTimeout(idle_s)

    def finish(self) -> None:
        """Go as soon as no message is on its way."""
        session = self._session
        if not (session.in_body or session.waiting or session.closed):
            self._act(session.shut_down())

    def timeoutConnection(self) -> None:
        if self._leaving or self._handshaking:
            self.transport.abortConnection()
        elif self._session.waiting or self._speech.busy:  # which is none of the client's fault
            self.setTimeout(self._sandbox.settings.idle_s)
        else:
            self._act(self._session.timed_out())

    def callLater(self, delay_s: float, function: Callable[[], None]) -> IDelayedCall:
        """Where TimeoutMixin gets its timer."""
        return self._sandbox.reactor.callLater(delay_s, function)

    def pauseProducing(self) -> None:
        """More replies are waiting than the client reads."""
        self._replies_pile_up = True
        self._read_or_not()

    def resumeProducing(self) -> None:
        self._replies_pile_up = False
        self._read_or_not()

    def stopProducing(self) -> None:
        """The connection has gone: `connectionLost` does what is to be done."""

    def _read_or_not(self) -> None:
        if self._handshaking:  # what is written waits for it, and it needs to read
            self.transport.resumeProducing()
        elif self._session.waiting or self._replies_pile_up or self._speech.busy:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def _act(self, events: list[Event]) -> None:
        """Do what the session wants: its replies, then what comes behind them."""
        self._note(events)
        match events[-1:]:
            case [Message() as message]:
                self._say(events)
                self._keep(message)
            case [Check() as check]:
                self._say(events)
                self._read_or_not()
                self._sandbox.look_up(check.claim).addCallback(self._looked_up)
            case [StartTLS()]:
                self._say(events, self._start_tls)
            case [Close()]:
                self._say(events, self._leave)
            case _:
                self._say(events)
                if self._sandbox.draining:
                    self.finish()

    def _say(self, events: list[Event], *behind: Callable[[], None]) -> None:
        self._speech.say([*(one for one in events if isinstance(one, Reply)), *behind])
        if self._speech.busy:
            self._read_or_not()

    def _write(self, data: bytes) -> None:
        """Send at once what the kernel takes, not after the reactor's next look at the socket."""
        if self._socket is not None and not unsent_bytes(self.transport):
            try:
                sent = self._socket.send(data)
            except OSError:  # it is full, or gone, which the transport will find out
                sent = 0
            data = data[sent:]
        if data:
            self.transport.write(data)

    def _note(self, events: list[Event]) -> None:
        """Keep the attempts that came to nothing; nobody waits for that."""
        for event in events:
            if isinstance(event, Attempted):
                keeping = self._sandbox.store.add(Mail(partial(_described, event.record), None))
                keeping.addErrback(self._not_noted)

    def _not_noted(self, failure: Failure) -> None:
        why = failure.getErrorMessage()
        log.error("mail {peer}: an attempt could not be kept: {why}", peer=self._peer, why=why)

    def _start_tls(self) -> None:
        self._handshaking = True
        self._socket = None  # nothing passes TLS by
        self.transport.startTLS(self._sandbox.tls)
        self._read_or_not()

    def _looked_up(self, right: bool) -> None:
        events = self._session.checked(right=right)
        self._read_or_not()
        self._act(events)

    def _keep(self, message: Message) -> None:
        self._read_or_not()
        kept = self._sandbox.store.add(Mail(message.described, message.data))
        kept.addCallbacks(self._kept, self._not_kept, callbackArgs=(message,))
        kept.addErrback(lambda failure: log.failure("mail {peer}", failure, peer=self._peer))

    def _kept(self, mail_id: int, message: Message) -> None:
        self._mails += 1
        self._sandbox.has_kept(mail_id, message, self._peer)
        self._go_on(self._session.stored(mail_id))

    def _not_kept(self, failure: Failure) -> None:
        self._tally.messages[Outcome.FAILED] += 1
        why = failure.getErrorMessage()
        text = "mail {peer}: a message could not be kept: {why}"
        log.error(text, event="not_kept", peer=self._peer, why=why)
        self._go_on(self._session.failed())

    def _go_on(self, events: list[Event]) -> None:
        self._read_or_not()
        self._act(events)

    def _close(self) -> None:
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _leave(self) -> None:
        """Close our side, and let the client close its own.

        To close both at once would send a reset when something is still unread here, and a reset
        can take the last reply away from the client (RFC 1122 4.2.2.13).
        """
        self._leaving = True
        self.transport.unregisterProducer()
        self.setTimeout(GOODBYE_S)
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.resumeProducing()
            self.transport.loseWriteConnection()


def _described(record: Record, mail_id: int) -> Record:
    """What is kept of an attempt does not depend on its id."""
    return record
