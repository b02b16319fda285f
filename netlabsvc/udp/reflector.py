"""The daemon's UDP socket: each request comes back, unless a rule or a fault says otherwise.

Every request is counted, and so is the reason of each that gets no reply; `Counts` lists them. A
log event per packet would cost more than the packet: the counts are logged instead, once a minute
while they change, and in full at the end.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from errno import EMSGSIZE
from typing import Any

from twisted.internet import udp
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from netlabsvc.connections import host_port
from netlabsvc.metrics import Metric, counter, counter_by
from netlabsvc.udp import classic
from netlabsvc.udp.faults import Bernoulli, Direction
from netlabsvc.udp.impair import Path
from netlabsvc.udp.settings import Settings
from netlabsvc.udp.sources import ANSWERING_PORTS, is_unicast

log = Logger()

LOG_INTERVAL_S = 60
#: More than the largest datagram, so that none is ever cut.
BUFFER_BYTES = 65536
#: How many datagrams are read before other sockets have their turn.
BATCH = 64


@dataclass
class Counts:
    """What became of the requests: `received` is the sum of all others."""

    received: int = 0
    replied: int = 0
    #: From a service that answers anything, or from our own port number.
    refused_port: int = 0
    #: From a broadcast or multicast address.
    refused_address: int = 0
    #: Has been through two reflectors already.
    loop_suspect: int = 0
    #: Lost on purpose, by the configured fault.
    impaired: int = 0
    #: Prefix and payload do not fit into one datagram.
    reply_too_long: int = 0
    #: The kernel would not send it: no route, no buffer, a firewall, a subnet's broadcast address.
    send_error: int = 0

    def __str__(self) -> str:
        """What there is to tell: ``received 10, replied 7, impaired 3``."""
        told = [(f.name, getattr(self, f.name)) for f in fields(self)]
        return ", ".join(f"{name} {n}" for name, n in told if n or name in ("received", "replied"))


class Reflector(DatagramProtocol):
    """The classic reflector on one port.

    :param seed: makes its faults repeatable.
    :param now_ns: nanoseconds since the Unix epoch.
    """

    noisy = False

    def __init__(
        self, settings: Settings, seed: int, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.counts = Counts()
        self._now_ns = now_ns
        self._settings = settings
        self._up = Path("up", Direction(), seed)
        self.loss = settings.loss
        self._refused_ports = set(ANSWERING_PORTS)
        self._limit_bytes = classic.MAX_IPV4_BYTES
        self._logged = Counts()
        self._minutes = LoopingCall(self._log_changes)
        self._where = ""

    def apply(self, settings: Settings) -> None:
        """Go on with other settings; what an operator has set stays, unless they changed in it."""
        old, self._settings = self._settings, settings
        if settings.loss != old.loss:
            self.loss = settings.loss

    @property
    def loss(self) -> float:
        """The probability that a request is dropped; it can be set at any time."""
        return self._loss

    @loss.setter
    def loss(self, probability: float) -> None:
        self._loss = probability
        self._up.change(Direction(loss=Bernoulli(probability) if probability else None))

    def listen(self, reactor: Any, host: str, port: int) -> udp.Port:
        """Open the socket; called once. ``getHost()`` tells the port where 0 was asked for.

        :param host: an IPv4 or IPv6 address; ``::`` takes IPv4 as well.
        :raises twisted.internet.error.CannotListenError: when the address cannot be had.
        :raises twisted.internet.error.InvalidAddressError: when `host` is no address.
        """
        return self._open(_Port(port, self, host, BUFFER_BYTES, reactor), reactor)

    def adopt(self, reactor: Any, sock: socket.socket) -> udp.Port:
        """Serve a UDP socket that another opened, instead of `listen`; it is closed here.

        :param sock: IPv4 or IPv6, bound, not blocking.
        """
        with sock:
            adopted = _Port._fromListeningDescriptor(
                reactor, sock.fileno(), sock.family, self, BUFFER_BYTES
            )
        return self._open(adopted, reactor)

    def _open(self, listening: udp.Port, reactor: Any) -> udp.Port:
        listening.startListening()
        address = listening.getHost()
        self._where = host_port(address.host, address.port)
        if listening.addressFamily == socket.AF_INET6:
            self._limit_bytes = classic.MAX_IPV6_BYTES
        self._refused_ports.add(address.port)
        self._minutes.clock = reactor
        self._minutes.start(LOG_INTERVAL_S, now=False)
        return listening

    def replies(self, request: bytes, host: str, port: int) -> list[bytes]:
        """What goes back for a request from this source; counts the reason where nothing does.

        The faults come last: what is refused takes no part in an experiment.
        """
        counts = self.counts
        counts.received += 1
        if port in self._refused_ports:
            counts.refused_port += 1
        elif not is_unicast(host):
            counts.refused_address += 1
        elif classic.bounced(request):
            counts.loop_suspect += 1
        else:
            return self._answer(request)
        return []

    def _answer(self, request: bytes) -> list[bytes]:
        now_ns = self._now_ns()
        packets = self._up.pass_through(now_ns, self.counts.received, request)
        if not packets:
            self.counts.impaired += 1
        replies = []
        for _, packet in packets:
            reply = classic.reply(packet, now_ns, self._limit_bytes)
            if reply is None:
                self.counts.reply_too_long += 1
            else:
                replies.append(reply)
        return replies

    def metrics(self) -> Iterator[Metric]:
        """What there is to tell in figures."""
        dropped = asdict(self.counts)
        yield counter("netlab_udp_received_total", "Datagrams received.", dropped.pop("received"))
        yield counter("netlab_udp_replied_total", "Replies sent.", dropped.pop("replied"))
        yield counter_by(
            "netlab_udp_dropped_total", "Datagrams that got no reply.", "reason", dropped
        )

    def stopProtocol(self) -> None:
        """The socket is closed."""
        self._minutes.stop()
        log.info("UDP reflector {where} closed: {counts}", where=self._where, counts=self.counts)

    def _log_changes(self) -> None:
        if self.counts != self._logged:
            self._logged = replace(self.counts)
            log.info("UDP reflector {where}: {counts}", where=self._where, counts=self._logged)


class _Port(udp.Port):
    """Reads and answers in one turn.

    The stock port ends its turn by bytes read, so that empty datagrams never end it; it forgets
    the scope of a link-local source, which then cannot be answered; and it parses the text of
    each address before it writes.
    """

    protocol: Reflector

    def doRead(self) -> None:
        """Answer what has come, up to a batch of it."""
        receive, replies, send = self.socket.recvfrom, self.protocol.replies, self._send
        for _ in range(BATCH):
            try:
                request, source = receive(BUFFER_BYTES)
            except OSError:  # nothing is left, or the kernel is short of memory: both pass
                return
            for reply in replies(request, source[0], source[1]):
                send(reply, source)

    def _send(self, reply: bytes, source: tuple[Any, ...]) -> None:
        counts = self.protocol.counts
        try:
            self.socket.sendto(reply, source)
        except OSError as error:
            # IPv4 mapped into an IPv6 socket takes less than the socket's family promises.
            if error.errno == EMSGSIZE:
                counts.reply_too_long += 1
            else:
                counts.send_error += 1
        else:
            counts.replied += 1
