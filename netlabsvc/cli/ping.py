"""`netlab ping`: its options, and what is wrong with them."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from math import isnan
from pathlib import Path
from typing import Any

import click

from netlabsvc.cli.ping_run import STAMP_PORTS, Order, ping, resolve
from netlabsvc.cli.run import host_and_port, run
from netlabsvc.udp import explain, inputs, probe, sender
from netlabsvc.udp.prober import Plan
from netlabsvc.udp.schedule import FLOOR_NS, Schedule

DEFAULT_PORT = 12000
#: With --fast; without, `FLOOR_NS` holds.
LEAST_S = 0.0001
MAX_RUN_S = 24 * 3600
MOST_BYTES = 65507


class Seconds(click.FloatRange):
    """A number of seconds within bounds; click's own range lets NaN pass."""

    name = "seconds"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number of seconds; a usage error where it is none."""
        seconds = float(super().convert(value, param, ctx))
        if isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


def show_explanation(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    """Print how each figure is computed, and end."""
    if wanted and not ctx.resilient_parsing:
        click.echo(explain.TEXT)
        ctx.exit()


def target(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, int]:
    """Read HOST[:PORT]."""
    return host_and_port(text, DEFAULT_PORT)


def key(_ctx: click.Context, _param: click.Parameter, path: str | None) -> bytes | None:
    """Read the key of STAMP, as the reflector does."""
    try:
        return inputs.stamp_key(path or "")
    except ValueError as error:
        raise click.BadParameter(f"{path}: {error}") from None


def picture(_ctx: click.Context, _param: click.Parameter, path: str | None) -> Path | None:
    """Where the picture goes; that it cannot is said before the run, not after it."""
    if path is None:
        return None
    file = Path(path)
    place = file if file.exists() else file.parent
    if file.is_dir() or not os.access(place, os.W_OK):
        raise click.BadParameter(f"{path!r} cannot be written")
    return file


def protocol(wanted: str, port: int, keyed: bool) -> str:
    """``text`` or ``stamp``, by port where nobody said; no probe is sent to find out."""
    chosen = wanted if wanted != "auto" else "stamp" if port in STAMP_PORTS else "text"
    if keyed and chosen == "text":
        raise click.UsageError("--key-file is for STAMP; with this port, say --proto stamp")
    return chosen


def check(plan: Plan, fast: bool, size_bytes: int, least_bytes: int) -> None:
    """Refuse what makes no sense together.

    :raises click.UsageError: says what would be right.
    """
    seconds = plan.count * plan.interval_ns / 1e9
    if seconds > MAX_RUN_S:
        hours = seconds / 3600
        raise click.UsageError(f"-c times -i is {hours:.0f} hours; a run lasts 24 at most")
    if plan.interval_ns < FLOOR_NS and not fast:
        raise click.UsageError(
            f"-i is {plan.interval_ns / 1e9:g}; less than {FLOOR_NS / 1e9:g} needs --fast: it may"
            " fill the line of others"
        )
    if 0 < size_bytes < least_bytes:
        raise click.UsageError(f"-s is {size_bytes}; the probes of this run need {least_bytes}")


def order(target: tuple[str, int], asked: dict[str, Any]) -> Order:
    """What the options say.

    :raises click.UsageError: when they make no sense together.
    """
    key: bytes | None = asked["key"]
    chosen = protocol(asked["wanted"], target[1], key is not None)
    plan = Plan(
        asked["count"],
        round(asked["interval_s"] * 1e9),
        round(asked["timeout_s"] * 1e9),
        Schedule(asked["schedule"]),
        0 if asked["fast"] else FLOOR_NS,
    )
    least_bytes = probe.least_bytes(plan.count) if chosen == "text" else sender.least_bytes(key)
    check(plan, asked["fast"], asked["size_bytes"], least_bytes)
    return Order(
        *target,
        plan=plan,
        protocol=chosen,
        size_bytes=asked["size_bytes"],
        key=key,
        seed=secrets.randbits(32) if asked["seed"] is None else asked["seed"],
        quiet=asked["quiet"],
        json=asked["as_json"],
        plot=asked["plot"],
    )


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
    type=Seconds(LEAST_S, MAX_RUN_S),
    help="From one probe to the next; less than 0.01 needs --fast.",
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
@click.option(
    "-s",
    "size_bytes",
    metavar="BYTES",
    default=0,
    type=click.IntRange(0, MOST_BYTES),
    help="Make each probe this long; as short as it can be without.",
)
@click.option("-q", "quiet", is_flag=True, help="Print the summary only.")
@click.option("-4", "family", flag_value=socket.AF_INET, type=int, help="IPv4 only.")
@click.option("-6", "family", flag_value=socket.AF_INET6, type=int, help="IPv6 only.")
@click.option(
    "--proto",
    "wanted",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "text", "stamp"]),
    help="What to say; auto: STAMP to ports 862 and 8620, text to others.",
)
@click.option(
    "--schedule",
    default=Schedule.PERIODIC.value,
    show_default=True,
    type=click.Choice([one.value for one in Schedule]),
    help="Evenly, at random, or five at a time; as many in all.",
)
@click.option("--fast", is_flag=True, help="Allow less than 10 ms between probes.")
@click.option(
    "--key-file", "key", metavar="FILE", callback=key, help="The key: authenticated STAMP."
)
@click.option("--seed", type=click.IntRange(min=0), metavar="N", help="Repeat a random schedule.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.option("--plot", metavar="FILE.svg", callback=picture, help="Draw the run into FILE.svg.")
@click.option(
    "--explain",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_explanation,
    help="Say how each figure is computed, and end.",
)
def command(target: tuple[str, int], **asked: Any) -> None:
    """Send numbered UDP probes and say what came back, and how sure that is.

    Any server will do that sends the text of a probe back: changed to capitals, behind a prefix or
    cut after its number. A reply counts only for the probe whose number it carries; where a server
    sends no numbers, for the oldest that is open, and the report says so. STAMP reflectors
    (RFC 8762) tell more: what was lost on which way. The port is 12000 unless given. Ctrl-C ends
    the run with the report on what was sent so far.

    Exit status: 0 a reply came, 1 none came, 2 an error.

    \b
    Examples:
      netlab ping 127.0.0.1
      netlab ping -c 100 -i 0.05 127.0.0.1:12000
      netlab ping -q -W 0.2 [::1]:12000
      netlab ping -c 500 -i 0.02 --plot run.svg 127.0.0.1:8620
    """
    # Into a pipe whose reader has gone: end as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    wanted = order(target, asked)
    addresses = resolve(*target, asked["family"] or socket.AF_UNSPEC)
    run(lambda reactor: ping(reactor, addresses, wanted))
