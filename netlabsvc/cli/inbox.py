"""netlab inbox: the mail that the sandbox took, read from its store."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from netlabsvc.mail import reading
from netlabsvc.mail.mailbox import Entry, Mailbox
from netlabsvc.mail.record import Verdict
from netlabsvc.mail.schema import StoreError
from netlabsvc.mail.text import shown_line
from netlabsvc.state import state_directory

_state_dir = click.option(
    "--state-dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: state_directory(os.environ)[0],
    help="Where the daemon keeps its state, if it was told so.",
)
_mail_id = click.argument("mail_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))


class _NothingYet(click.ClickException):
    """No daemon has kept a mail there."""


@click.group()
def command() -> None:
    """Look at the mail that the sandbox took.

    \b
    Examples:
      netlab inbox list
      netlab inbox list --json --limit 1
      netlab inbox show 1
      netlab inbox source 1 > mail.eml
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON list of objects.")
@click.option("--limit", type=click.IntRange(1, 2**31), default=100, show_default=True)
@_state_dir
def list_mails(as_json: bool, limit: int, directory: Path) -> None:
    """List the newest mails, the newest first.

    \b
    Example:
      netlab inbox list --json --limit 1
    """
    try:
        with _mailbox(directory) as mailbox:
            entries = mailbox.page(limit=limit)
    except _NothingYet:
        entries = []
    if as_json:
        click.echo(
            json.dumps([entry.as_object() for entry in entries], indent=2, ensure_ascii=False)
        )
        return
    for entry in entries:
        click.echo(_row(entry))
    if not entries:
        click.echo(_nothing_in(directory))


@command.command()
@_mail_id
@_state_dir
def show(mail_id: int, directory: Path) -> None:
    """Show a mail: its envelope, then the message, decoded and safe for a terminal.

    \b
    Example:
      netlab inbox show 1
    """
    with _mailbox(directory) as mailbox:
        entry, data = mailbox.entry(mail_id), mailbox.source(mail_id)
    for name, value in (
        ("Mail", f"{entry.id}, {entry.size} bytes, {_time(entry).astimezone():%Y-%m-%d %H:%M:%S}"),
        ("Peer", f"{entry.peer}, calls itself {entry.hello}"),
        ("Envelope from", _path(entry.mail_from)),
        ("Envelope to", ", ".join(f"<{path}>" for path in entry.rcpt_to)),
    ):
        click.echo(f"{name + ':':<15}{shown_line(value)}")
    click.echo("-" * 72)
    click.echo(reading.readable(data))


@command.command()
@_mail_id
@_state_dir
def source(mail_id: int, directory: Path) -> None:
    """Write a message exactly as it was received.

    \b
    Example:
      netlab inbox source 1 > mail.eml
    """
    with _mailbox(directory) as mailbox:
        data = mailbox.source(mail_id)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@contextmanager
def _mailbox(directory: Path) -> Iterator[Mailbox]:
    """The mailbox there; what is wrong with it, or not in it, becomes one line on stderr."""
    try:
        with Mailbox(directory) as mailbox:
            yield mailbox
    except FileNotFoundError:
        raise _NothingYet(_nothing_in(directory)) from None
    except KeyError as error:
        raise click.ClickException(f"there is no mail {error}; see: netlab inbox list") from None
    except StoreError as error:
        raise click.ClickException(str(error)) from None


def _nothing_in(directory: Path) -> str:
    return f"no mail yet in {directory}"


def _time(entry: Entry) -> datetime:
    return datetime.fromtimestamp(entry.time_s, UTC)


def _row(entry: Entry) -> str:
    path = shown_line(f"{_path(entry.mail_from)} to {', '.join(entry.rcpt_to)}")
    when = f"{_time(entry).astimezone():%Y-%m-%d %H:%M:%S}"
    what = entry.subject if entry.verdict is Verdict.KEPT else shown_line(entry.reply)
    return f"{entry.id:>5}  {when}  {entry.verdict:<9}  {entry.size:>8}  {path}  {what}"


def _path(mail_from: str | None) -> str:
    return "no sender" if mail_from is None else f"<{mail_from}>"
