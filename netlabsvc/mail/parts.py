"""A message as people take it apart: its headers, its text, its HTML, what is attached (MIME).

                     bound
    parsed           16 MiB, 300 000 lines; what is behind them is not read
    multiparts       40; a mail with more is shown as it came: each makes every line dearer
    depth            20 levels; a part on the last one is shown as it came
    parts            200; what is behind them is not shown
    headers          200, of 2048 characters each
    text, HTML       1 MiB each of what is shown

RFC 2045, 2046, 2183. Hostile messages neither raise nor take long; nothing is trusted: a type is a
claim, a file name is text to show.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from itertools import islice

from netlabsvc.mail import reading
from netlabsvc.mail.languages import Both
from netlabsvc.mail.text import shown, shown_line

MAX_BYTES = 16 << 20
MAX_LINES = 300_000
MAX_MULTIPARTS = 40
MAX_DEPTH = 20
MAX_PARTS = 200
MAX_HEADERS = 200
#: To decode a header may take time in the square of its length.
MAX_HEADER = 2048
MAX_SHOWN = 1 << 20

_NAME_CHARACTERS = re.compile(r"[^\w.()+ -]")
#: A CR alone ends a line as well: that is how the parser of the standard library reads.
_LINE_END = re.compile(rb"\r\n?|\n")
# The literal in front makes the search quick: re lets no other thread run meanwhile.
_MULTIPART = re.compile(rb"\n(?i:content-type)[ \t]*+:\s*+(?i:multipart/)")
_NO_MIME = Both(
    "No MIME parser could take it apart: shown as it came.", "无法按 MIME 解析：按原样显示。"
)
_LONG = Both("It is too long: only its start is taken apart.", "邮件太长：只解析了开头部分。")
_MANY = Both(f"Only the first {MAX_PARTS} parts are shown.", f"只显示前 {MAX_PARTS} 个部分。")
_DEEP = Both(f"Only {MAX_DEPTH} levels are taken apart.", f"只解析 {MAX_DEPTH} 层嵌套。")


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the tree.

    :ivar place: its number among the leaves, from 0, which its address in the inbox holds.
    :ivar kind: the media type that it claims.
    :ivar name: the file name it claims, safe to show, "" without one.
    """

    place: int
    kind: str
    name: str
    attached: bool
    data: bytes
    charset: str = ""
    content_id: str = ""

    @property
    def text(self) -> str:
        """What it says, where it is text."""
        return reading.decoded(self.data[: 4 * MAX_SHOWN], self.charset)[:MAX_SHOWN]

    @property
    def file_name(self) -> str:
        """A name that is safe on any disk and in a Content-Disposition."""
        bare = self.name.replace("\\", "/").rpartition("/")[2]
        safe = _NAME_CHARACTERS.sub("_", bare).strip(". ")[:120]
        return safe or f"part-{self.place}.bin"


@dataclass(frozen=True, slots=True)
class Parts:
    """A whole message, taken apart.

    :ivar cut: why not all of it is here, one sentence; None when it is.
    """

    headers: tuple[tuple[str, str], ...] = ()
    leaves: tuple[Part, ...] = ()
    tree: tuple[tuple[int, str], ...] = ()
    cut: Both | None = None

    @property
    def text(self) -> str | None:
        """The plain texts that are not attached, one behind the other; None without any."""
        texts = [one.text for one in self.leaves if one.kind == "text/plain" and not one.attached]
        return shown("\n".join(texts)[:MAX_SHOWN].replace("\r\n", "\n")) if texts else None

    @property
    def html(self) -> Part | None:
        """The first part that is HTML and not attached."""
        wanted = (one for one in self.leaves if one.kind == "text/html" and not one.attached)
        return next(wanted, None)

    @property
    def attachments(self) -> tuple[Part, ...]:
        """Every leaf that is not shown as the mail's text."""
        body = ("text/plain", "text/html")
        return tuple(one for one in self.leaves if one.attached or one.kind not in body)

    def values(self, name: str) -> tuple[str, ...]:
        """The values of a header, decoded, in the order of the message."""
        return tuple(value for key, value in self.headers if key.lower() == name.lower())


def taken_apart(data: bytes) -> Parts:
    """The parts of a message, or the whole of it as one text where it cannot be taken apart."""
    start = _start(data)
    if multiparts(start) > MAX_MULTIPARTS:
        return _whole(
            data,
            Both(
                f"More than {MAX_MULTIPARTS} multiparts: shown as it came.",
                f"multipart 超过 {MAX_MULTIPARTS} 个：按原样显示。",
            ),
        )
    try:
        return _Reader().read(reading.PARSER.parsebytes(start), len(start) < len(data))
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        # email.parser has no list of what it raises for a hostile message.
        return _whole(data, _NO_MIME)


def multiparts(data: bytes) -> int:
    """How many multiparts a message may hold; each makes every line of it dearer to parse."""
    return len(_MULTIPART.findall(b"\n" + data.replace(b"\r", b"\n")))


def _start(data: bytes) -> bytes:
    """As much of a message as is parsed."""
    start = data[:MAX_BYTES]
    if start.count(b"\n") + start.count(b"\r") <= MAX_LINES:
        return start
    ends = islice(_LINE_END.finditer(start), MAX_LINES - 1, None)
    last = next(ends, None)
    return start[: last.end()] if last else start


class _Reader:
    """Walks one tree, within the bounds."""

    def __init__(self) -> None:
        self._leaves: list[Part] = []
        self._tree: list[tuple[int, str]] = []
        self._cut: Both | None = None

    def read(self, message: Message, longer: bool) -> Parts:
        headers = tuple(
            (shown_line(name), reading.decoded_header(value[:MAX_HEADER]))
            for name, value in message.items()[:MAX_HEADERS]
        )
        self._walk(message)
        if longer:
            self._cut = _LONG
        return Parts(headers, tuple(self._leaves), tuple(self._tree), self._cut)

    def _walk(self, message: Message) -> None:
        """Without recursion: the depth is the sender's choice."""
        waiting = [(0, message)]
        while waiting:
            depth, part = waiting.pop()
            if len(self._tree) >= MAX_PARTS:
                self._cut = _MANY
                return
            self._tree.append((depth, shown_line(part.get_content_type())))
            children = part.get_payload() if part.is_multipart() else None
            if isinstance(children, list) and depth < MAX_DEPTH:
                waiting += [
                    (depth + 1, one) for one in reversed(children) if isinstance(one, Message)
                ]
            else:
                self._leaves.append(_leaf(len(self._leaves), part))
                if children is not None:
                    self._cut = _DEEP


def _leaf(place: int, part: Message) -> Part:
    payload = _safely(lambda: part.get_payload(decode=True))
    if part.is_multipart():
        payload = _safely(part.as_bytes)
    return Part(
        place,
        shown_line(part.get_content_type()),
        _file_name(part),
        part.get_content_disposition() == "attachment",
        payload if isinstance(payload, bytes) else b"",
        shown_line(str(_safely(part.get_content_charset) or "")),
        shown_line(str(part.get("Content-ID", ""))).strip("<> "),
    )


def _file_name(part: Message) -> str:
    name = _safely(part.get_filename)
    return reading.decoded_header(str(name)[:MAX_HEADER])[:255] if name else ""


def _safely(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None


def _whole(data: bytes, why: Both) -> Parts:
    return Parts((), (Part(0, "text/plain", "", False, data),), ((0, "text/plain"),), why)
