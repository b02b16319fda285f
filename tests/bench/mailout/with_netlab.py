"""``PORT COUNT``: milliseconds for each mail over a connection of its own."""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint

from netlabsvc.mail.courier import deliver
from netlabsvc.mail.delivery import Ending, Outgoing

from .mail import MESSAGE, RECIPIENT, SENDER


async def _main(reactor: Any, port: int, count: int) -> None:
    begun_s = reactor.seconds()
    for _ in range(count):
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        result = await deliver(reactor, endpoint, Outgoing(SENDER, (RECIPIENT,), MESSAGE))
        if result.ending is not Ending.DELIVERED:
            raise RuntimeError(result.cause)
    print(1000 * (reactor.seconds() - begun_s) / count)


if __name__ == "__main__":
    words = [int(word) for word in sys.argv[1:]]
    task.react(lambda reactor: Deferred.fromCoroutine(_main(reactor, *words)))
