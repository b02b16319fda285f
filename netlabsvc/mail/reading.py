"""What a message says, for people: decoded, safe to show, and never trusted.

A mail that breaks every rule is read as well: whatever cannot be decoded is shown as it came.
Nothing of it raises, and nothing of it is repaired in the store, which has the bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.policy import Compat32

from netlabsvc.mail.text import shown, shown_line

#: Headers end long before this many bytes, or nobody needs the rest of them.
HEAD_BYTES = 16384
#: Encoded words beside each other, with a few question marks that should have been encoded, too.
#: `decode_header` gets nothing else: for each beginning of a word it looks for an end as far as the
#: value goes, which takes seconds where a hostile one is full of beginnings.
_WORD = r"=\?[^?]{0,80}\?[bqBQ]\?[^?]*(?:\?(?!=)[^?]*){0,8}\?="
_WORDS = re.compile(rf"{_WORD}(?:[ ]?{_WORD})*")


class _AsTheyCame(Compat32):
    """Gives header values unparsed; bytes beyond ASCII are in them as surrogates (PEP 383)."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


PARSER = BytesParser(policy=_AsTheyCame())


def header(head: bytes, name: bytes) -> str:
    """The first header of a name (in lower case), decoded and as one line; "" without one.

    :param head: the headers, without the blank line behind them.
    """
    field = re.search(rb"(?im)^" + name + rb"[ \t]*:((?:[^\n]|\n[ \t])*)", head)
    return decoded_header(field[1].decode("utf-8", "surrogateescape")) if field else ""


def readable(data: bytes) -> str:
    """The headers and the texts of a message; other parts by their type and size."""
    try:
        message = PARSER.parsebytes(data)
        headers = [
            f"{shown_line(name)}: {decoded_header(value)}" for name, value in message.items()
        ]
        return "\n".join([*headers, "", *_texts(message)])
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        # email.parser has no list of what it raises for a hostile message.
        return shown(data.decode("utf-8", "backslashreplace").replace("\r\n", "\n"))


def decoded_header(value: str) -> str:
    """A header's text: encoded words decoded (RFC 2047), folded lines joined."""
    raw = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    unfolded = " ".join(raw.split())
    head, rest = unfolded[:HEAD_BYTES], unfolded[HEAD_BYTES:]
    return shown_line(_WORDS.sub(_decoded_words, head) + rest)


def _decoded_words(match: re.Match[str]) -> str:
    try:
        return "".join(_word(word, charset) for word, charset in decode_header(match[0]))
    except (HeaderParseError, ValueError):
        return match[0]


def _word(word: bytes | str, charset: str | None) -> str:
    if isinstance(word, str):
        return word
    # Beside an encoded word, decode_header encodes the plain ones in this way.
    return decoded(word, charset or "raw-unicode-escape")


def _texts(message: Message) -> Iterator[str]:
    for part in message.walk():
        if part.is_multipart():
            continue
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        if part.get_content_maintype() == "text":
            text = decoded(content, part.get_content_charset())
            yield shown(text.replace("\r\n", "\n"))
        else:
            yield f"[{shown_line(part.get_content_type())}, {len(content)} bytes]"


def decoded(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "utf-8")
    except (ValueError, LookupError):
        return data.decode("utf-8", "backslashreplace")
