"""Whether a request's conditions hold (RFC 9110 section 13), and HTTP dates (section 5.6.7).

It is given header values and validators; it knows no file and no clock.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from time import gmtime

#: The value of a request header by its name, the lines joined by commas; None when not sent.
Header = Callable[[bytes], bytes | None]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CLOCK = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
_DAY = "[A-Z][a-z]+"
_MONTH = "(?P<mon>[A-Z][a-z]{2})"
_DATES = [
    re.compile(text.encode("ascii"))
    for text in (
        rf"{_DAY}, (?P<d>\d\d) {_MONTH} (?P<y>\d{{4}}) {_CLOCK} GMT",  # IMF-fixdate
        rf"{_DAY}, (?P<d>\d\d)-{_MONTH}-(?P<y>\d\d) {_CLOCK} GMT",  # RFC 850
        rf"{_DAY} {_MONTH} (?P<d>[ \d]\d) {_CLOCK} (?P<y>\d{{4}})",  # asctime
    )
]
_ETAG = re.compile(rb'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def http_date(seconds: float) -> bytes:
    """A time as IMF-fixdate: ``Sun, 06 Nov 1994 08:49:37 GMT``."""
    t = gmtime(seconds)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    clock = f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02}"
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year:04} {clock} GMT".encode("ascii")


def from_http_date(text: bytes) -> int | None:
    """Seconds since the epoch of any of the three forms of a date; None for anything else."""
    for form in _DATES:
        if found := form.fullmatch(text):
            break
    else:
        return None
    month = found["mon"].decode("ascii")
    if month not in _MONTHS:
        return None
    year = int(found["y"])
    if len(found["y"]) == 2:
        year += 1900 if year >= 70 else 2000
    day, hour, minute, second = (int(found[name]) for name in ("d", "h", "m", "s"))
    if not (1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year):
        return None
    return timegm((year, _MONTHS.index(month) + 1, day, hour, minute, second))


@dataclass(frozen=True)
class Validators:
    """What tells one state of a representation from another (RFC 9110 section 8.8)."""

    etag: bytes
    """A strong entity tag, with its quotes."""
    modified_s: int

    def is_named_by(self, tags: bytes, *, weak: bool) -> bool:
        """Whether a list of entity tags names this state; "*" names every one."""
        if tags.strip() == b"*":
            return True
        return any(tag == self.etag and (weak or not w) for w, tag in _ETAG.findall(tags))

    def unmodified_since(self, date: bytes) -> bool | None:
        """Whether this state is no younger than a date; None for what is no date."""
        seconds = from_http_date(date)
        return None if seconds is None else self.modified_s <= seconds


class Outcome(Enum):
    PROCEED = 200
    NOT_MODIFIED = 304
    FAILED = 412


def evaluate(header: Header, now: Validators) -> Outcome:
    """The conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2."""
    if (tags := header(b"If-Match")) is not None:
        if not now.is_named_by(tags, weak=False):
            return Outcome.FAILED
    elif (date := header(b"If-Unmodified-Since")) and now.unmodified_since(date) is False:
        return Outcome.FAILED
    if (tags := header(b"If-None-Match")) is not None:
        return Outcome.NOT_MODIFIED if now.is_named_by(tags, weak=True) else Outcome.PROCEED
    if (date := header(b"If-Modified-Since")) and now.unmodified_since(date):
        return Outcome.NOT_MODIFIED
    return Outcome.PROCEED


def range_applies(if_range: bytes | None, now: Validators, now_s: int) -> bool:
    """Whether a Range may be answered in part (RFC 9110 section 13.1.5).

    A date is no strong validator within the second that it names, in which the file may have
    changed twice (section 8.8.2.2).

    :param now_s: the time of the request.
    """
    if if_range is None:
        return True
    if if_range.startswith((b'"', b"W/")):
        return now.is_named_by(if_range, weak=False)
    return from_http_date(if_range) == now.modified_s < now_s
