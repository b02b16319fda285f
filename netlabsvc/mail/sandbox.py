"""The mail sandbox: an SMTP listener that takes every mail and relays none.

It joins three things that know nothing of each other: a connection, a `Session`, which decides
what is said, and a `Store`, which keeps the mail. SMTP itself is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.connections import Connections, peer_name
from netlabsvc.mail.address import is_domain
from netlabsvc.mail.command import Reply
from netlabsvc.mail.record import Answered, Facts, Record
from netlabsvc.mail.session import Close, Event, Message, Session
from netlabsvc.mail.settings import Sandbox
from netlabsvc.mail.store import Mail, Store
from netlabsvc.mail.tally import Outcome, Tally
from netlabsvc.metrics import Metric, gauge

#: How long a client may take to close its side after the last reply.
GOODBYE_S = 2.0

log = Logger()


@implementer(IHalfCloseableProtocol, IPushProducer)
class Connection(Protocol, TimeoutMixin):
    """One client.

    It is not read while a mail of it goes to disk, nor while it does not read its replies: what
    one client sends and does not hear stays in its own machine.
    """

    transport: Any

    def __init__(self, sandbox: Factory) -> None:
        self._sandbox = sandbox
        self._tally = sandbox.tally
        self._session = Session(sandbox.hostname, sandbox.settings.max_size, sandbox.tally)
        self._peer = ""
        self._mails = 0
        self._replies_pile_up = False
        self._leaving = False

    def connectionMade(self) -> None:
        self._tally.connections += 1
        self._peer = peer_name(self.transport.getPeer())
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self, True)
        self.setTimeout(self._sandbox.settings.idle_s)
        limit = self._sandbox.settings.max_connections
        if len(self._sandbox.connections) >= limit:
            text = "mail {peer}: refused, {limit} are connected"
            log.warn(text, event="refused", peer=self._peer, limit=limit)
            self._act(self._session.too_many())
            return
        self._sandbox.connections.add(self)
        log.info("mail {peer}: connected", event="connected", peer=self._peer)
        self._act(self._session.greeting())

    def dataReceived(self, data: bytes) -> None:
        if not self._leaving:
            self.resetTimeout()
        self._act(self._session.feed(data))

    def readConnectionLost(self) -> None:
        """The client has said all it wants to say, and may still read: ``nc -N``."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our own doing, in `_leave`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        if self._session.in_data and not self._session.waiting:
            self._tally.messages[Outcome.ABANDONED] += 1
        self._sandbox.connections.discard(self)
        why = reason.getErrorMessage()
        log.info(
            "mail {peer}: closed after {mails} mails: {why}",
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
        if not self._session.in_data and not self._session.closed:
            self._act(self._session.shut_down())

    def timeoutConnection(self) -> None:
        if self._leaving:
            self.transport.abortConnection()
        elif self._session.waiting:  # for our disk, which is none of the client's fault
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
        if self._session.waiting or self._replies_pile_up:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def _act(self, events: list[Event]) -> None:
        """Do what the session wants: its replies in one write, then keep a mail, or leave."""
        said = b"".join(event.encode() for event in events if isinstance(event, Reply))
        if said:
            self.transport.write(said)
        match events[-1:]:
            case [Message() as message]:
                self._keep(message)
            case [Close()]:
                self._leave()
            case _ if self._sandbox.draining:
                self.finish()

    def _keep(self, message: Message) -> None:
        self._read_or_not()
        envelope, now_s = message.envelope, self._sandbox.reactor.seconds()
        record = Record(
            now_s,
            Facts(self._peer, envelope.hello, envelope.esmtp),
            envelope.mail_from,
            tuple(Answered(path, 250, "2.1.5 recipient ok") for path in envelope.rcpt_to),
            envelope.parameters.body_8bit,
            envelope.parameters.smtputf8,
            size_bytes=len(message.data),
        )
        kept = self._sandbox.store.add(Mail(partial(_numbered, record), message.data))
        kept.addCallbacks(self._kept, self._not_kept, callbackArgs=(message,))
        kept.addErrback(lambda failure: log.failure("mail {peer}", failure, peer=self._peer))

    def _kept(self, mail_id: int, mail: Message) -> None:
        self._mails += 1
        self._tally.messages[Outcome.KEPT] += 1
        self._tally.kept_bytes += len(mail.data)
        log.info(
            "mail {peer}: kept as {id}, {size} bytes from <{mail_from}> to {rcpt_to}",
            event="kept",
            peer=self._peer,
            id=mail_id,
            size=len(mail.data),
            mail_from=mail.envelope.mail_from,
            rcpt_to=", ".join(f"<{path}>" for path in mail.envelope.rcpt_to),
        )
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


def _numbered(record: Record, mail_id: int) -> Record:
    return replace(record, reply=f"250 2.0.0 kept as {mail_id}")


class Factory(ServerFactory):
    """All clients of one listener."""

    noisy = False

    def __init__(
        self, settings: Sandbox, store: Store, reactor: IReactorTime, hostname: str
    ) -> None:
        """:param hostname: of this machine; one that is no domain in ASCII is not told."""
        self.settings = settings
        self.store = store
        self.reactor = reactor
        self.hostname = hostname if is_domain(hostname) else "localhost"
        self.connections: Connections[Connection] = Connections()
        self.tally = Tally()
        self.draining = False

    def apply(self, settings: Sandbox) -> None:
        """Go on with other settings; who was told a largest message keeps it to the end."""
        old, self.settings = self.settings, settings
        if settings.idle_s != old.idle_s:
            for connection in self.connections:
                connection.wait_at_most(settings.idle_s)

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        return Connection(self)

    def metrics(self) -> Iterator[Metric]:
        """What there is to tell in figures."""
        yield gauge("netlab_mail_open_connections", "Connections open now.", len(self.connections))
        yield from self.tally.metrics()

    def drain(self, reason: str = "") -> Deferred[None]:
        """Say goodbye to who is idle, and to the others after their message."""
        self.draining = True
        for connection in self.connections:
            connection.finish()
        return self.connections.all_gone()

    def abort(self) -> None:
        """Drop who is left."""
        for connection in self.connections:
            connection.transport.abortConnection()
