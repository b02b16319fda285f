"""Who may log in: a file of names and salted hashes of passwords.

    name:scrypt:16384:8:1:salt:hash        salt and hash in Base64 (RFC 7914: N, r, p)

one account a line; empty lines and those that begin with # count for nothing. A name may have a
colon in it, as an address never has. `netlab inbox passwd` writes such lines.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

_N, _R, _P, _HASH_BYTES = 16384, 8, 1, 32
#: What a line may ask for: a file of mistakes must not stop the sandbox.
_MAX_COST = 1 << 24


@dataclass(frozen=True)
class Account:
    """What a line says."""

    name: str
    n: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    def fits(self, password: str) -> bool:
        """Whether this is the password; takes about 50 ms on purpose."""
        return hmac.compare_digest(_hash(password, self.salt, self.n, self.r, self.p), self.digest)


#: Checked where a name is unknown, so that time does not tell which names there are.
_NOBODY = Account("", _N, _R, _P, b"nobody", b"")


def line(name: str, password: str, salt: bytes) -> str:
    """The line of an account.

    :raises ValueError: when the name cannot stand in the file.
    """
    if not name or name.startswith("#") or name != name.strip() or not name.isprintable():
        raise ValueError(f"{name!r} cannot be a name: no blanks at its ends, no # first")
    words = (b64encode(one).decode("ascii") for one in (salt, _hash(password, salt, _N, _R, _P)))
    return ":".join([name, "scrypt", str(_N), str(_R), str(_P), *words])


def check(text: str, name: str, password: str) -> bool:
    """Whether a file's text has this account, with this password.

    :raises ValueError: names the first line that is no account.
    """
    accounts = {account.name: account for account in read(text)}
    return accounts.get(name, _NOBODY).fits(password)


def read(text: str) -> Iterator[Account]:
    """The accounts of a file.

    :raises ValueError: names the first line that is none.
    """
    for number, entry in enumerate(text.splitlines(), 1):
        if not entry.strip() or entry.startswith("#"):
            continue
        try:
            name, kind, n, r, p, salt, digest = entry.rsplit(":", 6)
            account = Account(name, int(n), int(r), int(p), b64decode(salt), b64decode(digest))
            right = kind == "scrypt" and name and 0 < account.n * account.r * account.p <= _MAX_COST
            if not right or account.n & (account.n - 1) or account.n < 2:
                raise ValueError
        except ValueError:
            text = f"line {number} is no account; netlab inbox passwd NAME writes one"
            raise ValueError(text) from None
        yield account


def _hash(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=n, r=r, p=p, maxmem=1 << 28, dklen=_HASH_BYTES
    )
