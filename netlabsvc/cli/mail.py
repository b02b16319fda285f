"""netlab mail: one mail through one server, and the dialogue to watch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from random import SystemRandom
from typing import Any

import click
from twisted.internet.endpoints import HostnameEndpoint

from netlabsvc.cli.run import host_and_port, run
from netlabsvc.mail import address, message
from netlabsvc.mail.client import deliver
from netlabsvc.mail.delivery import Ending, Outgoing, Stage
from netlabsvc.mail.transcript import Line

SANDBOX = "127.0.0.1:2525"
SMTP_PORT = 25
USAGE = 64
_STATUS = """\b
Ends with
  0  delivered to all             68  host not found
  3  some recipients refused      69  cannot connect, or refused for good
  4  lost after the final dot:    75  refused for now, or no answer: try later
     delivered or not, unknown    76  what answered is no SMTP server
 65  bad address or message       64  bad options
 67  every recipient refused
"""


class _Command(click.Command):
    """Ends with 64 (EX_USAGE) where click would end with 2."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _usage():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _usage():
            return super().invoke(ctx)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(USAGE) from None


@click.command(cls=_Command, epilog=_STATUS)
@click.option("--server", metavar="HOST:PORT", default=SANDBOX, show_default=True)
@click.option("--from", "sender", metavar="ADDRESS", required=True, help="Who sends it.")
@click.option(
    "--to",
    "recipients",
    metavar="ADDRESS",
    required=True,
    multiple=True,
    help="Who gets it; again, or with commas, for more.",
)
@click.option("--subject", default="", help="What it is about.")
@click.option("--body", help="The text; without it, the text is read from stdin.")
@click.option("-v", "--verbose", is_flag=True, help="Show the dialogue on stderr.")
def command(
    server: str,
    sender: str,
    recipients: tuple[str, ...],
    subject: str,
    body: str | None,
    verbose: bool,
) -> None:
    """Send a mail; without --server, to the sandbox of the daemon on this machine.

    \b
    Examples:
      echo hello | netlab mail --from ada@lab --to bob@lab --subject Hi
      netlab mail --from ada@lab --to bob@lab,eve@lab --body hello -v
      netlab mail --server mail.example.org:25 --from ada@example.org --to bob@example.org < text
    """
    host, port = host_and_port(server, SMTP_PORT)
    try:
        mail = _outgoing(sender, recipients, subject, body)
    except (address.AddressError, message.MessageError) as error:
        raise click.exceptions.Exit(_complain(Ending.BAD_DATA, str(error))) from None
    hint = "; is the daemon running? twistd -n netlab starts it" if server == SANDBOX else ""

    async def main(reactor: Any) -> int:
        endpoint = HostnameEndpoint(reactor, host, port)
        result = await deliver(reactor, endpoint, mail, watch=_show if verbose else None)
        if result.ending is not Ending.DELIVERED:
            remedy = hint if result.stage is Stage.CONNECT else ""
            return _complain(result.ending, f"{host} port {port}: {result.cause}{remedy}")
        click.echo(f"delivered to {', '.join(mail.rcpt_to)}: {result.cause}")
        return 0

    run(main)


def _outgoing(sender: str, recipients: tuple[str, ...], subject: str, body: str | None) -> Outgoing:
    """The mail that the options describe; the addresses are checked before stdin is read."""
    to = tuple(one for option in recipients for one in address.split(option))
    for one in (sender, *to):
        address.mailbox(one)
    text = _stdin() if body is None else body
    return Outgoing(sender, to, _composed(sender, to, subject, text))


def _composed(sender: str, to: tuple[str, ...], subject: str, body: str) -> bytes:
    headers = [("From", sender), ("To", ", ".join(to)), ("Subject", subject)]
    now = datetime.now().astimezone()
    return message.compose(headers, body, now=now, random=SystemRandom())


def _stdin() -> str:
    if sys.stdin.isatty():
        click.echo("Type the text; Ctrl-D on an empty line ends it.", err=True)
    data = sys.stdin.buffer.read()
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise message.MessageError(f"the text is not UTF-8 at byte {error.start + 1}") from None


def _show(line: Line) -> None:
    click.echo(str(line), err=True)


def _complain(ending: Ending, text: str) -> int:
    """Say it on stderr; gives the exit status."""
    click.echo(f"Error: {text}", err=True)
    return int(ending)
