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
from functools import lru_cache
from time import gmtime
from typing import Any, NamedTuple

from netlabsvc.escape import json_text
from netlabsvc.times import rfc3339

FORMS = ("combined", "json", "off")

_UNSAFE = re.compile(r'["\\]|[^\x20-\x7e]')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Visit(NamedTuple):
    """What there is to tell of an answer.

    :ivar host: the address of the peer; "" for a Unix socket's.
    :ivar line: the request line as it was sent; empty where none was read.
    :ivar body_bytes: of the answer, as many as were handed to the kernel.
    :ivar cut: the connection ended before the answer did.
    :ivar why: in a sentence, where the connection was refused.
    """

    host: str
    port: int
    time_s: float
    line: bytes
    status: int
    body_bytes: int
    referrer: bytes | None = None
    agent: bytes | None = None
    cut: bool = False
    why: str = ""


def combined(visit: Visit) -> str:
    """The visit as a line of the Combined Log Format."""
    size = visit.body_bytes or "-"
    return (
        f"{visit.host or '-'} - - {_stamp(int(visit.time_s))} "
        f'"{_quoted(visit.line)}" {visit.status} {size} '
        f'"{_quoted(visit.referrer)}" "{_quoted(visit.agent)}"'
    )


def fields(visit: Visit) -> dict[str, Any]:
    """The visit as an object for machines."""
    method, _, rest = visit.line.decode("latin-1").partition(" ")
    target, _, protocol = rest.rpartition(" ")
    told: dict[str, Any] = {
        "ts": rfc3339(visit.time_s),
        "peer": visit.host,
        "port": visit.port,
        "method": method,
        "target": target or rest,
        "protocol": protocol if target else "",
        "status": visit.status,
        "bytes": visit.body_bytes,
        "referrer": _text(visit.referrer),
        "user_agent": _text(visit.agent),
    }
    if visit.cut:
        told["cut"] = True
    if visit.why:
        told["why"] = visit.why
    return told


def line(form: str, visit: Visit) -> str:
    """A visit in one of the forms."""
    return json_text(fields(visit)) if form == "json" else combined(visit)


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

    def add(self, visit: Visit) -> None:
        if self.form == "off":
            return
        if not self._visits:
            self._later(self.flush)
        self._visits.append(visit)

    def flush(self) -> None:
        """Hand on what there is: in the next turn, and at the end."""
        visits, self._visits = self._visits, []
        if visits:
            self._write(self.form, [line(self.form, visit) for visit in visits])


@lru_cache(maxsize=4)
def _stamp(second: int) -> str:
    t = gmtime(second)
    day = f"{t.tm_mday:02}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year:04}"
    return f"[{day}:{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} +0000]"


def _quoted(value: bytes | None) -> str:
    if not value:
        return "-"
    return _seen(value) if len(value) <= 256 else _safe(value)


def _safe(value: bytes) -> str:
    return _UNSAFE.sub(_visible, value.decode("latin-1"))


#: The same lines and programs come again and again.
_seen = lru_cache(maxsize=1024)(_safe)


def _visible(match: re.Match[str]) -> str:
    found = match[0]
    return f"\\{found}" if found in '"\\' else f"\\x{ord(found):02x}"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")
