"""`netlab ping`: probes to a UDP server, each reply as it comes, and what the run says."""

from __future__ import annotations

import signal
import socket
from errno import ECONNREFUSED
from math import isnan
from typing import Any

import click

from netlabsvc.cli.run import host_and_port, run
from netlabsvc.udp.prober import Address, Event, Plan, Prober, TimedOut
from netlabsvc.udp.stats import RoundTrips, Summary

DEFAULT_PORT = 12000
MIN_INTERVAL_S = 0.01
MAX_RUN_S = 24 * 3600

REPLY, NO_REPLY, ERROR = 0, 1, 2


class PingError(click.ClickException):
    """What ends a run with status 2 and one line on stderr."""

    exit_code = ERROR


class Seconds(click.FloatRange):
    """A number of seconds within bounds; click's own range lets NaN pass."""

    name = "seconds"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number of seconds; a usage error where it is none."""
        seconds = float(super().convert(value, param, ctx))
        if isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a host, in the order in which they should be tried.

    :raises PingError: when it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "that is no host name"
        raise PingError(f"no address for {host!r}: {why}") from None
    return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))


def ms(time_ns: int | None) -> str:
    """Milliseconds with microseconds; ``-`` where there is nothing to tell."""
    return "-" if time_ns is None else f"{time_ns / 1e6:.3f}"


def line(event: Event, address: Address) -> str:
    """One event as one line. Of a reply it shows numbers only: its text is another's."""
    if isinstance(event, TimedOut):
        return f"seq={event.seq} timeout"
    flags = " late" * event.late + " duplicate" * event.duplicate
    where = f"{event.size_bytes} bytes from {address}"
    return f"{where}: seq={event.seq} rtt={ms(event.rtt_ns)} ms{flags}"


def report(figures: Summary, address: Address) -> str:
    """What a run says, in up to four lines."""
    still_open = f", {figures.open} still open" if figures.open else ""
    lines = [
        f"--- {address}",
        f"{figures.sent} sent, {figures.received} received, {figures.lost} lost,"
        f" {figures.late} late, {figures.duplicates} duplicates{still_open}",
    ]
    if figures.loss is not None:
        low, high = (100 * edge for edge in figures.loss_interval)
        lines.append(f"loss {figures.loss:.1%}, 95% interval {low:.1f}% to {high:.1f}%")
    if figures.rtt is not None:
        lines.append(round_trips(figures.rtt))
    return "\n".join(lines)


def round_trips(rtt: RoundTrips) -> str:
    """The figures of the round trips, as one line."""
    figures = (rtt.min_ns, rtt.mean_ns, rtt.median_ns, rtt.max_ns, rtt.stddev_ns)
    return f"rtt min/mean/median/max/stddev = {'/'.join(map(ms, figures))} ms"


def cause(error: OSError, address: Address) -> PingError:
    """Why a run could not go on."""
    if error.errno == ECONNREFUSED:
        return PingError(f"{address} refuses: nothing listens on that UDP port (ICMP)")
    return PingError(f"{address}: {error.strerror}")


async def ping(reactor: Any, addresses: list[Address], plan: Plan, quiet: bool) -> int:
    """Probe the first address that does not refuse; returns the exit status.

    A name often stands for several addresses of which a server has only one: ``localhost`` is ::1
    and 127.0.0.1.

    :raises PingError: when the last address refuses, or one after it has answered.
    """
    runs: list[Prober] = []
    reactor.addSystemEventTrigger("before", "shutdown", lambda: runs[-1].stop())
    for address in addresses:

        def tell(event: Event, address: Address = address) -> None:
            if not quiet:
                print(line(event, address), flush=True)

        runs.append(Prober(address, plan, tell, reactor))
        error = await outcome(runs[-1])
        figures = runs[-1].summary()
        answered = figures.received + figures.late > 0
        if error is None or answered:
            print(report(figures, address), flush=True)
        if error is None:
            return REPLY if answered else NO_REPLY
        refused = cause(error, address)
        if answered:
            break
    raise refused


async def outcome(prober: Prober) -> OSError | None:
    """Run to the end; returns what went wrong."""
    try:
        await prober.run()
    except OSError as error:
        return error
    return None


def target(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, int]:
    """Read HOST[:PORT]."""
    return host_and_port(text, DEFAULT_PORT)


@click.command()
@click.argument("target", metavar="HOST[:PORT]", callback=target)
@click.option(
    "-c",
    "count",
    metavar="COUNT",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="How many probes to send.",
)
@click.option(
    "-i",
    "interval_s",
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    type=Seconds(MIN_INTERVAL_S, MAX_RUN_S),
    help="From one probe to the next; 0.01 at least.",
)
@click.option(
    "-W",
    "timeout_s",
    metavar="SECONDS",
    default=1.0,
    show_default=True,
    type=Seconds(0.001, MAX_RUN_S),
    help="A reply that takes longer is late.",
)
@click.option("-q", "quiet", is_flag=True, help="Print the summary only.")
def command(
    target: tuple[str, int], count: int, interval_s: float, timeout_s: float, quiet: bool
) -> None:
    """Send numbered UDP probes and say what came back.

    Any server will do that sends the text of a probe back: changed to capitals, behind a prefix or
    cut after its number. A reply counts only for the probe whose number it carries. Ctrl-C ends
    the run with the summary of what was sent so far. The port is 12000 unless given.

    Exit status: 0 a reply came, 1 none came, 2 an error.

    \b
    Examples:
      netlab ping 127.0.0.1
      netlab ping -c 100 -i 0.05 127.0.0.1:12000
      netlab ping -q -W 0.2 [::1]:12000
    """
    if count * interval_s > MAX_RUN_S:
        hours = count * interval_s / 3600
        raise click.UsageError(f"-c times -i is {hours:.0f} hours; a run lasts 24 at most")
    # Into a pipe whose reader has gone: end as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    plan = Plan(count, round(interval_s * 1e9), round(timeout_s * 1e9))
    addresses = resolve(*target)
    run(lambda reactor: ping(reactor, addresses, plan, quiet))
