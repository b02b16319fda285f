"""Bytes to text and back: encodings, control characters, names.

What a client sends is cut into lines on bytes before it comes here: 0x0A and 0x0D are no second
byte of any GBK character. Facts on UTF-8 against GBK were measured over the common characters:
a text that is no valid UTF-8 is no UTF-8 for certain, but 18 % of single GBK characters, 3 % of
pairs and 0.6 % of triples are valid UTF-8 by chance.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

from netlabsvc.escape import escape

UTF_8, GB18030 = "utf-8", "gb18030"
#: What people call them.
ENCODINGS = {
    "utf-8": UTF_8,
    "utf8": UTF_8,
    "gb18030": GB18030,
    "gbk": GB18030,
    "gb2312": GB18030,
    "cp936": GB18030,
}
#: As many bytes beyond ASCII are six GBK characters: valid UTF-8 by chance once in 30 000.
_CERTAIN_BYTES = 12
#: ASCII, general and CJK punctuation, kana, ideographs, full-width forms: what Chinese is made of.
_CHINESE = re.compile("[\x00-\x7f·×÷—‘’“”…‰′″※℃\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]*")
_RUBOUT = frozenset("\x08\x7f")

NAME_LENGTH = 24
RESERVED_NAMES = frozenset({"server", "operator", "all"})
_NAME_PUNCTUATION = "_-."
#: Small letters and digits that a reader takes for one another in some font or other.
_ALIKE = {
    ord(other): latin
    for latin, others in {
        "a": "аα",
        "c": "сϲ",
        "d": "ԁ",
        "e": "еε",
        "h": "һ",
        "i": "l1ӏіι",
        "j": "ј",
        "k": "кκ",
        "o": "0оο",
        "p": "рρ",
        "q": "ԛ",
        "s": "ѕ",
        "u": "υ",
        "v": "ѵν",
        "w": "ԝω",
        "x": "хχ",
        "y": "уγ",
    }.items()
    for other in others
}
#: Letters that show nothing (Hangul fillers): a name made of them could not be told from another.
_INVISIBLE = "\u115f\u1160\u3164\uffa0"
#: Writing systems that one name may mix: Japanese and Korean need it.
_CJK = {"CJK", "HIRAGANA", "KATAKANA", "HANGUL", "KATAKANA-HIRAGANA", "IDEOGRAPHIC"}


class Decoder:
    """Reads one client's bytes; settles on an encoding at the first certain evidence."""

    __slots__ = ("_seen", "encoding", "latched")

    def __init__(self, encoding: str = UTF_8) -> None:
        self.encoding = encoding
        self.latched = False
        self._seen = 0

    def latch(self, encoding: str) -> None:
        """Read everything from here on in this encoding."""
        self.encoding, self.latched = encoding, True

    def decode(self, lines: list[bytes], *, whole: bool = True) -> list[str]:
        """The texts of lines, cleaned for others; bytes that are no text show as ``\\xNN``.

        The result does not depend on how many lines come at once.

        :param whole: whether no byte of theirs is missing; else they are evidence for nothing.
        """
        joined = b"\n".join(lines)
        if self.latched or joined.isascii():
            # The quick way: all lines in one piece. Strict, because where an error ends could
            # depend on the line behind it.
            try:
                texts = joined.decode(self.encoding).split("\n")
            except UnicodeDecodeError:
                texts = [self._decode_one(line, whole) for line in lines]
        else:
            texts = [self._decode_one(line, whole) for line in lines]
        return texts if all(map(str.isprintable, texts)) else [clean(text) for text in texts]

    def _decode_one(self, line: bytes, whole: bool) -> str:
        if whole and not self.latched and not line.isascii():
            self._weigh(line)
        return line.decode(self.encoding, "backslashreplace")

    def _weigh(self, data: bytes) -> None:
        try:
            data.decode(UTF_8)
        except UnicodeDecodeError:
            try:
                chinese = _CHINESE.fullmatch(data.decode(GB18030))
            except UnicodeDecodeError:
                return
            if chinese:
                self.latch(GB18030)
        else:
            self._seen += sum(byte > 0x7F for byte in data)
            if self._seen >= _CERTAIN_BYTES:
                self.latch(UTF_8)


def unfinished(data: bytes, encoding: str) -> int:
    """How many bytes at the end begin a character of which the rest has not come yet: 0 to 3.

    0 as well for bytes that are not of this encoding.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        decoder.decode(data)
    except UnicodeDecodeError:
        return 0
    return len(decoder.getstate()[0])


def clean(text: str) -> str:
    """One line as it may be shown to others: characters rubbed out are gone, controls escaped.

    Rubbing out (BS, DEL) is how a telnet in character mode corrects a line.
    """
    if not _RUBOUT.isdisjoint(text):
        kept: list[str] = []
        for char in text:
            if char not in _RUBOUT:
                kept.append(char)
            elif kept:
                kept.pop()
        text = "".join(kept)
    return escape(text)


def check_name(name: str) -> str:
    """Return the name in its canonical form (NFKC).

    :raises ValueError: says which rule it breaks.
    """
    name = unicodedata.normalize("NFKC", name)
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"a name has 1 to {NAME_LENGTH} characters")
    for char in name:
        letter = char.isalpha() and char not in _INVISIBLE
        if not (letter or (char.isascii() and char.isdigit()) or char in _NAME_PUNCTUATION):
            raise ValueError(
                f"a name is made of letters, digits and _-. ; {escape(char)!r} is none"
            )
    if len(scripts := sorted(_scripts(name))) > 1:
        raise ValueError(f"a name keeps to one script; this one mixes {' and '.join(scripts)}")
    if fold(name) in map(fold, RESERVED_NAMES):
        raise ValueError(f"{name} is reserved")
    return name


def fold(name: str) -> str:
    """The form in which two names are compared: letters that look alike are one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return folded.translate(_ALIKE)


def _scripts(name: str) -> set[str]:
    """The scripts of a name's letters, by the first word of each character's Unicode name."""
    words = (unicodedata.name(c, "UNKNOWN").split()[0] for c in name if c.isalpha())
    return {"CJK" if word in _CJK else word.title() for word in words}
