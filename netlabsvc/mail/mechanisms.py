"""How a client proves who it is: SASL mechanisms, without sockets (RFC 4954, RFC 4422).

    mechanism      shows the password   said by the client
    -------------  -------------------  ---------------------------------------------------
    SCRAM-SHA-256  no                   RFC 5802, RFC 7677; the server proves itself, too
    CRAM-MD5       no                   user, and HMAC-MD5 of the challenge (RFC 2195)
    PLAIN          yes                  NUL user NUL password (RFC 4616)
    LOGIN          yes                  user, then password, each after a prompt
    XOAUTH2        yes (a token)        user=... ^A auth=Bearer ... ^A ^A

In this order they are tried. Here are bytes; Base64 and the words of SMTP are in `login`.
"""

from __future__ import annotations

import hashlib
import hmac
import stringprep
import unicodedata
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from typing import Protocol

from netlabsvc.mail.text import shown_line

#: RFC 7677 section 4.
MIN_ITERATIONS = 4096
#: About a second of work; a server that asks for more wants to keep us busy.
MAX_ITERATIONS = 1_000_000


class AuthError(Exception):
    """The server's side of a mechanism is wrong, or this password cannot be used with it."""


class Mechanism(Protocol):
    """One attempt with one mechanism."""

    @property
    def initial(self) -> bytes | None:
        """What goes with AUTH; None where the server speaks first."""

    def answer(self, challenge: bytes) -> bytes:
        """What answers a challenge.

        :raises AuthError: for a challenge that cannot be answered.
        """

    def finish(self) -> None:
        """The server said yes.

        :raises AuthError: when it had to prove something first, and has not.
        """


class _Spoken:
    """A mechanism that says its lines in turn, whatever the server asks."""

    def __init__(self, initial: bytes | None, *answers: bytes) -> None:
        self.initial = initial
        self._answers = list(answers)

    def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise AuthError("the server asks once more after everything was said")
        return self._answers.pop(0)

    def finish(self) -> None:
        """Nothing is proved by the server."""


def plain(user: str, password: str, nonce: str) -> Mechanism:
    if "\0" in user + password:
        raise AuthError("PLAIN cannot carry NUL")
    return _Spoken(f"\0{user}\0{password}".encode())


def login(user: str, password: str, nonce: str) -> Mechanism:
    return _Spoken(None, user.encode(), password.encode())


def xoauth2(user: str, password: str, nonce: str) -> Mechanism:
    """The password is the access token; a 334 is the error, which an empty line acknowledges."""
    return _Spoken(f"user={user}\1auth=Bearer {password}\1\1".encode(), b"")


class CramMd5:
    """RFC 2195."""

    initial = None

    def __init__(self, user: str, password: str, nonce: str) -> None:
        self._user, self._password = user.encode(), password.encode()
        self._answered = False

    def answer(self, challenge: bytes) -> bytes:
        if self._answered:
            raise AuthError("CRAM-MD5 has one challenge, the server sent two")
        self._answered = True
        digest = hmac.new(self._password, challenge, hashlib.md5).hexdigest()
        return self._user + b" " + digest.encode()

    def finish(self) -> None:
        if not self._answered:
            raise AuthError("the server said yes without a challenge")


class ScramSha256:
    """RFC 5802 with SHA-256, without channel binding.

    C: n,,n=user,r=nonce            S: r=nonce+more,s=salt,i=iterations
    C: c=biws,r=nonce+more,p=proof  S: v=signature
    C: (an empty line)
    """

    def __init__(self, user: str, password: str, nonce: str) -> None:
        self._password = saslprep(password).encode()
        self._nonce = nonce
        name = saslprep(user).replace("=", "=3D").replace(",", "=2C")
        self._bare = f"n={name},r={nonce}"
        self.initial: bytes | None = f"n,,{self._bare}".encode()
        self._signature: bytes | None = None
        self._proved = False

    def answer(self, challenge: bytes) -> bytes:
        if self._signature is None:
            return self._prove(challenge)
        if not hmac.compare_digest(_field(challenge, "v"), b64encode(self._signature).decode()):
            raise AuthError("SCRAM: the server does not know the password either")
        self._proved = True
        return b""

    def finish(self) -> None:
        if not self._proved:
            raise AuthError("SCRAM: the server said yes without proving that it knows the password")

    def _prove(self, first: bytes) -> bytes:
        nonce, salt, iterations = (_field(first, name) for name in "rsi")
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise AuthError("SCRAM: the server's nonce does not begin with ours")
        if not (iterations.isascii() and iterations.isdigit() and len(iterations) < 10):
            raise AuthError("SCRAM: the number of iterations is none")
        if not MIN_ITERATIONS <= int(iterations) <= MAX_ITERATIONS:
            span = f"{MIN_ITERATIONS} to {MAX_ITERATIONS}"
            raise AuthError(f"SCRAM: {iterations} iterations; {span} are taken")
        try:
            raw_salt = b64decode(salt, validate=True)
        except Base64Error:
            raise AuthError("SCRAM: the salt is no Base64") from None
        key = hashlib.pbkdf2_hmac("sha256", self._password, raw_salt, int(iterations))
        final = f"c=biws,r={nonce}"
        said = f"{self._bare},{first.decode('ascii')},{final}".encode()
        client_key = _hmac(key, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), said)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = _hmac(_hmac(key, b"Server Key"), said)
        return f"{final},p={b64encode(proof).decode()}".encode()


#: In the order in which they are tried.
MECHANISMS: Mapping[str, Callable[[str, str, str], Mechanism]] = {
    "SCRAM-SHA-256": ScramSha256,
    "CRAM-MD5": CramMd5,
    "PLAIN": plain,
    "LOGIN": login,
    "XOAUTH2": xoauth2,
}
#: Whoever listens to these has the password, or a token that is as good.
SHOWN = {"PLAIN", "LOGIN", "XOAUTH2"}


def saslprep(text: str) -> str:
    """Prepare a name or password so that both sides hash the same (RFC 4013).

    :raises AuthError: for characters that must not be in it.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(char) else char
        for char in text
        if not stringprep.in_table_b1(char)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    for char in prepared:
        if stringprep.in_table_c21_c22(char) or any(table(char) for table in _PROHIBITED):
            raise AuthError("SCRAM: a character that cannot be in a name or password (RFC 4013)")
    return prepared


_PROHIBITED = (
    *(stringprep.in_table_c3, stringprep.in_table_c4, stringprep.in_table_c5),
    *(stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8),
    stringprep.in_table_c9,
)


def _field(message: bytes, name: str) -> str:
    """The value of ``name=`` in a message of attributes with commas."""
    try:
        fields = dict(field.split("=", 1) for field in message.decode("ascii").split(","))
    except ValueError:
        raise AuthError("SCRAM: what the server sent is no SCRAM") from None
    if "e" in fields:
        raise AuthError(f"SCRAM: the server says {shown_line(fields['e'])}")
    if name not in fields:
        raise AuthError(f"SCRAM: the server sent no {name}=")
    return fields[name]


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
