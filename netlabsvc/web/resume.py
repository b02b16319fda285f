"""How a download that broke off is gone on with, without mixing two versions of a file.

A note beside the partial file says of which version it is: JSON with the URL and the validator that
goes into If-Range (RFC 9110 section 13.1.5). It is there only while the file is partial. A time of
the file would not do: a program that wrote a part of it sets it, too. Nor would an extended
attribute: not every file system has them, and nobody sees them.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.response import Head

_STRONG = re.compile(r'"[\x21\x23-\x7e]*"')
_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT")
_RANGE = re.compile(rb"bytes +(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_UNSATISFIED = re.compile(rb"bytes +\*/(\d{1,18})")


@dataclass(frozen=True)
class Note:
    """Which version of what a partial file holds."""

    url: str
    validator: str
    """A strong ETag, or a Last-Modified that is as good."""

    def encode(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"

    def headers(self, size: int) -> tuple[tuple[str, str], ...]:
        """What asks for the rest of a file of so many bytes, if it has not changed."""
        return (("Range", f"bytes={size}-"), ("If-Range", self.validator))


class Rest(Enum):
    """What a response to such a request holds."""

    FOLLOWS = "the bytes that are missing"
    ANEW = "the whole, since it has changed or the server sends no parts"
    COMPLETE = "nothing, since nothing is missing"


def note(url: str, head: Head) -> Note | None:
    """The note on a response; None where the server names nothing that If-Range may hold."""
    for tag in head.texts(b"etag"):
        if _STRONG.fullmatch(tag):
            return Note(url, tag)
    modified, date = head.texts(b"last-modified"), head.texts(b"date")
    # RFC 9110 section 8.8.2.2: in the second of its change a file may have changed twice.
    if modified and date and all(map(_DATE.fullmatch, (modified[0], date[0]))):
        try:
            settled = parsedate_to_datetime(date[0]) > parsedate_to_datetime(modified[0])
        except ValueError:
            return None
        return Note(url, modified[0]) if settled else None
    return None


def read(text: str, url: str) -> Note | None:
    """The note in a file; None if it is none, or on another URL."""
    try:
        found = Note(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return None
    good = isinstance(found.validator, str) and found.url == url
    if good and (_STRONG.fullmatch(found.validator) or _DATE.fullmatch(found.validator)):
        return found
    return None


def rest(head: Head, known: Note, size: int) -> Rest:
    """What a response to `Note.headers` means for the file of so many bytes.

    :raises Failed: an error, or a part that does not fit; the file should stay as it is.
    """
    if head.status == 200:
        return Rest.ANEW
    ranges = b"".join(head.values(b"content-range"))
    if head.status == 416:
        whole = _UNSATISFIED.fullmatch(ranges)
        if whole and int(whole[1]) == size:
            return Rest.COMPLETE
        raise _unfit(f"416: the server's file is not longer than ours ({size} bytes)")
    if head.status != 206:
        raise _unfit(f"{head.status} instead of the rest")
    part = _RANGE.fullmatch(ranges)
    if not part or int(part[1]) != size:
        raise _unfit(f"a part that does not begin at {size}: Content-Range {ranges[:60]!r}")
    tags = head.texts(b"etag")
    if known.validator.startswith('"') and tags and tags[0] != known.validator:
        raise _unfit(f"a part of another version: ETag {tags[0][:60]!r}")
    return Rest.FOLLOWS


def _unfit(what: str) -> Failed:
    return Failed(
        Status.RANGE_ERROR, f"{what}; the file stays as it is, without -C it is fetched anew"
    )
