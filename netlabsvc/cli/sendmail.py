"""netlab sendmail: takes the place of /usr/sbin/sendmail for programs that call it."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from email.utils import format_datetime, formataddr
from functools import partial
from random import SystemRandom
from typing import Any

import click

from netlabsvc.cli.mail_server import STATUS, Command, Failure, Server, server_options
from netlabsvc.cli.mail_show import Dialogue, report
from netlabsvc.cli.mail_trip import once
from netlabsvc.cli.run import run
from netlabsvc.mail import address
from netlabsvc.mail.delivery import Ending, Outgoing
from netlabsvc.mail.headers import Ready
from netlabsvc.mail.message import MessageError, message_id
from netlabsvc.mail.plan import Plan


@click.command(cls=Command, epilog=STATUS)
@click.argument("recipients", nargs=-1, metavar="[RCPT]...")
@click.option("-t", "from_headers", is_flag=True, help="Recipients from To, Cc and Bcc.")
@click.option("-i", "whole", is_flag=True, help="A line with one dot does not end the message.")
@click.option("-f", "-r", "sender", metavar="ADDR", help="The envelope's sender.")
@click.option("-F", "full_name", metavar="NAME", help="In From, when that is missing.")
@click.option("-o", "settings", multiple=True, metavar="X", help="-oi is -i; others are let pass.")
@click.option("-b", "modes", multiple=True, metavar="X", help="-bm, the only one that is here.")
@click.option("-B", "body_type", metavar="TYPE", help="Let pass: seen in the message.")
@click.option("-v", "verbose", is_flag=True, help="Show the dialogue on stderr.")
@click.option(
    "--domain",
    metavar="NAME",
    envvar="NETLAB_MAIL_DOMAIN",
    help="What completes a name without @; else it is an error.",
)
@server_options
def command(
    server: Server,
    recipients: tuple[str, ...],
    from_headers: bool,
    whole: bool,
    settings: tuple[str, ...],
    modes: tuple[str, ...],
    body_type: str | None,
    verbose: bool,
    **sender: str | None,
) -> None:
    """Send the message on stdin: what programs call sendmail for.

    Bcc is taken off; Date, Message-ID and From are put in when missing; all else is kept. Without
    -i a line with one dot ends the message. It is sent at once, nothing is queued.

    \b
    Examples:
      printf 'To: bob@lab\\nSubject: Hi\\n\\nhello\\n' | netlab sendmail -t -i -f ada@lab
      netlab sendmail -f ada@lab bob@lab eve@lab < message
      git send-email --sendmail-cmd 'netlab sendmail -i' ...
    """
    if other := [mode for mode in modes if mode != "m"]:
        raise click.UsageError(f"-b{other[0]} is not here; netlab sendmail sends, and that is all")
    if not (from_headers or recipients):
        raise click.UsageError("no recipient; name one, or -t for those of the headers")
    host, _ = server.address()
    plan = server.plan(host)
    try:
        text = _until_dot(sys.stdin.buffer.read(), whole=whole or "i" in settings)
        mail = _outgoing(Ready(text), recipients, from_headers, **sender)
        shown = Ready(mail.message).addresses("From", "Sender")
        server.check_senders(host, [mail.mail_from, *shown])
    except (address.AddressError, MessageError) as error:
        raise Failure(Ending.BAD_DATA, str(error)) from None
    run(partial(_send, server=server, plan=plan, mail=mail, verbose=verbose))


async def _send(reactor: Any, *, server: Server, plan: Plan, mail: Outgoing, verbose: bool) -> int:
    host, port = server.address()
    more = {"watch": Dialogue(verbose=True, explain=None).take} if verbose else {}
    result = await once(reactor, server, host, port, plan, mail, **more)
    if result.ending is Ending.DELIVERED:
        return 0  # a sendmail that succeeds is silent
    return report([result], f"{host} port {port}", as_json=False)


def _outgoing(
    ready: Ready,
    recipients: tuple[str, ...],
    from_headers: bool,
    *,
    sender: str | None,
    full_name: str | None,
    domain: str | None,
) -> Outgoing:
    """:raises AddressError: for an address that is none.
    :raises MessageError: for a message that is none, or to nobody.
    """

    def whole(name: str) -> str:
        return f"{name}@{domain}" if domain and name and "@" not in name else name

    named = [item for text in recipients for item in address.split(text)]
    named += ready.addresses("To", "Cc", "Bcc") if from_headers else []
    if not named:
        raise MessageError("-t found no recipient in To, Cc and Bcc")
    if sender is None:
        sender = next(iter(ready.addresses("From")), None) or getpass.getuser()
    mail_from = whole(address.bare(sender))
    now, random = datetime.now().astimezone(), SystemRandom()
    ready.remove("Bcc")
    ready.add_missing("Date", format_datetime(now))
    place = mail_from.rpartition("@")[2] or "localhost"
    ready.add_missing("Message-ID", message_id(place, now, random))
    if mail_from:
        ready.add_missing("From", _shown(full_name, address.mailbox(mail_from)))
    rcpt_to = dict.fromkeys(whole(address.bare(name)) for name in named)
    return Outgoing(mail_from, tuple(rcpt_to), bytes(ready))


def _shown(full_name: str | None, sender: address.Mailbox) -> str:
    if full_name and not full_name.isprintable():
        raise MessageError(f"{full_name!r} cannot be a name: there is a control character in it")
    return formataddr((full_name, str(sender))) if full_name else str(sender)


def _until_dot(data: bytes, *, whole: bool) -> bytes:
    """All of it, or what comes before a line with one dot."""
    if whole:
        return data
    lines = data.splitlines(keepends=True)
    end = next((n for n, line in enumerate(lines) if line.strip(b"\r\n") == b"."), len(lines))
    return b"".join(lines[:end])
