"""One run of `netlab ping`: finds the address, probes it, shows what comes and what it says."""

from __future__ import annotations

import gc
import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES, ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH
from ipaddress import ip_address
from pathlib import Path
from random import Random
from typing import Any

import click

from netlabsvc.cli.ping_terminal import Pipe, screen
from netlabsvc.udp import document, kernel, ntp, plot, report, stats
from netlabsvc.udp.endpoint import Address
from netlabsvc.udp.ledger import Event, TimedOut
from netlabsvc.udp.probe import Dialect, Text
from netlabsvc.udp.prober import Plan, Prober
from netlabsvc.udp.sender import Sender
from netlabsvc.udp.trace import Trace

REPLY, NO_REPLY, ERROR = 0, 1, 2
#: The ports on which STAMP is spoken: that of RFC 8762, and netlab's own.
STAMP_PORTS = (862, 8620)


class PingError(click.ClickException):
    """What ends a run with status 2 and one line on stderr."""

    exit_code = ERROR


@dataclass(frozen=True)
class Order:
    """What was asked for.

    :ivar protocol: ``text`` or ``stamp``.
    :ivar size_bytes: of a probe; 0: as small as it can be.
    :ivar plot: where the picture goes; None: nowhere.
    """

    host: str
    port: int
    plan: Plan
    protocol: str
    size_bytes: int
    key: bytes | None
    seed: int
    quiet: bool = False
    json: bool = False
    plot: Path | None = None

    def dialect(self) -> Dialect:
        """A new one, as the first is not to know what was said to another address."""
        if self.protocol == "text":
            return Text(self.size_bytes)
        estimate = ntp.error_estimate(*kernel.clock_quality())
        return Sender(Random(f"{self.seed} ssid"), self.size_bytes, self.key, estimate)

    def config(self, address: Address) -> dict[str, Any]:
        """What a reader needs to run it again, for the document."""
        return {
            "host": self.host,
            "port": self.port,
            "address": address.sockaddr[0],
            "protocol": self.protocol,
            "authenticated": self.key is not None,
            "count": self.plan.count,
            "interval_ns": self.plan.interval_ns,
            "timeout_ns": self.plan.timeout_ns,
            "size_bytes": self.size_bytes,
            "schedule": self.plan.schedule.value,
            "seed": self.seed,
        }


def resolve(host: str, port: int, family: int) -> list[Address]:
    """The addresses of a host, in the order in which they should be tried.

    :param family: of `socket`; AF_UNSPEC for any.
    :raises PingError: when it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise PingError(f"no address for {host!r}: {why}") from None
    if many := [at[0] for *_, at in found if stands_for_many(str(at[0]))]:
        raise PingError(f"{many[0]} stands for many hosts; netlab ping probes one")
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))


def stands_for_many(host: str) -> bool:
    """Whether an address is multicast, or broadcast: what answers has another one."""
    address = ip_address(host.partition("%")[0])
    return address.is_multicast or host == "255.255.255.255"


def cause(error: OSError, address: Address) -> PingError:
    """Why a run could not go on."""
    said = {
        ECONNREFUSED: f"{address} refuses: nothing listens on that UDP port (ICMP)",
        EHOSTUNREACH: f"{address} cannot be reached: no way to that host (ICMP, or no route)",
        ENETUNREACH: f"{address} cannot be reached: no way to that network",
        EACCES: f"{address}: this machine does not let it send there (broadcast, or a firewall)",
        EMSGSIZE: f"{address}: the probes do not fit into a datagram; a smaller -s does",
    }
    return PingError(said.get(error.errno or 0, f"{address}: {error.strerror}"))


async def ping(reactor: Any, addresses: list[Address], order: Order) -> int:
    """Probe the first address that does not refuse; returns the exit status.

    A name often stands for several addresses of which a server has only one: ``localhost`` is ::1
    and 127.0.0.1.

    :raises PingError: when the last address refuses, or one after it has answered.
    """
    runs: list[Prober] = []
    reactor.addSystemEventTrigger("before", "shutdown", lambda: runs[-1].stop())
    for address in addresses:
        shown = Pipe(sys.stdout) if order.json else screen(sys.stdout, reactor.seconds)
        tell = teller(order, address, shown)
        chance = Random(f"{order.seed} schedule")
        runs.append(Prober(address, order.plan, order.dialect(), tell, reactor, chance))
        error = await outcome(runs[-1])
        shown.close()
        trace = runs[-1].trace
        if error is None or trace.replies:
            conclude(trace, order, address)
        if error is None:
            return REPLY if trace.replies else NO_REPLY
        refused = cause(error, address)
        if trace.replies:
            break
    raise refused


async def outcome(prober: Prober) -> OSError | None:
    """Run to the end; returns what went wrong."""
    try:
        with uncollected():
            await prober.run()
    except OSError as error:
        return error
    return None


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for garbage in cycles: a run makes none, and a search delays a probe by 15 ms."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def teller(order: Order, address: Address, shown: Pipe) -> Callable[[Event], None]:
    """Shows each event as it happens."""
    silent, count = order.quiet or order.json, order.plan.count

    def tell(event: Event) -> None:
        if isinstance(event, TimedOut):
            if not silent:
                shown.line(f"seq={event.seq} timeout")
            shown.note(count, event.seq, None)
            return
        if not silent:
            shown.line(report.reply_line(event.reply, event.flags, str(address)))
        if not event.flags.duplicate:
            shown.note(count, event.reply.seq, event.flags.rtt_ns)

    return tell


def conclude(trace: Trace, order: Order, address: Address) -> None:
    """Show what the run says, in every form that was asked for.

    :raises PingError: when the picture cannot be written.
    """
    analysis = stats.analyse(trace)
    if order.json:
        text = json.dumps(document.document(trace, analysis, order.config(address)), indent=1)
    else:
        text = report.report(trace, analysis, str(address))
    print(text, flush=True)
    if order.plot is not None:
        try:
            order.plot.write_text(plot.svg(trace, analysis, f"netlab ping {address}"), "utf-8")
        except OSError as error:
            raise PingError(f"cannot write {str(order.plot)!r}: {error.strerror}") from None
