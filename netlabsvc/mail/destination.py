"""Where queued mail goes: everything to the smarthost, or each domain's to its own exchangers.

A `Destination` is made of the configuration, and made anew when that changes. It hands out
carriers, each of which is one connection at a time; what they carry is not its affair.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.names import client as names

from netlabsvc.mail import address
from netlabsvc.mail.courier import Courier
from netlabsvc.mail.credentials import Credentials
from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Progress, Result, Stage
from netlabsvc.mail.exchangers import NoExchanger, exchangers
from netlabsvc.mail.plan import Plan, TlsMode
from netlabsvc.mail.settings import Queue
from netlabsvc.mail.tls import Trust, TrustError, authorities

#: The name of the smarthost among the places where mail goes; no domain has it.
SMARTHOST = "the smarthost"
#: Where nothing of the mail was said yet: the next host may be tried.
BEFORE_MAIL = (Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.TLS)


class Unusable(ValueError):
    """A key of [mail.queue] cannot be followed.

    :ivar key: which.
    """

    def __init__(self, key: str, why: str) -> None:
        super().__init__(why)
        self.key = key


class Carrier(Protocol):
    """Takes one mail after the other to one place."""

    @property
    def connected(self) -> bool:
        """Whether the next mail goes over a connection that is there already."""

    async def send(self, outgoing: Outgoing) -> Result:
        """Never fails; one mail at a time."""

    def cut(self, why: str) -> None:
        """End the connection now."""

    async def close(self) -> None:
        """Say goodbye."""


class Destination:
    """The way out that [mail.queue] describes."""

    def __init__(self, settings: Queue, directory: Path, reactor: Any, random: Random) -> None:
        """:param directory: where relative paths begin.

        :raises Unusable: for a file that cannot be read, or a login that others could read.
        """
        self.settings = settings
        self._directory = directory
        self._reactor = reactor
        self._random = random
        self._resolver: Any = None
        self._host, _, port = settings.smarthost.rpartition(":")
        self._host = self._host.removeprefix("[").removesuffix("]")
        self._port = int(port or 0)
        self._plan = self._smarthost_plan() if settings.smarthost else Plan(pipelining=True)

    @property
    def exists(self) -> bool:
        return bool(self.settings.smarthost or self.settings.mx)

    def place(self, recipient: str) -> str:
        """Where the mail to a recipient goes: recipients of one place share a dialogue."""
        if self.settings.smarthost:
            return SMARTHOST
        domain = address.mailbox(recipient).domain
        return address.with_ascii_domain(f"x@{domain}")[2:].lower()

    def carrier(self, place: str) -> Carrier:
        """A new carrier to a place; the password is read now, and may be another by now."""
        if place == SMARTHOST:
            plan = replace(self._plan, credentials=self._credentials())
            endpoint = HostnameEndpoint(self._reactor, self._host, self._port)
            return Courier(self._reactor, endpoint, plan, random=self._random)
        return Exchange(self, place)

    def to_exchanger(self, host: str) -> Courier:
        """To one of a domain's servers, with TLS where it is offered (RFC 7435)."""
        trust = Trust(host, verify=False)
        plan = replace(self._plan, mode=TlsMode.OPPORTUNISTIC, tls=trust)
        endpoint = HostnameEndpoint(self._reactor, host, self.settings.mx_port)
        return Courier(self._reactor, endpoint, plan, random=self._random)

    async def exchangers(self, domain: str) -> list[str]:
        """:raises NoExchanger: when there is none, or nobody says."""
        if self._resolver is None:
            host, _, port = self.settings.resolver.rpartition(":")
            servers = [(host.removeprefix("[").removesuffix("]"), int(port))] if host else None
            file = None if servers else "/etc/resolv.conf"
            self._resolver = names.Resolver(file, servers, reactor=self._reactor)
        return await exchangers(self._resolver, domain, self._random)

    def _smarthost_plan(self) -> Plan:
        mode, settings = self._mode(), self.settings
        try:
            ca = authorities(self._directory / settings.ca_file) if settings.ca_file else None
            verify = mode is not TlsMode.OPPORTUNISTIC
            trust = None if mode is TlsMode.OFF else Trust(self._host, ca=ca, verify=verify)
        except TrustError as error:
            raise Unusable("ca_file", str(error)) from None
        except ValueError as error:
            raise Unusable("smarthost", f"no name of a host: {error}") from None
        self._credentials()
        return Plan(mode=mode, tls=trust, pipelining=True)

    def _mode(self) -> TlsMode:
        settings, local = self.settings, address.is_loopback(self._host)
        if settings.tls == "auto":
            secured = TlsMode.STARTTLS if settings.user else TlsMode.OPPORTUNISTIC
            return TlsMode.OFF if local else secured
        mode = TlsMode(settings.tls)
        if settings.user and not local and mode in (TlsMode.OFF, TlsMode.OPPORTUNISTIC):
            why = f"the login of {settings.user} could be read on the way; starttls or implicit"
            raise Unusable("tls", why)
        return mode

    def _credentials(self) -> Credentials | None:
        settings = self.settings
        if not settings.user:
            return None
        if not settings.password_file:
            raise Unusable("password_file", f"user is {settings.user}, and no file is named")
        path = self._directory / settings.password_file
        try:
            lines = path.read_text("utf-8").splitlines()
        except OSError as error:
            raise Unusable("password_file", f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Unusable("password_file", "the password is not UTF-8") from None
        if not lines or not lines[0]:
            raise Unusable("password_file", "no password in its first line")
        return Credentials(settings.user, lines[0])


class Exchange:
    """A carrier to a domain: the first of its hosts that takes mail, and stays with that one."""

    def __init__(self, destination: Destination, domain: str) -> None:
        self._destination = destination
        self._domain = domain
        self._courier: Courier | None = None
        self._looking: Deferred[list[str]] | None = None
        self._cut = ""

    @property
    def connected(self) -> bool:
        return self._courier is not None and self._courier.connected

    async def send(self, outgoing: Outgoing) -> Result:
        if self._courier is not None and self._courier.connected:
            return await self._courier.send(outgoing)
        looking = Deferred.fromCoroutine(self._destination.exchangers(self._domain))
        self._looking = looking
        try:
            hosts = await looking
        except CancelledError:
            return Progress(outgoing).cannot(Ending.TRY_LATER, self._cut)
        except NoExchanger as error:
            ending = Ending.NO_HOST if error.permanent else Ending.TRY_LATER
            fate = Fate.REFUSED if error.permanent else Fate.DEFERRED
            return Progress(outgoing).cannot(ending, str(error), fate)
        result = Progress(outgoing).cannot(Ending.TRY_LATER, self._cut)
        for host in hosts:
            if self._cut:
                break
            self._courier = self._destination.to_exchanger(host)
            result = await self._courier.send(outgoing)
            if result.ending is Ending.DELIVERED or result.stage not in BEFORE_MAIL:
                break
            await self._courier.close()
        return result

    def cut(self, why: str) -> None:
        self._cut = why
        if self._looking is not None:
            self._looking.cancel()
        if self._courier is not None:
            self._courier.cut(why)

    async def close(self) -> None:
        if self._courier is not None:
            await self._courier.close()
