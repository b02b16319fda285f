"""In which encoding a body is written: said by its header, by the page itself, or found out.

What is declared counts (HTML, "determining the character encoding"). Where nothing is, and it is
not UTF-8, it is GB18030 (of which GBK and GB2312 are parts) if it reads as that.
"""

from __future__ import annotations

import codecs
import re

#: So much of a page is searched for a <meta>, as browsers do.
META_BYTES = 1024
#: So much, from the first byte on that is no ASCII, decides what an undeclared text is.
SAMPLE_BYTES = 512

_PARAMETER = re.compile(rb";\s*charset=\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_META = re.compile(rb"<meta[^>]*?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_OTHER = re.compile(rb"[^\x00-\x7f]")
_PAIR = re.compile(rb"[\x81-\xfe][\x40-\xfe]")
_HANZI = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

# Python knows more codecs, some of which are no charsets, or fail where these replace.
_KNOWN = re.compile(
    r"utf-8|utf-16(le|be)?|us-ascii|iso-8859-(1|2|3|4|5|6|7|8|10|13|14|15|16)|windows-125[0-8]"
    r"|gbk|gb2312|gb18030|big5|shift_jis|euc-(jp|kr)|koi8-[ru]"
)


def declared(content_type: bytes) -> str | None:
    """The charset that a Content-Type names, where it is one of the Web's."""
    return _known(_PARAMETER.search(content_type))


def _known(found: re.Match[bytes] | None) -> str | None:
    name = found[1].decode("ascii").lower() if found else ""
    if name in ("gb2312", "gbk"):  # the larger one holds both, and pages are careless
        return "gb18030"
    return name if _KNOWN.fullmatch(name) else None


def guess(sample: bytes, *, whole: bool) -> str:
    """The encoding of a text that begins so: ``utf-8`` or ``gb18030``.

    :param whole: nothing follows; else its last character may be cut.
    """
    if _reads(sample, "utf-8", whole) or not _reads(sample, "gb18030", whole):
        return "utf-8"
    # Latin-1 reads as GBK now and then, but hardly as the two-byte area of Chinese characters.
    pairs = _PAIR.findall(sample)
    hanzi = sum(1 for pair in pairs if _HANZI.fullmatch(pair))
    return "gb18030" if 2 * hanzi >= len(pairs) else "utf-8"


def _reads(sample: bytes, encoding: str, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, whole)
    except UnicodeDecodeError:
        return False
    return True


class Decoder:
    """Decodes bytes as they come; what is not declared, it finds out.

    ASCII passes at once; the rest is held until it is plain what it is.

    :ivar encoding: None until known.
    :ivar found_out: nobody had declared it.
    """

    def __init__(self, encoding: str | None = None) -> None:
        self.encoding = encoding
        self.found_out = False
        self._decoder = _decoder(encoding) if encoding else None
        self._start = b""
        self._held = b""

    def decode(self, data: bytes, final: bool = False) -> str:
        """The next piece of text; what cannot be read is U+FFFD."""
        if self._decoder is not None:
            return self._decoder.decode(data, final)
        if len(self._start) < META_BYTES:
            self._start += data[: META_BYTES - len(self._start)]
        data, self._held = self._held + data, b""
        found = _OTHER.search(data)
        at = found.start() if found else len(data)
        rest = data[at:]
        if found and (final or len(rest) >= SAMPLE_BYTES):
            return data[:at].decode("ascii") + self._decide(rest, final)
        self._held = rest
        return data[:at].decode("ascii")

    def _decide(self, rest: bytes, final: bool) -> str:
        marks = [name for mark, name in _MARKS.items() if self._start.startswith(mark)]
        stated = marks[0] if marks else _known(_META.search(self._start))
        sample = rest[:SAMPLE_BYTES]
        self.encoding = stated or guess(sample, whole=final and sample == rest)
        self.found_out = stated is None
        self._decoder = _decoder(self.encoding)
        return self._decoder.decode(rest, final)


def _decoder(encoding: str) -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder(encoding)(errors="replace")
