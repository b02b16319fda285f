"""Which hosts take the mail of a domain: MX records (RFC 5321 section 5.1, RFC 7505).

The lowest preference first, equal ones in an order of chance; a domain without MX records is its
own exchanger; the single record ``0 .`` says that it takes no mail.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryTimeoutError, DomainError


class NoExchanger(Exception):
    """This domain cannot be reached by mail.

    :ivar permanent: whether trying later makes no sense.
    """

    def __init__(self, text: str, *, permanent: bool) -> None:
        super().__init__(text)
        self.permanent = permanent


def ordered(domain: str, records: Iterable[tuple[int, str]], random: Random) -> list[str]:
    """The hosts to try, the first one first.

    :param records: preference and name of each MX record.
    :raises NoExchanger: for a null MX.
    """
    records = [(preference, name.rstrip(".")) for preference, name in records]
    hosts = [(preference, random.random(), name) for preference, name in records if name]
    if records and not hosts:
        raise NoExchanger(f"{domain} takes no mail (its MX is null)", permanent=True)
    return list(dict.fromkeys(name for _, _, name in sorted(hosts))) or [domain]


async def exchangers(resolver: Any, domain: str, random: Random) -> list[str]:
    """Ask for the MX records of a domain in ASCII; an address literal is its own exchanger.

    :param resolver: an `IResolver`.
    :raises NoExchanger: also when nobody answers.
    """
    if domain.startswith("["):
        return [domain[1:-1].removeprefix("IPv6:")]
    try:
        answers, _, _ = await resolver.lookupMailExchange(domain)
    except DNSNameError:
        raise NoExchanger(f"there is no domain {domain}", permanent=True) from None
    except (DNSQueryTimeoutError, DeferredTimeout, DomainError, OSError) as error:
        why = type(error).__name__
        raise NoExchanger(f"no answer about the MX of {domain} ({why})", permanent=False) from None
    records = [
        (answer.payload.preference, str(answer.payload.name))
        for answer in answers
        if answer.type == dns.MX
    ]
    return ordered(domain, records, random)
