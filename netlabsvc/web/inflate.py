"""Content-Encoding undone as it comes (RFC 9110 section 8.4): gzip and deflate.

It gives pieces of a bounded size, so that a small body that unpacks to a huge one costs no memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from netlabsvc.web.failure import Failed, Status

#: What to ask for; the standard library of Python 3.11 knows no other.
ACCEPTED = "gzip, deflate"
PIECE_BYTES = 256 * 1024
_GZIP, _ZLIB, _RAW = 31, 15, -15


class Inflater:
    """Undoes one coding."""

    def __init__(self, coding: bytes) -> None:
        self._coding = coding
        self._first = b""
        self._stream: zlib._Decompress | None = None
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes unpack to.

        :raises Failed: they are not of this coding.
        """
        more = bool(data)
        while more:
            if self._stream is None:
                data = self._begin(data)
                if self._stream is None:
                    return
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                why = str(error).rpartition(": ")[2]
                raise _bad(f"a body that is no {self._coding.decode()}: {why}") from None
            data = self._stream.unconsumed_tail
            if self._stream.eof:  # RFC 1952 section 2.2: members may follow each other
                data, self._stream = self._stream.unused_data, None
            if piece:
                yield piece
            # A full piece may have left more inside zlib.
            more = bool(data) or (self._stream is not None and len(piece) == PIECE_BYTES)

    def end(self) -> None:
        """The end of the body.

        :raises Failed: more was to come.
        """
        if self._stream is not None or self._first:
            coding = self._coding.decode()
            raise Failed(Status.PARTIAL_FILE, f"a {coding} body that ends too early")

    def _begin(self, data: bytes) -> bytes:
        """Choose how to read, once two bytes are there; gives what is to be read."""
        if self._begun and self._coding == b"deflate":
            raise _bad("something after the end of a deflate body")
        data, self._first = self._first + data, b""
        if len(data) < 2:
            self._first = data
            return b""
        self._begun = True
        # "deflate" is zlib (RFC 1950); some send the bare stream of RFC 1951.
        zlib_header = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
        bits = _GZIP if self._coding == b"gzip" else _ZLIB if zlib_header else _RAW
        self._stream = zlib.decompressobj(bits)
        return data


class Chain:
    """Undoes the codings of a Content-Encoding, the last one first."""

    def __init__(self, content_encoding: bytes) -> None:
        """:raises Failed: one of them is not known here."""
        names = [name.strip().lower() for name in content_encoding.split(b",")]
        codings = [name for name in names if name not in (b"", b"identity")]
        for name in codings:
            if name not in (b"gzip", b"x-gzip", b"deflate"):
                raise _bad(f"Content-Encoding {name[:40]!r}, which was not asked for")
        self._stages = [Inflater(name.removeprefix(b"x-")) for name in reversed(codings)]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body unpack to, in pieces.

        :raises Failed: they are not of these codings.
        """
        return self._through(self._stages, [data])

    def end(self) -> None:
        """The end of the body.

        :raises Failed: more was to come.
        """
        for stage in self._stages:
            stage.end()

    def _through(self, stages: list[Inflater], pieces: Iterable[bytes]) -> Iterator[bytes]:
        for stage in stages:
            pieces = _fed(stage, pieces)
        return iter(pieces)


def _fed(stage: Inflater, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield from stage.feed(piece)


def _bad(why: str) -> Failed:
    return Failed(Status.BAD_CONTENT_ENCODING, why)
