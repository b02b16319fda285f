"""The headers of a ready message: read, taken off and put before, every other byte kept.

A program that calls sendmail hands over such a message, and so does whoever has one in a file.
RFC 5322 2.2: a header begins with ``Name:``; a line that begins with a blank goes on with it; an
empty line ends them. The `email` package would write the whole message anew.
"""

from __future__ import annotations

import re
from email.errors import HeaderParseError, InvalidHeaderDefect, MessageDefect
from email.policy import SMTPUTF8

from netlabsvc.mail.message import MessageError

_HEADER = re.compile(rb"([!-9;-~]+)[ \t]*:(.*)", re.DOTALL)


class Ready:
    """A message as it was handed over, its line ends made CRLF."""

    def __init__(self, message: bytes) -> None:
        """:raises MessageError: for a line among the headers that is none."""
        lines = re.split(rb"\r\n|\r|\n", message)
        if lines[-1] == b"":
            lines.pop()
        if lines and lines[0].startswith(b"From "):
            del lines[0]  # the separator of a mailbox file is no header
        end = lines.index(b"") if b"" in lines else len(lines)
        self._body = lines[end:] or [b""]
        #: Name in lower case, and all lines, joined by CRLF.
        self._headers: list[tuple[str, bytes]] = []
        for number, line in enumerate(lines[:end], 1):
            match = _HEADER.fullmatch(line)
            if line[:1] in (b" ", b"\t") and self._headers:
                name, begun = self._headers[-1]
                self._headers[-1] = name, begun + b"\r\n" + line
            elif match:
                self._headers.append((match[1].decode("ascii").lower(), line))
            else:
                raise MessageError(f"line {number} is no header (Name: value), nor an empty line")

    def values(self, name: str) -> list[str]:
        """The values of all headers of a name, unfolded.

        :raises MessageError: for one that is no UTF-8.
        """
        try:
            found = [line.decode() for known, line in self._headers if known == name.lower()]
        except UnicodeDecodeError:
            raise MessageError(f"{name} is neither ASCII nor UTF-8") from None
        return [re.sub(r"\r\n(?=[ \t])", "", text).partition(":")[2].strip() for text in found]

    def addresses(self, *names: str) -> list[str]:
        """The addresses in the headers of these names; comments and display names left out.

        :raises MessageError: for a header that holds something else.
        """
        found: list[str] = []
        for name in names:
            for value in self.values(name):
                found += _addresses(name, value)
        return found

    def remove(self, name: str) -> None:
        """Take off all headers of a name."""
        self._headers = [header for header in self._headers if header[0] != name.lower()]

    def add_missing(self, name: str, value: str) -> None:
        """Put a header at the end of the others, unless one of its name is there."""
        if not any(known == name.lower() for known, _ in self._headers):
            self._headers.append((name.lower(), f"{name}: {value}".encode()))

    def __bytes__(self) -> bytes:
        return b"\r\n".join([*(line for _, line in self._headers), *self._body, b""])


#: How email says it.
_NO_DOMAIN = "addr-spec local part with no domain"


def _addresses(name: str, value: str) -> list[str]:
    if not value:
        return []
    try:
        header = SMTPUTF8.header_factory("To", value)
        # A name alone (cron writes `root`) is not repaired: whoever asks has a domain, or none.
        defects = [one for one in header.defects if str(one) != _NO_DOMAIN]
        found = [address.addr_spec for address in header.addresses]
    except (ValueError, IndexError, AttributeError, TypeError, HeaderParseError, MessageDefect):
        # email has no list of what it raises for what is no address.
        raise MessageError(f"{name}: {value!r} is no list of addresses") from None
    # What email repairs would go to another mailbox than the one that was written.
    if any(isinstance(defect, InvalidHeaderDefect) for defect in defects):
        raise MessageError(f"{name}: {value!r} is no list of addresses (name@domain, with commas)")
    return [address for address in found if address]
