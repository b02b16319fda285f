"""``PORT COUNT CONNECTIONS``: mails per second of the courier; 0: a connection for each mail."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint

from netlabsvc.mail.courier import Courier, deliver
from netlabsvc.mail.delivery import Ending, Outgoing, Result
from netlabsvc.mail.plan import Plan

from .mail import MESSAGE, RECIPIENT, SENDER


async def _carry(reactor: Any, port: int, waiting: Any) -> None:
    courier = Courier(
        reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", port), Plan(pipelining=True)
    )
    for mail in waiting:
        _check(await courier.send(mail))
    await courier.close()


async def _main(reactor: Any, port: int, count: int, connections: int) -> None:
    waiting = (Outgoing(SENDER, (RECIPIENT,), MESSAGE) for _ in range(count))
    begun_s = reactor.seconds()
    if connections:
        carriers = [_carry(reactor, port, waiting) for _ in range(connections)]
        await gatherResults([Deferred.fromCoroutine(carrier) for carrier in carriers])
    else:
        for mail in waiting:
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
            _check(await deliver(reactor, endpoint, mail))
    print(count / (reactor.seconds() - begun_s))


def _check(result: Result) -> None:
    if result.ending is not Ending.DELIVERED:
        raise RuntimeError(result.cause)


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    task.react(lambda reactor: Deferred.fromCoroutine(_main(reactor, *words)))
