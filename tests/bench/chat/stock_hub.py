"""A chat hub as one writes it with Twisted on a first day: one ``transport.write`` per line and
member. The yardstick of the burst; ``python stock_hub.py PORT``.
"""

from __future__ import annotations

import sys
import time
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure


class Member(LineReceiver):
    """A client; all that it says goes to all others."""

    transport: Any
    delimiter = b"\n"
    members: ClassVar[dict[Member, str]] = {}

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        self.members[self] = f"guest{len(self.members) + 1} ({peer.host}:{peer.port})"
        self.transport.write(b"*** welcome\n")

    def lineReceived(self, line: bytes) -> None:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        message = f"[{stamp}] {self.members[self]}: {line.decode()}\n".encode()
        for member in self.members:
            if member is not self:
                member.transport.write(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        del self.members[self]


if __name__ == "__main__":
    loop: Any = reactor
    loop.listenTCP(int(sys.argv[1]), Factory.forProtocol(Member), 1024, "127.0.0.1")
    loop.run()
