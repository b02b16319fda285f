"""Writing a message: headers and a text, as bytes with CRLF line ends (RFC 5322, RFC 2045).

The envelope is another matter: nothing here decides where a message goes. Time and chance are
arguments.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from random import Random

from netlabsvc.mail.text import name_of

#: Without its CRLF (RFC 5322 2.1.1).
MAX_LINE_BYTES = 998

_NAME = re.compile(r"[!-9;-~]+")  # RFC 5322 2.2: printable ASCII but the colon
#: Every server can take this: what is not ASCII is encoded.
_ASCII = SMTP.clone(cte_type="7bit")


class MessageError(ValueError):
    """This cannot be a message; the text says why."""


def compose(
    headers: Iterable[tuple[str, str]], body: str, *, now: datetime, random: Random
) -> bytes:
    """A plain text message.

    :param headers: in their order; Date and Message-ID are added when missing. Addresses in
        letters beyond ASCII are written as such, which only SMTPUTF8 can carry (RFC 6532).
    :param now: with its time zone.
    :raises MessageError: for a header name or value that cannot stand in a message.
    """
    headers = list(headers)
    names = {name.lower() for name, _ in headers}
    addresses = [value for name, value in headers if name.lower() in ("from", "to", "cc", "sender")]
    international = not all(value.isascii() for value in addresses)
    message = EmailMessage(policy=SMTPUTF8 if international else _ASCII)
    for name, value in headers:
        _add(message, name, value)
    if "date" not in names:
        _add(message, "Date", format_datetime(now))
    if "message-id" not in names:
        domain = str(message["From"] or "").rpartition("@")[2].rstrip("> ")
        _add(message, "Message-ID", _message_id(domain or "localhost", now, random))
    try:
        message.set_content(body)
    except UnicodeEncodeError as error:
        raise MessageError(f"the body is no text at character {error.start + 1}") from None
    return message.as_bytes()


def check_lines(message: bytes) -> None:
    """:raises MessageError: for a line that is longer than RFC 5322 allows, by its number."""
    for number, line in enumerate(message.splitlines(), 1):
        if len(line) > MAX_LINE_BYTES:
            raise MessageError(f"line {number} is longer than {MAX_LINE_BYTES} octets")


def _add(message: EmailMessage, name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise MessageError(f"{name!r} is no header name: printable ASCII without blanks and colon")
    for place, char in enumerate(value, 1):
        if unicodedata.category(char) in ("Cc", "Zl", "Zp") and char != "\t":
            raise MessageError(f"{name_of(char)} at character {place} of the value of {name}")
    try:
        value.encode()
        message[name] = value
    except ValueError as error:
        raise MessageError(f"{name} cannot be {value!r}: {error}") from None


def _message_id(domain: str, now: datetime, random: Random) -> str:
    return f"<{now.timestamp():.6f}.{random.getrandbits(64):016x}@{domain}>"
