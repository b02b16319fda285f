"""The access log: a line for each request, in the Combined Log Format or as JSON.

    192.0.2.1 - - [20/Nov/2026:13:03:07 +0000] "GET /a HTTP/1.1" 200 1234 "referrer" "agent"

The format is that of Apache's mod_log_config. What a peer sent cannot end a line or a field: a
quote and a backslash get a backslash before them, control characters and all bytes outside ASCII
are written as their two hexadecimal digits. What never became a request has "-" for its line.

Nothing here writes: lines are collected, and go on together once in a turn of the reactor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from time import gmtime
from typing import Any, NamedTuple

from netlabsvc.escape import json_text
from netlabsvc.times import rfc3339

FORMS = ("combined", "json", "off")

#: A longer text is made anew each time: what is known of an answer takes a bounded place.
MOST_KEPT = 1024
_UNSAFE = re.compile(r'["\\]|[^\x20-\x7e]')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(slots=True)
class Told:
    """What there is to tell of an answer, whoever got it.

    :ivar method: b"" where no request was read, as is `line`.
    :ivar line: the request line as it was sent.
    :ivar body_bytes: of the answer, as many as were handed to the kernel.
    :ivar cut: the connection ended before the answer did.
    :ivar why: in a sentence, where the connection was refused.
    """

    method: bytes
    line: bytes
    status: int
    body_bytes: int
    referrer: bytes | None = None
    agent: bytes | None = None
    cut: bool = False
    why: str = ""
    _text: str = field(default="", init=False, repr=False, compare=False)

    def text(self) -> str:
        """Its part of a line of the Combined Log Format, kept if short: most are told often."""
        if self._text:
            return self._text
        line, referrer, agent = map(_quoted, (self.line, self.referrer, self.agent))
        text = f'"{line}" {self.status} {self.body_bytes or "-"} "{referrer}" "{agent}"'
        if len(text) <= MOST_KEPT:
            self._text = text
        return text


class Who(NamedTuple):
    """A peer: its address, "" for that of a Unix socket, and its port."""

    host: str
    port: int


def who(peer: Any) -> Who:
    """The peer with a transport's address; one of IPv4 that is mapped into IPv6 is of IPv4."""
    host: str = getattr(peer, "host", "")
    return Who(host.removeprefix("::ffff:") if "." in host else host, getattr(peer, "port", 0))


class Visit(NamedTuple):
    """An answer that a peer got."""

    who: Who
    time_s: float
    told: Told


def combined(visit: Visit) -> str:
    """The visit as a line of the Combined Log Format."""
    (host, _), time_s, told = visit
    return f"{host or '-'} - - {_stamp(int(time_s))} {told.text()}"


def fields(visit: Visit) -> dict[str, Any]:
    """The visit as an object for machines."""
    told = visit.told
    method, _, rest = told.line.decode("latin-1").partition(" ")
    target, _, protocol = rest.rpartition(" ")
    found: dict[str, Any] = {
        "ts": rfc3339(visit.time_s),
        "peer": visit.who.host,
        "port": visit.who.port,
        "method": method,
        "target": target or rest,
        "protocol": protocol if target else "",
        "status": told.status,
        "bytes": told.body_bytes,
        "referrer": _text(told.referrer),
        "user_agent": _text(told.agent),
    }
    if told.cut:
        found["cut"] = True
    if told.why:
        found["why"] = told.why
    return found


def line_of_json(visit: Visit) -> str:
    """The visit as a line of JSON."""
    return json_text(fields(visit))


class Log:
    """Collects visits and hands them on.

    :ivar form: one of `FORMS`.
    """

    def __init__(
        self,
        form: str,
        later: Callable[[Callable[[], None]], object],
        write: Callable[[str, Sequence[str]], object],
    ) -> None:
        """:param later: calls a function in the next turn of the reactor.
        :param write: gets the form and the lines of a turn.
        """
        self.form = form
        self._later = later
        self._write = write
        self._visits: list[Visit] = []

    def add(self, who: Who, time_s: float, told: Told) -> None:
        if self.form == "off":
            return
        if not self._visits:
            self._later(self.flush)
        self._visits.append(Visit(who, time_s, told))

    def flush(self) -> None:
        """Hand on what there is: in the next turn, and at the end."""
        visits, self._visits = self._visits, []
        if visits:
            write = combined if self.form == "combined" else line_of_json
            self._write(self.form, list(map(write, visits)))


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    t = gmtime(second)
    day = f"{t.tm_mday:02}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year:04}"
    return f"[{day}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000]"


def _quoted(value: bytes | None) -> str:
    return _UNSAFE.sub(_visible, value.decode("latin-1")) if value else "-"


def _visible(match: re.Match[str]) -> str:
    found = match[0]
    return f"\\{found}" if found in '"\\' else f"\\x{ord(found):02x}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
