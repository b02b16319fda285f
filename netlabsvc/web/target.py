"""What a request asks for: the request target (RFC 9112 section 3.2) and the Host header.

It takes bytes off the wire and knows nothing of directories, files or resources.

    origin-form    /where?q=now
    absolute-form  http://www.example.org/where?q=now
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]+)(.*)")
_HALF_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_UNPRINTABLE = re.compile(rb"[^\x21-\x7e]")
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]*)(:[0-9]*)?")


class BadTarget(ValueError):
    """A request target or Host that no client should have sent; answered with 400."""


@dataclass(frozen=True)
class Target:
    """A request target, percent-decoded and without dot segments."""

    segments: tuple[bytes, ...]
    """The names on the way, none of them empty, "." or ".."; a name may hold any byte but NUL."""
    directory: bool
    """The path ended with a slash."""
    query: bytes
    """As it was sent, with its question mark; empty when there is none."""
    authority: bytes = b""
    """The host and port of an absolute-form, which count in place of Host."""

    @property
    def path(self) -> bytes:
        """The path in one spelling, which starts with exactly one slash: safe in a Location."""
        return join(self.segments, self.directory)


def join(segments: Sequence[bytes], directory: bool) -> bytes:
    """The percent-encoded absolute path of some names."""
    path = "".join("/" + quote(name, safe="") for name in segments)
    return (path + "/" if directory else path).encode("ascii") or b"/"


def parse(target: bytes) -> Target:
    """Read an origin-form or absolute-form.

    Slashes in a row count as one, dot segments are resolved (RFC 3986 section 5.2.4).

    :raises BadTarget: names what is wrong with it.
    """
    if unprintable := _UNPRINTABLE.search(target):
        raise BadTarget(f"the byte 0x{unprintable[0][0]:02x} must be percent-encoded")
    if b"#" in target:
        raise BadTarget("a fragment (#) is not sent to a server")
    authority = b""
    if absolute := _ABSOLUTE.fullmatch(target):
        authority, target = absolute.groups()
        if not target.startswith(b"/"):
            target = b"/" + target
    path, mark, query = target.partition(b"?")
    if not path.startswith(b"/"):
        raise BadTarget("a path starts with a slash")
    segments, directory = _resolve(path)
    return Target(segments, directory, mark + query, authority)


def _resolve(path: bytes) -> tuple[tuple[bytes, ...], bool]:
    if _HALF_ESCAPE.search(path):
        raise BadTarget("a percent sign is followed by two hexadecimal digits")
    names: list[bytes] = []
    parts = [unquote_to_bytes(part) for part in path.split(b"/")]
    for part in parts:
        if b"\0" in part:
            raise BadTarget("no name holds a NUL")
        if part == b"..":
            if not names:
                raise BadTarget("the path leads above the root")
            names.pop()
        elif part not in (b"", b"."):
            names.append(part)
    return tuple(names), not names or parts[-1] in (b"", b".", b"..")


def check_host(values: Sequence[bytes], version: bytes) -> None:
    """Hold the Host headers of a request against RFC 9112 section 3.2.

    :param values: the value of each Host header.
    :param version: ``HTTP/1.0`` or ``HTTP/1.1``.
    :raises BadTarget: more than one, none in HTTP/1.1, or one that is no host and port.
    """
    if len(values) > 1:
        raise BadTarget(f"one Host header, not {len(values)}")
    if not values and version != b"HTTP/1.0":
        raise BadTarget("HTTP/1.1 needs a Host header")
    if values and not _HOST.fullmatch(values[0]):
        raise BadTarget("the Host header names no host and port")
