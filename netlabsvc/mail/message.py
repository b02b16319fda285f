"""Writing a message: headers, a text, HTML, files, with CRLF line ends (RFC 5322, RFC 2045).

The envelope is another matter: nothing here decides where a message goes. Time and chance are
arguments.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from mimetypes import guess_type
from random import Random

from netlabsvc.mail.address import AddressError, bare, split
from netlabsvc.mail.text import name_of

#: Without its CRLF (RFC 5322 2.1.1).
MAX_LINE_BYTES = 998

_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 2.2: printable ASCII but the colon
#: Every server can take this: what is not ASCII is encoded.
_ASCII = SMTP.clone(cte_type="7bit")


class MessageError(ValueError):
    """This cannot be a message; the text says why."""


@dataclass(frozen=True)
class Attachment:
    """A file that goes with a message; its type is guessed from its name."""

    name: str
    content: bytes

    @property
    def type(self) -> tuple[str, str]:
        """As ``("image", "png")``; what is packed, or a message itself, is just bytes."""
        guessed, packed = guess_type(self.name)
        main, _, sub = (guessed or "").partition("/")
        if packed or main in ("", "message", "multipart"):
            return "application", "octet-stream"
        return main, sub


def compose(
    headers: Iterable[tuple[str, str]],
    body: str,
    *,
    html: str | None = None,
    attachments: Iterable[Attachment] = (),
    now: datetime,
    random: Random,
) -> bytes:
    """A message: a text, the same as HTML beside it, and files (RFC 2046).

    :param headers: in their order; Date and Message-ID are added when missing. Addresses in
        letters beyond ASCII are written as such, which only SMTPUTF8 can carry (RFC 6532).
    :param now: with its time zone.
    :raises MessageError: for a header name or value that cannot stand in a message.
    """
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    addresses = [value for name, value in headers if name.lower() in ("from", "to", "cc", "sender")]
    international = any(map(_international, addresses))
    message = EmailMessage(policy=SMTPUTF8 if international else _ASCII)
    for name, value in headers:
        _add(message, name, value)
    if "date" not in names:
        _add(message, "Date", format_datetime(now))
    if "message-id" not in names:
        domain = str(message["From"] or "").rpartition("@")[2].rstrip("> ")
        _add(message, "Message-ID", message_id(domain or "localhost", now, random))
    return bytes(message).removesuffix(b"\r\n") + bytes(_content(body, html, attachments, random))


def _content(
    body: str, html: str | None, attachments: Iterable[Attachment], random: Random
) -> EmailMessage:
    """What is below the headers, in ASCII even where those are not."""
    content = EmailMessage(policy=_ASCII)
    try:
        content.set_content(body)
        if html is not None:
            content.add_alternative(html, subtype="html")
    except UnicodeEncodeError as error:
        raise MessageError(f"the body is no text at character {error.start + 1}") from None
    for attachment in attachments:
        _check_value("the name of an attachment", attachment.name)
        main, sub = attachment.type
        # A name beyond ASCII is written as in RFC 2231: filename*=utf-8''...
        content.add_attachment(attachment.content, main, sub, filename=attachment.name)
    _set_boundaries(content, random)
    return content


def _international(value: str) -> bool:
    """Whether an address in it, and not only a display name, has letters beyond ASCII."""
    try:
        return not all(bare(item).isascii() for item in split(value))
    except AddressError:
        return not value.isascii()


def _set_boundaries(message: EmailMessage, random: Random) -> None:
    """email would take them from the global generator."""
    for part in message.walk():
        if part.is_multipart():
            part.set_boundary(f"={random.getrandbits(128):032x}=")


def check_lines(message: bytes) -> None:
    """:raises MessageError: for a line that is longer than RFC 5322 allows, by its number."""
    for number, line in enumerate(message.splitlines(), 1):
        if len(line) > MAX_LINE_BYTES:
            raise MessageError(f"line {number} is longer than {MAX_LINE_BYTES} octets")


def _add(message: EmailMessage, name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise MessageError(f"{name!r} is no header name: printable ASCII without blanks and colon")
    _check_value(f"the value of {name}", value)
    try:
        value.encode()
        message[name] = value
    except ValueError as error:
        raise MessageError(f"{name} cannot be {value!r}: {error}") from None


def _check_value(what: str, value: str) -> None:
    for place, char in enumerate(value, 1):
        if unicodedata.category(char) in ("Cc", "Zl", "Zp") and char != "\t":
            raise MessageError(f"{name_of(char)} at character {place} of {what}")


def message_id(domain: str, now: datetime, random: Random) -> str:
    """A name that no other message has (RFC 5322 3.6.4)."""
    return f"<{now.timestamp():.6f}.{random.getrandbits(64):016x}@{domain}>"
