"""What a server said that it can do: the reply to EHLO, read (RFC 5321 4.1.1.1).

    250-mail.example.org greets you      the first line is for people
    250-SIZE 10485760                    keyword [SP parameters]
    250-AUTH PLAIN LOGIN
    250 STARTTLS

A line that has not this form is passed over; nothing a server says here raises. It knows no
dialogue: what was said before TLS must be forgotten by whoever holds it (RFC 3207 4.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_MAX_SIZE_DIGITS = 20  # RFC 1870 section 6


@dataclass(frozen=True)
class Capabilities:
    """The extensions offered: keyword in capitals, and its parameters."""

    offers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __contains__(self, keyword: str) -> bool:
        return keyword in self.offers

    @property
    def max_size(self) -> int:
        """The largest message taken, in bytes; 0 when there is no such limit."""
        value = next(iter(self.offers.get("SIZE", ())), "")
        right = value.isascii() and value.isdigit() and len(value) <= _MAX_SIZE_DIGITS
        return int(value) if right else 0

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms of AUTH, in capitals and in the server's order."""
        return tuple(dict.fromkeys(name.upper() for name in self.offers.get("AUTH", ())))


def parse(text: bytes) -> Capabilities:
    """Read the texts of the lines of a 250, joined by LF."""
    offers: dict[str, tuple[str, ...]] = {}
    for line in text.split(b"\n")[1:]:
        keyword, *parameters = line.decode("latin-1").split() or [""]
        # Servers older than RFC 4954 write AUTH=PLAIN.
        if keyword.upper().startswith("AUTH="):
            parameters, keyword = [keyword[5:], *parameters], "AUTH"
        if _KEYWORD.fullmatch(keyword):
            known = offers.get(keyword.upper(), ())
            offers[keyword.upper()] = tuple(dict.fromkeys([*known, *parameters]))
    return Capabilities(offers)
