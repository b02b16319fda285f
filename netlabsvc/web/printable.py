"""A body made safe for a terminal: text stays text, control characters become visible.

A server could otherwise move the cursor, change the title or type answers into the shell.
"""

from __future__ import annotations

from netlabsvc.escape import escape
from netlabsvc.web.charset import Decoder

#: Where curl looks for a NUL.
LOOKED_AT_BYTES = 2000


class Printable:
    """Decodes bytes as they come, and escapes what would drive a terminal.

    :ivar decoder: knows what the bytes were found to be.
    """

    def __init__(self, encoding: str | None = None) -> None:
        """:param encoding: None finds out."""
        self.decoder = Decoder(encoding)
        self._return = False

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The next piece of text: a CR before LF is dropped, one elsewhere is shown."""
        text = ("\r" if self._return else "") + self.decoder.decode(data, final)
        self._return = text.endswith("\r") and not final
        if self._return:
            text = text[:-1]
        return "\n".join(map(escape, text.replace("\r\n", "\n").split("\n")))


def binary(start: bytes, encoding: str | None) -> bool:
    """Whether a body that begins so is not for people, as curl judges: it holds a NUL."""
    wide = (encoding or "").startswith("utf-16") or start[:2] in (b"\xff\xfe", b"\xfe\xff")
    return not wide and b"\0" in start[:LOOKED_AT_BYTES]
