"""netlab inbox: the mail that the sandbox took, read from its store."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import click

from netlabsvc.mail import accounts, reading
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


_LOOK_AGAIN_S = 0.1


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
      netlab inbox rm 1
      netlab inbox wait --to bob@lab --subject-has hello --timeout 10
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
        entry, record = mailbox.entry(mail_id), mailbox.record(mail_id)
        try:
            text = reading.readable(mailbox.source(mail_id))
        except KeyError:
            text = "no message came; the dialogue:\n" + "\n".join(map(str, record.dialogue))
    for name, value in (
        ("Mail", f"{entry.id}, {entry.size} bytes, {_time(entry).astimezone():%Y-%m-%d %H:%M:%S}"),
        ("Peer", f"{entry.peer}, calls itself {entry.hello}"),
        ("Verdict", f"{entry.verdict}: {entry.reply}"),
        ("Rule", record.rule),
        ("Envelope from", _path(entry.mail_from)),
        ("Envelope to", ", ".join(f"<{path}>" for path in entry.rcpt_to)),
    ):
        click.echo(f"{name + ':':<15}{shown_line(value)}")
    click.echo("-" * 72)
    click.echo(text)


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


@command.command()
@click.argument("mail_ids", metavar="ID...", nargs=-1, type=click.IntRange(1, 2**63 - 1))
@click.option("--all", "everything", is_flag=True, help="All there are.")
@_state_dir
def rm(mail_ids: tuple[int, ...], everything: bool, directory: Path) -> None:
    """Remove mails, while the daemon runs or without one.

    \b
    Examples:
      netlab inbox rm 3 4
      netlab inbox rm --all
    """
    if everything == bool(mail_ids):
        raise click.UsageError("give the numbers of mails, or --all")
    with _mailbox(directory) as mailbox:
        if everything:
            mail_ids = tuple(entry.id for entry in mailbox.page(limit=2**31))
        for mail_id in mail_ids:
            mailbox.entry(mail_id)  # whoever mistypes one keeps the others
        removed = mailbox.remove(mail_ids)
    click.echo(f"{removed} removed")


@command.command()
@click.option("--to", default="", metavar="ADDR", help="One of its recipients.")
@click.option("--from", "sender", default="", metavar="ADDR", help="The sender in the envelope.")
@click.option("--subject-has", default="", metavar="S", help="Text in its subject, in any case.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only mails with a higher ID.")
@click.option("--timeout", type=click.FloatRange(0), default=10.0, show_default=True, metavar="S")
@_state_dir
def wait(
    to: str, sender: str, subject_has: str, after: int, timeout: float, directory: Path
) -> None:
    """Wait until a mail is there, and print its ID: for scripts.

    A mail that is there already counts, as it may have been quicker than the script; --after leaves
    out what was there before. Of several the newest is printed. Refused attempts are no mails.

    Exit status: 0 it is there, 1 it did not come in time (or there is no daemon's store).

    \b
    Example:
      netlab inbox wait --to bob@lab --subject-has hello --timeout 10
    """

    def fits(entry: Entry) -> bool:
        return (
            entry.verdict is Verdict.KEPT
            and (not to or to.lower() in (path.lower() for path in entry.rcpt_to))
            and (not sender or sender.lower() == (entry.mail_from or "").lower())
            and subject_has.casefold() in entry.subject.casefold()
        )

    until_s = time.monotonic() + timeout
    while True:
        with suppress(_NothingYet), _mailbox(directory) as mailbox:
            seen = mailbox.page(limit=2**31, after_id=after, search=f"{to} {sender}")
            if found := next(filter(fits, seen), None):
                click.echo(found.id)
                return
            after = seen[0].id if seen else after
        if (left_s := until_s - time.monotonic()) <= 0:
            raise click.ClickException(f"no such mail within {timeout:g} s")
        time.sleep(min(_LOOK_AGAIN_S, left_s))


@command.command()
@click.argument("name")
def passwd(name: str) -> None:
    """Write the line of an account for users_file; the password is asked for.

    \b
    Example:
      netlab inbox passwd ada >> users
    """
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\n")
    try:
        click.echo(accounts.line(name, password, secrets.token_bytes(16)))
    except ValueError as error:
        raise click.ClickException(str(error)) from None


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
