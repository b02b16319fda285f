"""The URL that a person typed or a server named (RFC 3986). It resolves and sends nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin

from netlabsvc.web.failure import Failed, Status

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:]+)(?::([0-9]*))?")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f]")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Malformed(Failed):
    """No URL; the message says what is missing."""

    def __init__(self, why: str) -> None:
        super().__init__(Status.URL_MALFORMAT, why)


class UnknownScheme(Failed):
    """A URL of something that is not fetched here."""

    def __init__(self, why: str) -> None:
        super().__init__(Status.UNSUPPORTED_PROTOCOL, why)


@dataclass(frozen=True)
class Url:
    """Where to connect, and what to ask for there."""

    scheme: str
    host: str
    """A name in ASCII or an address, without brackets."""
    port: int
    target: str
    """Path and query in ASCII, starting with a slash."""

    @property
    def authority(self) -> str:
        """Host and port for people and for the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who is asked (RFC 6454): what was said to one origin is not for another."""
        return self.scheme, self.host.lower(), self.port

    def join(self, reference: str) -> Url:
        """The URL that a reference means here (RFC 3986 section 5).

        :raises Malformed: it means none.
        :raises UnknownScheme: it means something that is not fetched here.
        """
        reference = reference.strip(" \t")
        try:
            joined = reference if _SCHEME.match(reference) else urljoin(str(self), reference)
        except ValueError as error:
            raise Malformed(f"{reference!r} is no URL: {error}") from None
        return parse(joined.replace(" ", "%20"))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(text: str) -> Url:
    """Read ``http://host:port/path?query``; without a scheme it is http.

    :raises Malformed: it names no host, or a port that is none, or holds what no URL may.
    :raises UnknownScheme: neither http nor https.
    """
    if _FORBIDDEN.search(text):
        raise Malformed(f"{text!r} holds a space or a control character; write %20 for a space")
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else "http"
    if scheme not in DEFAULT_PORTS:
        raise UnknownScheme(f"{scheme!r} is not supported; http and https are")
    rest = (text[found.end() :] if found else text).partition("#")[0]
    authority = re.split("[/?]", rest, maxsplit=1)[0]
    target = rest[len(authority) :]
    if "@" in authority:
        raise Malformed(f"{text!r} holds a user name; say who you are with -H 'Authorization: ...'")
    parts = _AUTHORITY.fullmatch(authority)
    if not parts:
        raise Malformed(f"{text!r} names no host; write http://HOST:PORT/PATH")
    digits = parts[2] or str(DEFAULT_PORTS[scheme])
    if len(digits) > 5 or not 0 < int(digits) < 65536:
        raise Malformed(f"{digits} is no port; ports are 1 to 65535")
    path = target if target.startswith("/") else "/" + target
    host = _ascii(parts[1].strip("[]"))
    # Bytes that are no UTF-8 go out as they came: a server's Location, a shell's argument.
    target = quote(path, safe="%!$&'()*+,;=:@/?-._~", errors="surrogateescape")
    return Url(scheme, host, int(digits), target)


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise Malformed(f"{host!r} is no name of a host") from None
