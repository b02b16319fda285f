"""The AUTH command and what follows it, without sockets: mechanisms in turn (RFC 4954).

    C: AUTH PLAIN AGFkYQBzZWNyZXQ=    with an initial response where there is one
    S: 334 <Base64>                   a challenge
    C: <Base64>                       its answer; a lone * gives up
    S: 235 / 535 / 454 ...            yes; no: the next mechanism; not now

A mechanism that shows the password is not used where others can listen. It says
lines and is told replies; a login that failed is raised.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass, field

from netlabsvc.mail.mechanisms import MECHANISMS, SHOWN, AuthError, Mechanism

#: What need not be hidden: it would be found everywhere.
_MIN_HIDDEN = 4


@dataclass(frozen=True)
class Credentials:
    """Who one is, and what proves it.

    :ivar mechanism: the only one to use; by default the best that is offered.
    :ivar insecure: show the password to whoever listens, if need be.
    """

    user: str
    password: str = field(repr=False)
    mechanism: str | None = None
    insecure: bool = False


class NotLoggedIn(Exception):
    """No mechanism is left, or none could be used; the text says why."""


class BadChallenge(NotLoggedIn):
    """What the server asked is no question of SASL."""


class Login:
    """The attempts at one server, until one succeeds."""

    def __init__(
        self, credentials: Credentials, offered: Sequence[str], *, private: bool, nonce: str
    ) -> None:
        """:param private: whether nobody can listen: TLS, or the loopback.
        :param nonce: printable ASCII without a comma, never used before.
        """
        self._credentials = credentials
        self._nonce = nonce
        self._mechanism: Mechanism | None = None
        #: Why it was given up with ``*``, whatever the server says to that.
        self.given_up: NotLoggedIn | None = None
        self.name = ""
        self._refusals: list[str] = []
        self._secrets = {credentials.password}
        wanted = [credentials.mechanism] if credentials.mechanism else list(MECHANISMS)
        known = [name for name in wanted if name in offered]
        usable = [n for n in known if private or credentials.insecure or n not in SHOWN]
        self._left = usable
        if not known:
            offers = " ".join(offered) or "no AUTH at all"
            self._why = f"the server offers {offers}, none of {' '.join(wanted)}"
        elif not usable:
            self._why = f"{' '.join(known)} would show the password: there is no TLS"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be shown, the longest first."""
        long = (secret for secret in self._secrets if len(secret) >= _MIN_HIDDEN)
        return tuple(sorted(long, key=len, reverse=True))

    def begin(self) -> bytes:
        """The AUTH command of the next mechanism.

        :raises NotLoggedIn: when none is left.
        """
        while self._left:
            self.name = self._left.pop(0)
            user, password = self._credentials.user, self._credentials.password
            try:
                self._mechanism = MECHANISMS[self.name](user, password, self._nonce)
            except AuthError as error:
                self._refusals.append(str(error))
                continue
            initial = self._mechanism.initial
            words = [b"AUTH", self.name.encode()]
            return b" ".join(words if initial is None else [*words, self._encoded(initial)])
        raise NotLoggedIn("; ".join(self._refusals) or self._why)

    def challenged(self, text: bytes) -> bytes:
        """The line that answers a 334."""
        assert self._mechanism is not None
        try:
            return self._encoded(self._mechanism.answer(b64decode(text, validate=True)), b"")
        except Base64Error:
            self.given_up = BadChallenge(f"{self.name}: the 334 of the server is no Base64")
        except AuthError as error:
            self.given_up = NotLoggedIn(str(error))
        return b"*"

    def succeeded(self) -> None:
        """The server said 235.

        :raises NotLoggedIn: when it had to prove something, and did not.
        """
        assert self._mechanism is not None
        try:
            self._mechanism.finish()
        except AuthError as error:
            raise NotLoggedIn(str(error)) from None

    def failed(self, code: int, text: str) -> bytes:
        """The server said no: the next mechanism, unless this one was given up.

        :raises NotLoggedIn: when none is left.
        """
        if self.given_up:
            raise self.given_up
        self._refusals.append(f"{self.name} refused: {code} {text}")
        return self.begin()

    def _encoded(self, response: bytes, empty: bytes = b"=") -> bytes:
        encoded = b64encode(response)
        said = {encoded.decode(), response.decode("utf-8", "replace")}
        self._secrets |= said - {self._credentials.user}
        return encoded or empty
