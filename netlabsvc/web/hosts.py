"""Which of several sites on one address a request is for (RFC 9110 section 7.2).

Names are compared without case, port and the dot at the end of a name that is fully written out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from netlabsvc import state
from netlabsvc.keys import key

S = TypeVar("S")

_NAME = re.compile(r"\[[0-9a-f:.]+\]|[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PORT = re.compile(rb":[0-9]*\Z")


@dataclass(frozen=True)
class Host:
    """The keys of [web.hosts."a.lab"]."""

    root: str = key("", "directory that is served under this name", read=state.path)


def read_name(text: str) -> str:
    """The name of a host as a configuration writes it, in the spelling that `pick` looks up.

    :raises ValueError: says what would be right.
    """
    name = text.lower().removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ValueError("a name as it stands in a URL, without port: a.lab, 10.0.0.5 or [::1]")
    return name


def pick(sites: Mapping[bytes, S], otherwise: S, authority: bytes) -> S:
    """The site of a Host header or of the authority of an absolute-form.

    :param sites: by `read_name`, as bytes.
    """
    if not sites:
        return otherwise
    return sites.get(_PORT.sub(b"", authority).lower().removesuffix(b"."), otherwise)
