"""`netlab mail --mx`: a DNS server in the test, and the hosts that it names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest_twisted
from twisted.internet.defer import fail, succeed
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.names.server import DNSServerFactory

from cli.test_mail import Ended, netlab_mail
from mail.running import listening, reactor

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
ZONE = {b"two.example": [(10, FIRST), (20, SECOND)], b"null.example": [(0, ".")]}
OK = b"250 ok\r\n"
ENVELOPE = (b"220 b\r\n", "EHLO", OK, "MAIL", OK, "RCPT", OK, "DATA\r\n", b"354 go\r\n")
TAKES = (*ENVELOPE, "\r\n.\r\n", OK, "QUIT", None)


class Zone:
    """Answers about MX."""

    def query(self, query: dns.Query, timeout: object = None) -> Any:
        records = ZONE.get(query.name.name)
        if records is None:
            return fail(DNSNameError())
        payloads = (dns.Record_MX(preference, name.encode()) for preference, name in records)
        headers = [dns.RRHeader(query.name.name, dns.MX, dns.IN, 60, one) for one in payloads]
        return succeed((headers, [], []))


@asynccontextmanager
async def name_server() -> AsyncIterator[int]:
    factory = DNSServerFactory(clients=[Zone()])
    port = reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


async def mail(to: str, first: tuple[Any, ...], second: tuple[Any, ...] = TAKES) -> Ended:
    """A mail by MX, where the hosts of two.example play these scripts."""
    async with (
        name_server() as dns_port,
        listening(*first, host=FIRST) as port,
        listening(*second, host=SECOND, port=port),
    ):
        mx = ("--mx", "--really", "--mx-port", str(port), "--resolver", f"127.0.0.1:{dns_port}")
        words = ("--from", "ada@lab", "--to", to, "--body", "hi", "--json", *mx)
        return await netlab_mail(port, *words)


@pytest_twisted.ensureDeferred
async def test_the_next_host_is_tried() -> None:
    """The host of the lower preference wants nothing from us; the other one takes the mail."""
    for first in ((b"554 go away\r\n", "QUIT", None), (b"421 later\r\n",), (None,)):
        ended = await mail("bob@two.example", first)
        assert ended.status == 0, ended
        assert json.loads(ended.out)["cause"] == f"{SECOND}: 250 ok"


@pytest_twisted.ensureDeferred
async def test_a_refusal_counts() -> None:
    """What the first host says of the mail is the answer: no other one is asked."""
    first = (b"220 a\r\n", "EHLO", OK, "MAIL", OK, "RCPT", b"550 nobody\r\n", "QUIT", None)
    ended = await mail("bob@two.example", first)
    assert (ended.status, json.loads(ended.out)["recipients"][0]["code"]) == (67, 550)


@pytest_twisted.ensureDeferred
async def test_no_host_at_all() -> None:
    """A null MX (RFC 7505), and a name that is none; the others get the mail all the same."""
    for domain, cause in (("null.example", "takes no mail"), ("no.example", "there is no domain")):
        ended = await mail(f"bob@{domain}", (None,))
        assert (ended.status, cause in ended.out) == (68, True), ended
    ended = await mail("bob@two.example,eve@null.example", TAKES)
    told = json.loads(ended.out)
    fates = [(one["address"], one["fate"]) for one in told["recipients"]]
    assert fates == [("bob@two.example", "delivered"), ("eve@null.example", "refused")]
    assert ended.status == 3
