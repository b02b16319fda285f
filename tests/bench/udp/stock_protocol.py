"""The reflector as one writes it with Twisted on a first day: ``python stock_protocol.py PORT``."""

from __future__ import annotations

import sys
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol


class Stock(DatagramProtocol):
    """The time and the payload, for everyone."""

    transport: Any

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.transport.write(b"%d %s" % (time.time_ns() // 1_000_000, datagram), addr)


if __name__ == "__main__":
    loop: Any = reactor
    loop.listenUDP(int(sys.argv[1]), Stock(), "127.0.0.1")
    loop.run()
