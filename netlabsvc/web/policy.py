"""What the configuration adds to answers: headers of one's own, caching, HSTS, CORS.

It knows names and values; who is asked for what, and over what, is told to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Headers = list[tuple[bytes, bytes]]

#: The rest of the names, in `cache_control`.
ANY = "*"
#: What a preflight allows a page to go on asking without asking again (the Fetch Standard).
PREFLIGHT_S = 600

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_EXTENSION = re.compile(r"[a-z0-9_+-]+")
_ELSEWHERE = {
    "cache-control": "cache_control says it, by extension",
    "strict-transport-security": "hsts says it",
    "access-control-allow-origin": "cors says it",
}
#: What the server says itself, by facts that no configuration knows.
_OURS = frozenset(
    """
    accept-ranges age allow connection content-encoding content-length content-range content-type
    date etag keep-alive last-modified location proxy-authenticate retry-after server te trailer
    transfer-encoding upgrade vary x-content-type-options
    """.split()  # noqa: SIM905 - words are easier to read than quotes
)


@dataclass(frozen=True)
class Policy:
    """What is added.

    :ivar headers: to every answer, errors and refusals too.
    :ivar cache_control: by the extension of a file's name; `ANY` for the rest.
    :ivar hsts_s: for so long a browser uses TLS only; said over TLS alone (RFC 6797 section 7.2).
    :ivar cors: pages from everywhere may read the files.
    """

    headers: tuple[tuple[bytes, bytes], ...] = ()
    cache_control: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    hsts_s: int | None = None
    cors: bool = False

    def everywhere(self, *, secure: bool) -> Headers:
        """What every answer carries."""
        if secure and self.hsts_s is not None:
            hsts = (b"Strict-Transport-Security", b"max-age=%d" % self.hsts_s)
            return [*self.headers, hsts]
        return list(self.headers)

    def caching(self, name: bytes) -> bytes | None:
        """The Cache-Control of a file."""
        rules = self.cache_control
        if not rules:
            return None
        extension = name.rpartition(b".")[2].lower().decode("latin-1") if b"." in name else ANY
        rule = rules.get(extension, rules.get(ANY))
        return rule.encode("ascii") if rule else None

    def sharing(self) -> Headers:
        """What the answers of the files carry, so that a page from elsewhere may read them."""
        if not self.cors:
            return []
        exposed = b"Accept-Ranges, Content-Encoding, Content-Range, ETag"
        return [
            (b"Access-Control-Allow-Origin", b"*"),
            (b"Access-Control-Expose-Headers", exposed),
        ]

    def preflight(self, asked_headers: bytes | None) -> Headers:
        """What OPTIONS adds to that: the methods, and the headers that were asked for.

        :param asked_headers: of Access-Control-Request-Headers.
        """
        if not self.cors:
            return []
        added = [
            (b"Access-Control-Allow-Methods", b"GET, HEAD, OPTIONS"),
            (b"Access-Control-Max-Age", b"%d" % PREFLIGHT_S),
        ]
        names = [name.strip() for name in (asked_headers or b"").split(b",")]
        asked = [name for name in names if _TOKEN.fullmatch(name.decode("latin-1"))]
        if asked:
            added.append((b"Access-Control-Allow-Headers", b", ".join(asked)))
        return added


def read_headers(raw: object) -> tuple[str, ...]:
    """Headers of a configuration: a list of ``Name: value``, or a text with one in each line.

    :raises ValueError: names the one that cannot be, and why.
    """
    lines = raw.splitlines() if isinstance(raw, str) else raw
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError('takes a list of texts, such as ["X-Lab: 12"]')
    for line in lines:
        _check_header(line)
    return tuple(lines)


def _check_header(line: str) -> None:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value.strip()):
        raise ValueError(f'"{line}" is no header; one is "X-Lab: 12", in ASCII')
    known = name.lower()
    if known in _ELSEWHERE:
        raise ValueError(f"{name} does not stand here; {_ELSEWHERE[known]}")
    if known in _OURS:
        raise ValueError(f"{name} is set by the server itself; leave it out")


def headers(lines: Iterable[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Names and values of what `read_headers` has let pass."""
    parts = (line.partition(":") for line in lines)
    return tuple((n.encode("ascii"), v.strip().encode("ascii")) for n, _, v in parts)


def read_extension(text: str) -> str:
    """:raises ValueError: says what would be right."""
    if text != ANY and not _EXTENSION.fullmatch(text.lower()):
        raise ValueError('an extension without its dot, such as css, or "*" for the rest')
    return text.lower()


def read_directives(raw: object) -> str:
    """The value of a Cache-Control.

    :raises ValueError: says what would be right.
    """
    if not isinstance(raw, str) or not _VALUE.fullmatch(raw):
        raise ValueError('takes what Cache-Control may say, such as "max-age=3600" or "no-cache"')
    return raw


def read_prefix(raw: object) -> str:
    """A path that begins with a slash and does not end in one; "/" alone is none.

    :raises ValueError: says what would be right.
    """
    if raw in ("", "/"):
        return ""
    if not isinstance(raw, str) or not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+/?", raw):
        raise ValueError('takes a path such as "/lab", of letters, digits and - . _ ~')
    names = raw.strip("/").split("/")
    if {".", ".."} & set(names):
        raise ValueError('takes a path without "." and ".."')
    return "/" + "/".join(names)
