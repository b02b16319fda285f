"""Which hosts take the mail of a domain."""

from __future__ import annotations

from random import Random

import pytest
import pytest_twisted
from twisted.internet.defer import fail
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError, DNSQueryTimeoutError
from twisted.names.server import DNSServerFactory

from mail.running import reactor
from netlabsvc.mail.exchangers import NoExchanger, exchangers, ordered


def test_preferences_and_chance() -> None:
    """The lowest first; equal ones in the order of the seed, each order sometimes."""
    records = [(20, "c.lab."), (10, "a.lab"), (10, "b.lab")]
    orders = {tuple(ordered("lab", records, Random(seed))) for seed in range(20)}
    assert orders == {("a.lab", "b.lab", "c.lab"), ("b.lab", "a.lab", "c.lab")}


def test_no_record_and_the_null_record() -> None:
    """Without MX a domain is its own exchanger; ``0 .`` says it takes no mail (RFC 7505)."""
    assert ordered("lab", [], Random(1)) == ["lab"]
    with pytest.raises(NoExchanger, match="takes no mail") as caught:
        ordered("lab", [(0, ".")], Random(1))
    assert caught.value.permanent


class Failing:
    """A resolver that has one answer."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def lookupMailExchange(self, domain: str) -> object:
        return fail(self.error)


@pytest.mark.parametrize(
    ("error", "permanent"), [(DNSNameError("x"), True), (DNSQueryTimeoutError("x"), False)]
)
@pytest_twisted.ensureDeferred
async def test_a_domain_that_is_none(error: Exception, permanent: bool) -> None:
    """A name that does not exist will not exist later; silence may end."""
    with pytest.raises(NoExchanger) as caught:
        await exchangers(Failing(error), "lab", Random(1))
    assert caught.value.permanent is permanent


@pytest_twisted.ensureDeferred
async def test_a_literal_is_its_own_exchanger() -> None:
    """Nobody is asked."""
    assert await exchangers(None, "[127.0.0.1]", Random(1)) == ["127.0.0.1"]
    assert await exchangers(None, "[IPv6:::1]", Random(1)) == ["::1"]


class Zone:
    """Answers for one domain."""

    def query(self, query: dns.Query, timeout: object = None) -> object:
        from twisted.internet.defer import succeed

        records = [(20, b"b.lab"), (10, b"a.lab")]
        answers = [
            dns.RRHeader(query.name.name, dns.MX, dns.IN, 60, dns.Record_MX(preference, name))
            for preference, name in records
        ]
        return succeed((answers, [], []))


@pytest_twisted.ensureDeferred
async def test_over_the_wire() -> None:
    """Records that came in a datagram."""
    factory = DNSServerFactory(clients=[Zone()])
    port = reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
    try:
        resolver = Resolver(servers=[("127.0.0.1", port.getHost().port)], reactor=reactor)
        assert await exchangers(resolver, "lab.example", Random(1)) == ["a.lab", "b.lab"]
    finally:
        await port.stopListening()
