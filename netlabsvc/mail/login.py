"""AUTH as the server hears it (RFC 4954): the mechanisms, line by line, in Base64.

    PLAIN      [authzid] NUL authcid NUL password     RFC 4616
    LOGIN      "Username:" name "Password:" password  never a standard, and everywhere
    CRAM-MD5   a challenge; name SP digest            RFC 2195

A mechanism is a generator: it yields each challenge, is sent each answer, and returns what the
client claims. Whether that is right it does not know; a digest cannot be checked against a salted
hash, so CRAM-MD5 is offered only where everything is right.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Generator
from dataclasses import dataclass, field

#: RFC 4954 section 4, line end included.
MAX_LINE_BYTES = 12288


@dataclass(frozen=True)
class Claim:
    """Who somebody says to be.

    :ivar password: never kept, never shown; "" where only a digest was given.
    """

    mechanism: str
    user: str
    password: str = field(repr=False)


class Malformed(Exception):
    """What was said is not what the mechanism asks for; the text says what would be."""


class Cancelled(Exception):
    """The client gave up with a lone asterisk."""


#: Yields challenges, is sent answers, returns the claim.
Exchange = Generator[bytes, bytes, Claim]


def _plain(challenge: bytes) -> Exchange:
    parts = (yield b"").split(b"\0")
    if len(parts) != 3:
        raise Malformed("PLAIN is NUL name NUL password, all of it in one Base64 word")
    return _claim("PLAIN", parts[1], parts[2])


def _login(challenge: bytes) -> Exchange:
    name = yield b"Username:"
    password = yield b"Password:"
    return _claim("LOGIN", name, password)


def _cram_md5(challenge: bytes) -> Exchange:
    name, _, digest = (yield challenge).rpartition(b" ")
    if not re.fullmatch(rb"[0-9a-f]{32}", digest):
        raise Malformed("CRAM-MD5 is a name, a blank and 32 hexadecimal digits")
    return _claim("CRAM-MD5", name, b"")


def _claim(mechanism: str, name: bytes, password: bytes) -> Claim:
    try:
        claim = Claim(mechanism, name.decode(), password.decode())
    except UnicodeDecodeError:
        raise Malformed("name and password are UTF-8") from None
    if not claim.user:
        raise Malformed("the name is empty")
    return claim


#: By name, in the order in which EHLO offers them.
MECHANISMS = {"PLAIN": _plain, "LOGIN": _login, "CRAM-MD5": _cram_md5}


class Login:
    """One AUTH on its way, from its command to the claim."""

    def __init__(self, mechanism: str, challenge: bytes) -> None:
        """:param challenge: of CRAM-MD5, another one each time."""
        self._exchange = MECHANISMS[mechanism](challenge)
        self._pending: bytes | None = next(self._exchange)
        self.claim: Claim | None = None

    def challenge(self) -> str:
        """What stands behind 334."""
        return b64encode(self._pending or b"").decode("ascii")

    def answer(self, word: str) -> None:
        """Hear a line of the client, or its initial response; sets `claim` at the end.

        :raises Malformed: when it is no Base64, or not what the mechanism asks for.
        :raises Cancelled: when the client gives up.
        """
        if word == "*":
            raise Cancelled
        try:
            # "=" is how an initial response says that it is empty.
            said = b64decode(word if word != "=" else "", validate=True)
        except (Error, ValueError):
            raise Malformed("this is no Base64") from None
        try:
            self._pending = self._exchange.send(said)
        except StopIteration as end:
            self.claim = end.value
