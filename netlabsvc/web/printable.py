"""A body made safe for a terminal: text stays text, control characters become visible.

A server could otherwise move the cursor, change the title or type answers into the shell.
"""

from __future__ import annotations

import codecs
import re

from netlabsvc.escape import escape

_CHARSET = re.compile(rb";\s*charset=\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)

# Python knows more codecs, some of which are no charsets, or fail where these replace.
_KNOWN = re.compile(
    r"utf-8|utf-16(le|be)?|us-ascii|iso-8859-(1|2|3|4|5|6|7|8|10|13|14|15|16)|windows-125[0-8]"
    r"|gbk|gb2312|gb18030|big5|shift_jis|euc-(jp|kr)|koi8-[ru]"
)


class Printable:
    """Decodes bytes as they come, and escapes what would drive a terminal."""

    def __init__(self, charset: str = "utf-8") -> None:
        self._decoder = codecs.getincrementaldecoder(charset)(errors="replace")
        self._return = False

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The next piece of text: a CR before LF is dropped, one elsewhere is shown."""
        text = ("\r" if self._return else "") + self._decoder.decode(data, final)
        self._return = text.endswith("\r") and not final
        if self._return:
            text = text[:-1]
        return "\n".join(map(escape, text.replace("\r\n", "\n").split("\n")))


def charset(content_type: bytes) -> str:
    """The charset that a Content-Type names, where it is one of the Web's; else UTF-8."""
    found = _CHARSET.search(content_type)
    name = found[1].decode("ascii").lower() if found else ""
    return name if _KNOWN.fullmatch(name) else "utf-8"
