"""Which form of a representation a request prefers (RFC 9110 section 12).

It is given header values and the forms there are; it knows no file.

    Accept-Encoding: br;q=1.0, gzip;q=0.8, *;q=0.1
    Accept: text/html, application/json;q=0.9
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple


class Coding(NamedTuple):
    """A content coding (RFC 9110 section 8.4.1), and how a file so coded is called."""

    name: bytes
    suffix: bytes


#: Neighbours of a file that hold the same, compressed; of equally welcome ones the first is sent.
CODINGS = (Coding(b"br", b".br"), Coding(b"zstd", b".zst"), Coding(b"gzip", b".gz"))

_QVALUE = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
#: What a header may name at most; who sends more has made it up.
_MOST = 64


def weights(value: bytes) -> dict[bytes, float]:
    """The members of a header such as Accept, in lower case, with their q-values.

    Parameters other than q are left out of consideration; a member whose q is no q-value counts as
    not sent. Of a member that stands there twice the first counts.
    """
    found: dict[bytes, float] = {}
    for name, q in _members(value):
        if name and q is not None:
            found.setdefault(name, q)
    return found


def _members(value: bytes) -> Iterator[tuple[bytes, float | None]]:
    for member in value.lower().split(b",")[:_MOST]:
        name, *parameters = (part.strip(b" \t") for part in member.split(b";"))
        q: float | None = 1.0
        for parameter in parameters:
            key, _, text = parameter.partition(b"=")
            if key.strip() == b"q":
                text = text.strip()
                q = float(text) if _QVALUE.fullmatch(text) else None
        yield name, q


def coding(accept_encoding: bytes | None, there: Collection[Coding]) -> Coding | None:
    """The coding to send of those that are there; None for the file as it is.

    The file as it is also answers who says that nothing at all would do: RFC 9110 section 12.5.3
    prefers that to an error.
    """
    if not accept_encoding or not there:
        return None
    wanted = weights(accept_encoding)
    if b"x-gzip" in wanted:  # an old name of gzip (section 8.4.1.3)
        wanted.setdefault(b"gzip", wanted[b"x-gzip"])
    anything = wanted.get(b"*", 0.0)
    best, best_q = None, 0.0
    for one in CODINGS:
        q = wanted.get(one.name, anything)
        if one in there and q > best_q:
            best, best_q = one, q
    # As good as identity is good enough; what is liked less than it is not sent.
    return best if best_q >= wanted.get(b"identity", 0.0) else None


def prefers_json(accept: bytes | None) -> bool:
    """Whether JSON is named, and HTML is not liked as much."""
    if not accept:
        return False
    wanted = weights(accept)
    anything = wanted.get(b"*/*", 0.0)
    html = wanted.get(b"text/html", wanted.get(b"text/*", anything))
    json = wanted.get(b"application/json", 0.0)
    return json > 0 and (json > html or b"text/html" not in wanted)
