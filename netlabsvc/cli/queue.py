"""netlab queue: the mail that waits in a daemon to be delivered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from netlabsvc.cli.ctl_options import as_json, ask, control_option, show
from netlabsvc.control.client import path_of
from netlabsvc.control.tables import columns
from netlabsvc.escape import escape

_mail_id = click.argument("mail_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@click.group()
@control_option
def command() -> None:
    """Look at the mail that waits to be delivered, and tell the daemon what to do with it.

    `netlab mail --queue` puts it there. Exit status: 0 done, 1 the daemon refused, 2 wrong usage,
    3 no daemon answers.

    \b
    Examples:
      netlab queue list
      netlab queue list --done --json
      netlab queue show 1
      netlab queue retry 1
      netlab queue drop 1
    """


@command.command("list")
@click.option("--done", is_flag=True, help="Also those with which nothing is left to be done.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@as_json
def list_mails(done: bool, limit: int) -> None:
    """List the newest mails of the queue, the oldest first."""
    answer = ask("GET", "/v1/mail/queue", done="true" if done else None, limit=limit)
    show(answer, _table)


@command.command("show")
@_mail_id
@as_json
def show_mail(mail_id: int) -> None:
    """Show a mail, and what is known of each of its recipients."""
    show(ask("GET", path_of("mail", "queue", mail_id)), _mail)


@command.command()
@_mail_id
@as_json
def retry(mail_id: int) -> None:
    """Try again now, whenever it would have been due."""
    answer = ask("POST", path_of("mail", "queue", mail_id, "retry"))
    show(answer, lambda a: [f"{a['id']} is tried again, for {a['recipients']} recipient(s)"])


@command.command()
@_mail_id
@as_json
def drop(mail_id: int) -> None:
    """Take a mail out of the queue; nobody is told."""
    show(ask("DELETE", path_of("mail", "queue", mail_id)), lambda a: [f"{a['id']} is dropped"])


def _table(mails: list[dict[str, Any]]) -> list[str]:
    rows = [("id", "queued", "bytes", "from", "to", "")]
    for mail in mails:
        for place, one in enumerate(mail["recipients"]):
            facts = (str(mail["id"]), mail["queued"], str(mail["size"]), f"<{mail['mail_from']}>")
            what = one["state"] + (", being sent" if one["under_way"] else "")
            rows.append((*(facts if place == 0 else ("",) * 4), f"<{one['address']}>", what))
    return [escape(line) for line in columns(rows)] if mails else ["the queue is empty"]


def _mail(mail: dict[str, Any]) -> Iterator[str]:
    yield escape(f"{mail['id']}  from <{mail['mail_from']}>, {mail['size']} bytes")
    yield escape(f"queued {mail['queued']}" + (f", done {mail['done']}" if mail["done"] else ""))
    yield escape(f"Message-ID {mail['message_id']}")
    for one in mail["recipients"]:
        yield escape(f"<{one['address']}>: {_state(one)}")
        if one["text"]:
            yield escape(f"    {one['code'] or ''} {one['text']}".rstrip())


def _state(one: dict[str, Any]) -> str:
    text = f"{one['state']} after {one['attempts']} attempt(s)"
    if one["under_way"]:
        return f"being sent; attempt {one['attempts']}"
    text += f", again at {one['next']}" if one["next"] else ""
    return text + (", may have arrived already" if one["maybe_delivered"] else "")
