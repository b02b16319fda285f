"""The mail sandbox: an SMTP listener that takes every mail and relays none.

It joins three things that know nothing of each other: a connection, a `Session`, which decides
what is said, and a `Store`, which keeps the mail. SMTP itself is not known here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.connections import Connections, host_of, peer_name
from netlabsvc.mail.address import is_domain
from netlabsvc.mail.command import Reply
from netlabsvc.mail.login import Claim
from netlabsvc.mail.personality import Conduct
from netlabsvc.mail.record import Record
from netlabsvc.mail.session import Session
from netlabsvc.mail.settings import Sandbox
from netlabsvc.mail.speech import Speech
from netlabsvc.mail.standing import Attempted, Check, Close, Event, Message, StartTLS, Terms
from netlabsvc.mail.store import Bounds, Mail, Store
from netlabsvc.mail.tally import Outcome, Tally
from netlabsvc.metrics import Metric, gauge

#: How long a client may take to close its side after the last reply.
GOODBYE_S = 2.0

log = Logger()


@implementer(IHalfCloseableProtocol, IPushProducer, IHandshakeListener)
class Connection(Protocol, TimeoutMixin):
    """One client.

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

    def connectionMade(self) -> None:
        sandbox = self._sandbox
        self._tally.connections += 1
        self._peer = peer_name(self.transport.getPeer())
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        terms = sandbox.terms(self.transport, self._peer)
        self._session = Session(terms, sandbox.conduct, sandbox.tally, sandbox.reactor.seconds)
        self._speech = Speech(self.transport, sandbox.reactor, self._read_or_not)
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
        log.info("mail {peer}: connected", event="connected", peer=self._peer)
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
        self._speech.stop()
        self._note(self._session.lost())
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
        self._tally.messages[Outcome.KEPT] += 1
        self._tally.kept_bytes += len(message.data)
        log.info(
            "mail {peer}: kept as {id}, {size} bytes from <{mail_from}> to {rcpt_to}",
            event="kept",
            peer=self._peer,
            id=mail_id,
            size=len(message.data),
            mail_from=message.record.mail_from,
            rcpt_to=", ".join(f"<{path}>" for path in message.record.rcpt_to),
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


class Factory(ServerFactory):
    """All clients of one sandbox, whatever they came in by.

    :ivar conduct: how it behaves.
    """

    noisy = False

    def __init__(
        self,
        settings: Sandbox,
        store: Store,
        reactor: IReactorTime,
        hostname: str,
        tls: Any = None,
        look_up: Callable[[str, Claim], Deferred[bool]] | None = None,
    ) -> None:
        """:param hostname: of this machine; one that is no domain in ASCII is not told.

        :param tls: what Twisted needs to speak TLS; None: there is no STARTTLS.
        :param look_up: asks a file of accounts; None: nobody is in it.
        """
        self.settings = settings
        self.store = store
        self.reactor = reactor
        self.hostname = hostname if is_domain(hostname) else "localhost"
        self.tls = tls
        self.conduct = Conduct(settings.personality)
        self.connections: Connections[Connection] = Connections()
        self.tally = Tally()
        self.draining = False
        self._look_up = look_up
        self._made_ns = int(reactor.seconds() * 1e9)

    def terms(self, transport: Any, peer: str) -> Terms:
        """What holds for a new connection."""
        settings, near = self.settings, host_of(transport.getHost())
        return Terms(
            self.hostname,
            settings.max_size,
            peer,
            host_of(transport.getPeer()),
            starttls=self.tls is not None,
            private=near == "unix" or ip_address(near).is_loopback,
            login_required=settings.auth == "required",
            lookup=bool(settings.users_file) and settings.auth != "any",
            challenge=f"<{self.tally.connections}.{self._made_ns}@{self.hostname}>".encode("ascii"),
        )

    def inside_tls(self) -> TLSMemoryBIOFactory:
        """The same sandbox, for listeners where TLS begins at once (RFC 8314)."""
        return TLSMemoryBIOFactory(self.tls, False, self)

    def look_up(self, claim: Claim) -> Deferred[bool]:
        """Whether somebody is who one claims to be."""
        if self._look_up is None:
            return succeed(False)
        return self._look_up(self.settings.users_file, claim)

    def behave(self, personality: str) -> None:
        """Change the personality, for those who are connected, too.

        :raises KeyError: when there is none of this name.
        """
        self.conduct.change(personality)
        log.info(
            "mail: the sandbox is {personality} now: {help}",
            event="behaves",
            personality=personality,
            help=self.conduct.personality.help,
        )

    def apply(self, settings: Sandbox) -> None:
        """Go on with other settings; who was told a largest message keeps it to the end."""
        old, self.settings = self.settings, settings
        self.store.bounds = bounds(settings)
        if settings.personality != old.personality:
            self.behave(settings.personality)
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


def bounds(settings: Sandbox) -> Bounds:
    """How much is kept."""
    return Bounds(settings.keep_mails, settings.keep_bytes, settings.keep_days)
