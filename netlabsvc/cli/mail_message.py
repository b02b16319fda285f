"""The mail that the options of `netlab mail` describe: envelope, headers, text, files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import SystemRandom

import click

from netlabsvc.mail import address
from netlabsvc.mail.delivery import Dsn, Outgoing
from netlabsvc.mail.headers import Ready
from netlabsvc.mail.message import Attachment, MessageError, compose


@dataclass(frozen=True)
class Content:
    """What the options say of the mail."""

    sender: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    mail_from: str | None
    rcpt: tuple[str, ...]
    subject: str
    header: tuple[str, ...]
    body: str | None
    body_file: Path | None
    html: Path | None
    attach: tuple[Path, ...]
    eml: Path | None
    notify: str | None
    ret: str | None

    def senders(self, mail: Outgoing) -> list[str]:
        """In whose name it goes: in the envelope, and in From."""
        return [mail.mail_from, *Ready(mail.message).addresses("From", "Sender")]

    def outgoing(self) -> Outgoing:
        """:raises AddressError: for an address that is none.
        :raises MessageError: for what cannot be in a message.
        :raises click.UsageError: for options that do not go together.
        """
        notify = tuple((self.notify or "").upper().split(",")) if self.notify else ()
        dsn = Dsn(notify, (self.ret or "").upper())
        if self.eml:
            return self._ready(self.eml, dsn)
        if self.sender is None:
            raise click.UsageError("Missing option '--from'.")
        if not (self.to or self.cc or self.bcc or self.rcpt):
            raise click.UsageError("Missing option '--to', or --cc, --bcc or --rcpt.")
        shown = [_split(option) for option in ((self.sender,), self.to, self.cc)]
        envelope = [item for option in shown[1:] for item in option] + _split(self.bcc)
        mail_from, rcpt_to = self._envelope(self.sender, envelope)
        every = [mail_from, *rcpt_to, *(address.bare(item) for items in shown for item in items)]
        for one in filter(None, every):
            address.mailbox(one)
        if all(address.with_ascii_domain(one).isascii() for one in every):
            mail_from, *rcpt_to = map(address.with_ascii_domain, [mail_from, *rcpt_to])
            shown = [[_in_ascii(item) for item in items] for items in shown]
        return Outgoing(mail_from, tuple(rcpt_to), self._composed(*shown), dsn)

    def _envelope(self, sender: str, recipients: list[str]) -> tuple[str, list[str]]:
        """Both as given for the envelope, else those of the headers."""
        mail_from = address.bare(sender) if self.mail_from is None else self.mail_from.strip("<>")
        named = _split(self.rcpt) if self.rcpt else recipients
        return mail_from, list(dict.fromkeys(map(address.bare, named)))

    def _composed(self, sender: list[str], to: list[str], cc: list[str]) -> bytes:
        headers = [("From", ", ".join(sender))]
        headers += [("To", ", ".join(to))] if to else []
        headers += [("Cc", ", ".join(cc))] if cc else []
        headers += [("Subject", self.subject), *map(_header, self.header)]
        return compose(
            headers,
            self._text(),
            html=None if self.html is None else _decoded(str(self.html), _read(self.html)),
            attachments=[Attachment(path.name, _read(path)) for path in self.attach],
            now=datetime.now().astimezone(),
            random=SystemRandom(),
        )

    def _text(self) -> str:
        if self.body is not None and self.body_file is not None:
            raise click.UsageError("--body and --body-file: one text is enough")
        if self.body_file is not None:
            return _decoded(str(self.body_file), _read(self.body_file))
        return _decoded("the text", _stdin()) if self.body is None else self.body

    def _ready(self, path: Path, dsn: Dsn) -> Outgoing:
        """A message in a file goes as it is, but for Bcc; its headers name who is not named."""
        made = ("cc", "bcc", "header", "body", "body_file", "html", "attach", "subject")
        if extra := [name for name in made if getattr(self, name)]:
            options = ", ".join("--" + name.replace("_", "-") for name in extra)
            raise click.UsageError(f"--eml is a whole message; {options} cannot change it")
        ready = Ready(_stdin() if str(path) == "-" else _read(path))
        recipients = _split(self.to) or ready.addresses("To", "Cc", "Bcc")
        sender = self.sender or next(iter(ready.addresses("From")), "")
        ready.remove("Bcc")
        mail_from, rcpt_to = self._envelope(sender, recipients)
        if not rcpt_to:
            raise MessageError(f"{path} names no recipient in To, Cc or Bcc; use --to")
        return Outgoing(mail_from, tuple(rcpt_to), bytes(ready), dsn)


def _split(options: tuple[str, ...]) -> list[str]:
    return [item for option in options for item in address.split(option)]


def _in_ascii(item: str) -> str:
    one = address.bare(item)
    return item.replace(one, address.with_ascii_domain(one))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise MessageError(f"{text!r} is no header; write 'Name: value'")
    return name, value.strip(" ")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MessageError(f"{path}: {error.strerror}") from None


def _decoded(what: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MessageError(f"{what} is not UTF-8 at byte {error.start + 1}") from None


def _stdin() -> bytes:
    if sys.stdin.isatty():
        click.echo("Type the text; Ctrl-D on an empty line ends it.", err=True)
    return sys.stdin.buffer.read()


def copies(mail: Outgoing, count: int) -> Iterator[Outgoing]:
    """The same mail again and again, each with a Message-ID of its own."""
    run = f"{SystemRandom().getrandbits(64):016x}"
    head, found, rest = mail.message.partition(b"\r\nMessage-ID: <")
    _, at, tail = rest.partition(b"@")
    for number in range(count):
        message = mail.message
        if found and at and count > 1:
            message = b"".join([head, found, f"{number}.{run}".encode(), at, tail])
        yield Outgoing(mail.mail_from, mail.rcpt_to, message, mail.dsn)
