"""How text from outside is shown: nothing in it can end a line, move a cursor or turn a text round.

Used by the log, the chat and the commands alike, so that one table says what is unsafe.
"""

from __future__ import annotations

import json
import re
from typing import Any

#: Control characters but TAB (C0, DEL, C1: ECMA-48), line and paragraph separators, the
#: bidirectional controls (Unicode UAX 9), and lone surrogates.
UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NAMED = {0x0A: "\\n", 0x0D: "\\r"}


def escape(text: str) -> str:
    r"""Show what is unsafe as ``\r``, ``\n``, ``\xNN`` or ``\uNNNN``, the rest as it is."""
    # Nothing unsafe is printable (Unicode categories Cc, Cf, Cs, Zl, Zp), and asking is quicker.
    return text if text.isprintable() else UNSAFE.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code in _NAMED:
        return _NAMED[code]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def json_text(value: Any, indent: int | None = None) -> str:
    """JSON, readable in every script; what is unsafe in a string is ``\\uNNNN``.

    :param indent: None for one line. The only line ends are then those of the layout.
    """
    text = json.dumps(value, ensure_ascii=False, default=str, indent=indent)
    return UNSAFE.sub(lambda m: m[0] if m[0] == "\n" else f"\\u{ord(m[0]):04x}", text)
