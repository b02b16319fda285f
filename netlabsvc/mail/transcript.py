"""The dialogue of a mail session as lines, with their time, and without its secrets.

What is a secret follows from the state of the protocol, not from what the text looks like
(RFC 4954 section 4):

    C: AUTH PLAIN <here>        the initial response
    S: 334 ...
    C: <here>                   each line that answers a 334; a lone * gives up, and tells nothing

and where the command is wrong, everything behind it that is not the name of a mechanism.

It knows no clock (times are arguments) and no sockets; it sees whole lines.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from netlabsvc.mail.text import shown_line

Side = Literal["C", "S"]
REDACTED = b"<secret>"
_MECHANISM = re.compile(
    rb"PLAIN|LOGIN|CRAM-MD5|XOAUTH2|GSSAPI|SCRAM-SHA-[0-9]+(?:-PLUS)?", re.IGNORECASE
)


class Line(NamedTuple):
    """Who said what, and when, in seconds since the connection was made.

    :ivar tls: whether it went through TLS.
    """

    at_s: float
    side: Side
    text: str
    tls: bool = False

    def __str__(self) -> str:
        """``C: MAIL FROM:<ada@lab>`` with the time, in seconds, and TLS at the right."""
        return f"{f'{self.side}: {self.text}':<70} {self.at_s:8.4f}{' TLS' * self.tls}"


class Transcript:
    """Turns what is said into lines that may be shown and kept."""

    def __init__(self, *, show_secrets: bool = False) -> None:
        self._answers_334 = False
        self._show_secrets = show_secrets
        #: What a server might repeat, to be taken out of what it says; the longest first.
        self.secrets: tuple[str, ...] = ()
        #: Whether the lines go through TLS.
        self.tls = False

    def client(self, at_s: float, line: bytes) -> Line:
        """A command, without its line end."""
        if self._show_secrets:
            pass
        elif self._answers_334 and line != b"*":
            line = REDACTED
        elif tries_to_log_in(line):
            line = _without_secret(line)
        self._answers_334 = False
        return Line(at_s, "C", shown_line(line), self.tls)

    def server(self, at_s: float, line: bytes) -> Line:
        """A line of a reply, without its line end."""
        self._answers_334 = line.startswith(b"334")
        return Line(at_s, "S", self.without_secrets(shown_line(line)), self.tls)

    def without_secrets(self, text: str) -> str:
        """A text of the server's in which nothing stands that it was told in confidence."""
        for secret in () if self._show_secrets else self.secrets:
            text = text.replace(secret, REDACTED.decode())
        return text

    def note(self, at_s: float, side: Side, text: str) -> Line:
        """What stands for bytes that are not shown, such as a message."""
        return Line(at_s, side, shown_line(text), self.tls)


def tries_to_log_in(line: bytes) -> bool:
    """Whether a line is AUTH, or what clumsy clients say in its place; secrets may follow it."""
    return line.lstrip()[:5].upper().startswith((b"AUTH", b"PASS", b"LOGIN"))


def _without_secret(line: bytes) -> bytes:
    """AUTH as it may be shown; whoever forgot the mechanism has the secret in its place."""
    verb, *words = line.split(None, 2)
    known = verb.upper() == b"AUTH" and words and _MECHANISM.fullmatch(words[0])
    shown = [verb[:4], words.pop(0)] if known else [verb[:4]]
    return b" ".join([*shown, *([REDACTED] if words or len(verb) > 4 else [])])
