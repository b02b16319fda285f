"""The mail sandbox: an SMTP listener that takes every mail and relays none.

It knows what all its connections share: settings, conduct, store, counters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from netlabsvc.connections import Connections, host_of
from netlabsvc.logs import Batch
from netlabsvc.mail.address import is_domain
from netlabsvc.mail.connection import Connection
from netlabsvc.mail.login import Claim
from netlabsvc.mail.personality import Conduct
from netlabsvc.mail.record import Verdict
from netlabsvc.mail.settings import Sandbox
from netlabsvc.mail.standing import Message, Terms
from netlabsvc.mail.store import Bounds, Store
from netlabsvc.mail.tally import Outcome, Tally
from netlabsvc.metrics import Metric, gauge

log = Logger()


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
        self._lines: list[tuple[str, dict[str, Any]]] = []
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

    def has_kept(self, mail_id: int, message: Message, peer: str) -> None:
        """A message is on disk: count it, and log it."""
        record, size = message.record, len(message.data)
        dropped = record.verdict is Verdict.DROPPED
        self.tally.messages[Outcome.DROPPED if dropped else Outcome.KEPT] += 1
        self.tally.kept_bytes += size
        rcpt_to = ", ".join(f"<{path}>" for path in record.rcpt_to)
        what = "dropped, and listed as" if dropped else "kept as"
        path = f"{size} bytes from <{record.mail_from}> to {rcpt_to}"
        self.tell(
            f"mail {peer}: {what} {mail_id}, {path}",
            event="dropped" if dropped else "kept",
            peer=peer,
            id=mail_id,
            size=size,
            mail_from=record.mail_from,
            rcpt_to=rcpt_to,
        )

    def tell(self, text: str, **fields: Any) -> None:
        """Log a line, with all others of this turn: an event for each would cost more than all the
        rest of a short mail.
        """
        self._lines.append((text, fields))
        if self.draining:  # there may be no next turn
            self._write_lines()
        elif len(self._lines) == 1:
            self.reactor.callLater(0, self._write_lines)

    def _write_lines(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            log.info("{batch}", batch=Batch(lines))

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
