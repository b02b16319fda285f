"""The request of `netlab get` (RFC 9112 section 3), with the headers that a person wants.

GET target HTTP/1.1 CRLF  Host: ... CRLF  field: value CRLF ...  Connection: close CRLF  CRLF
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from netlabsvc.web.url import Url

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")
#: What tells an origin who asks; another origin must not hear it, nor the name of the first.
_PERSONAL = frozenset({"authorization", "cookie", "host"})


@dataclass(frozen=True)
class Edit:
    """A header as a person wants it.

    :ivar value: None takes the header out of the request.
    """

    name: str
    value: str | None


def edit(text: str) -> Edit:
    """Read ``Name: value``; ``Name:`` takes it out, ``Name;`` sends it empty, as curl has it.

    :raises ValueError: it is no header, or would be more than one.
    """
    name, colon, value = text.partition(":")
    value = value.strip(" \t")
    if not colon and text.endswith(";"):
        name, colon = text[:-1], ";"
    if not colon or not _TOKEN.fullmatch(name):
        raise ValueError(f"{text!r} is no header; write 'Name: value', or 'Name:' to send none")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} holds a control character or half a character")
    return Edit(name, value if value or colon == ";" else None)


@dataclass(frozen=True)
class Request:
    """What is asked, and of whom.

    :ivar headers: of ours, which an edit replaces or takes out.
    """

    url: Url
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    edits: tuple[Edit, ...] = ()

    def encode(self) -> bytes:
        """The bytes of it, for a connection that is closed afterwards."""
        ours = [("Host", self.url.authority), *self.headers, ("Connection", "close")]
        edited = {edit.name.lower() for edit in self.edits}
        fields = [(name, value) for name, value in ours if name.lower() not in edited]
        fields += [(edit.name, edit.value) for edit in self.edits if edit.value is not None]
        fields.sort(key=lambda field: field[0].lower() != "host")  # RFC 9110 7.2: Host first
        lines = [f"{self.method} {self.url.target} HTTP/1.1"]
        lines += [f"{name}: {value}".rstrip(" ") for name, value in fields]
        return "\r\n".join([*lines, "", ""]).encode("utf-8")

    def at(self, url: Url) -> tuple[Request, tuple[str, ...]]:
        """The same request to where it was sent on, and the names of what is not told there."""
        if url.origin == self.url.origin:
            return replace(self, url=url), ()
        kept = tuple(edit for edit in self.edits if edit.name.lower() not in _PERSONAL)
        dropped = [e.name for e in self.edits if e not in kept and e.value is not None]
        return replace(self, url=url, edits=kept), tuple(dropped)
