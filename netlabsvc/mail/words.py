"""What of a mail can be searched for, and what a list of mails shows: read once, when it is kept.

Nearly every mail is plain text, and reading it so costs a hundredth of parsing MIME; the others
are parsed as far as `PARSED_BYTES`. Nothing here raises, whatever the message is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netlabsvc.mail import reading

#: Characters of a mail that are searched.
MAX_WORDS = 16384
#: A long attachment in front of the text hides it from the search, not from the reader.
PARSED_BYTES = 1 << 18

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_MIME = re.compile(rb"^content-(?:type|transfer-encoding):", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Words:
    """Of one message.

    :ivar subject: decoded, safe to show; so is the author, which is the header From.
    :ivar text: what can be searched of all of it.
    """

    subject: str
    author: str
    text: str


def of(data: bytes) -> Words:
    """Read a message."""
    end = _END_OF_HEAD.search(data, 0, reading.HEAD_BYTES)
    head = data[: end.start() if end else reading.HEAD_BYTES]
    if _MIME.search(head):
        text = reading.readable(data[:PARSED_BYTES]).partition("\n\n")[2]  # without its headers
    else:
        body = data[end.end() :] if end else b""
        text = body[:MAX_WORDS].decode("utf-8", "replace")
    subject, author = reading.header(head, b"subject"), reading.header(head, b"from")
    return Words(subject, author, text[:MAX_WORDS])


def folded(*texts: str) -> str:
    """Texts as one that can be searched: upper and lower case are the same in it."""
    return "\n".join(texts).casefold()


def wanted(search: str) -> list[str]:
    """The words of a search; all of them must occur, in any place."""
    return search.casefold().split()
