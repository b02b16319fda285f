"""The ways a mail goes: through one server, by the exchangers of its domains, or many times."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.names import client as names

from netlabsvc.cli.mail_server import SMTP_PORT, Server
from netlabsvc.cli.run import host_and_port
from netlabsvc.mail import address
from netlabsvc.mail.courier import Courier
from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Progress, Result, Stage
from netlabsvc.mail.exchangers import NoExchanger, exchangers
from netlabsvc.mail.plan import Plan, Stop

#: Where nothing of the mail was said yet: the next host may be tried.
_BEFORE_MAIL = {Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.TLS}

#: Mails given to a connection at once: one on its way, one said behind it, one to follow then.
_AHEAD = 3


@dataclass(frozen=True)
class Exchange:
    """How `--mx` looks up and connects.

    :ivar resolver: HOST:PORT of a DNS server; by default the system's.
    """

    port: int = SMTP_PORT
    resolver: str | None = None

    def ask(self, reactor: Any) -> Any:
        """The resolver: an `IResolver`."""
        if self.resolver is None:
            return names.Resolver("/etc/resolv.conf", reactor=reactor)
        return names.Resolver(servers=[host_and_port(self.resolver, 53)], reactor=reactor)


async def by_exchangers(
    reactor: Any,
    server: Server,
    mail: Outgoing,
    exchange: Exchange,
    *,
    stop: Stop | None,
    **courier: Any,
) -> list[Result]:
    """To each domain among the recipients through the first of its hosts that takes mail."""
    domains: dict[str, list[str]] = {}
    for recipient in mail.rcpt_to:
        domain = address.with_ascii_domain(f"x@{address.mailbox(recipient).domain}")[2:].lower()
        domains.setdefault(domain, []).append(recipient)
    results, resolver, random = [], exchange.ask(reactor), SystemRandom()
    for domain, recipients in domains.items():
        part = replace(mail, rcpt_to=tuple(recipients))
        try:
            hosts = await exchangers(resolver, domain, random)
        except NoExchanger as error:
            ending = Ending.NO_HOST if error.permanent else Ending.TRY_LATER
            fate = Fate.REFUSED if error.permanent else Fate.DEFERRED
            results.append(Progress(part).cannot(ending, str(error), fate))
            continue
        for host in hosts:
            plan = server.plan(host, stop=stop)
            result = await once(reactor, server, host, exchange.port, plan, part, **courier)
            if result.ending is Ending.DELIVERED or result.stage not in _BEFORE_MAIL:
                break
        results.append(replace(result, cause=f"{host}: {result.cause}"))
    return results


async def once(
    reactor: Any,
    server: Server,
    host: str,
    port: int,
    plan: Plan,
    mail: Outgoing,
    **courier: Any,
) -> Result:
    """One mail over a connection of its own."""
    sender = server.courier(reactor, host, port, plan, **courier)
    result = await sender.send(mail)
    await sender.close()
    return result


async def many(
    reactor: Any,
    server: Server,
    host: str,
    port: int,
    plan: Plan,
    mails: Iterable[Outgoing],
    connections: int,
    **courier: Any,
) -> list[Result]:
    """All mails, over so many connections, each of which takes the next one when it is free."""
    waiting, results = iter(mails), list[Result]()

    async def carry(sender: Courier) -> None:
        for mail in waiting:
            results.append(await sender.send(mail))

    async def connection() -> None:
        sender = server.courier(reactor, host, port, plan, **courier)
        await _all(carry(sender) for _ in range(_AHEAD if plan.pipelining else 1))
        await sender.close()

    await _all(connection() for _ in range(connections))
    return results


async def _all(coroutines: Iterable[Coroutine[Deferred[Any], Any, None]]) -> None:
    await gatherResults(map(Deferred.fromCoroutine, coroutines), consumeErrors=True)
