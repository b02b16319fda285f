"""The socket of a reflector in Twisted's reactor."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet import udp
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from netlabsvc.connections import host_port
from netlabsvc.udp.batch import SLOT_BYTES, SLOTS, Batch, batch
from netlabsvc.udp.classic import MAX_IPV4_BYTES, MAX_IPV6_BYTES, Classic
from netlabsvc.udp.kernel import set_ttl
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.sources import REPLY_TTL
from netlabsvc.udp.timer import Timer, timer

log = Logger()

LOG_INTERVAL_S = 60
#: Of a tongue that tells when a reply leaves (T3): what is said there must not wait long for the
#: rest of the batch.
FEW_SLOTS = 8


class Port(udp.Port):
    """Reads and answers in one turn, many datagrams with one system call.

    The stock port reads one at a time, ends its turn by bytes read, so that empty datagrams never
    end it; forgets the scope of a link-local source, which then cannot be answered; and parses the
    text of each address before it writes.
    """

    protocol: _Protocol
    batch: Batch

    def startListening(self) -> None:
        """Bind the socket, and begin.

        :raises twisted.internet.error.CannotListenError: when the address cannot be had.
        """
        super().startListening()
        self.protocol.port, reflector = self, self.protocol.reflector
        host = self.getHost()
        reflector.opened(host.port)
        self.where = host_port(host.host, host.port)
        set_ttl(self.socket, REPLY_TTL)
        tongue = reflector.tongue
        classic = isinstance(tongue, Classic)
        # A stamped payload tells by itself that it has been here: no need to ask for the TTL.
        told = not (isinstance(tongue, Classic) and tongue.stamps)
        self.batch = batch(self.socket, told, SLOTS if classic else FEW_SLOTS)
        if isinstance(tongue, Classic):
            six = self.addressFamily == socket.AF_INET6
            tongue.limit_bytes = MAX_IPV6_BYTES if six else MAX_IPV4_BYTES
        self._timer: Timer = timer(self.reactor, reflector.wake, self.protocol.monotonic_ns)
        reflector.wake_at = self._timer.set
        reflector.send_to = self._send_to
        self._minutes = LoopingCall(reflector.tell, self.where)
        self._minutes.clock = cast("Any", self.reactor)
        self._minutes.start(LOG_INTERVAL_S, now=False)

    def doRead(self) -> None:
        """Answer what has come, up to a batch of it."""
        try:
            self.protocol.reflector.turn(self.batch)
        except Exception:  # the reactor would close the port for good
            log.failure("UDP {where}: a mistake of ours; a batch is lost", where=self.where)

    def closed(self) -> None:
        """The socket is closed."""
        self._minutes.stop()
        self._timer.close()
        self.protocol.reflector.close(self.where)

    def _send_to(self, reply: bytes, address: Any) -> None:
        self.socket.sendto(reply, address)


class _Protocol(DatagramProtocol):
    """What Twisted wants beside a port; the port itself does the work."""

    noisy = False
    port: Port  # Twisted has taken `transport` away when it says that all is over

    def __init__(self, reflector: Reflector) -> None:
        self.reflector = reflector
        self.monotonic_ns = reflector.clocks.monotonic_ns

    def stopProtocol(self) -> None:
        """The socket is closed."""
        self.port.closed()


def listen(reflector: Reflector, reactor: Any, host: str, port: int) -> Port:
    """Open a socket for a reflector. ``getHost()`` tells the port where 0 was asked for.

    :param host: an IPv4 or IPv6 address; ``::`` takes IPv4 as well.
    :raises twisted.internet.error.CannotListenError: when the address cannot be had.
    :raises twisted.internet.error.InvalidAddressError: when `host` is no address.
    """
    opened = Port(port, _Protocol(reflector), host, SLOT_BYTES, reactor)
    opened.startListening()
    return opened


def adopt(reflector: Reflector, reactor: Any, sock: socket.socket) -> Port:
    """Serve a UDP socket that another opened, instead of `listen`; it is closed here.

    :param sock: IPv4 or IPv6, bound, not blocking.
    """
    with sock:
        opened: Port = Port._fromListeningDescriptor(
            reactor, sock.fileno(), sock.family, _Protocol(reflector), SLOT_BYTES
        )
    opened.startListening()
    return opened
