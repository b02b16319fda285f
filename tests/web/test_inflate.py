"""Bodies unpacked, and texts whose encoding nobody declared."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.charset import Decoder, declared
from netlabsvc.web.failure import Failed
from netlabsvc.web.inflate import PIECE_BYTES, Chain
from support.chunks import chunkings

PACKED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate ": lambda data: zlib.compress(data)[2:-4],
    "identity, ": bytes,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
}
NEWS = "<p>同学们好,今天的实验是写一个网页服务器。</p>" * 20


@given(st.data(), st.sampled_from(sorted(PACKED)), st.binary(max_size=300))
def test_any_chunking_unpacks_the_same(data: st.DataObject, coding: str, body: bytes) -> None:
    """Cut anywhere, what was packed comes out, and its end is an end."""
    chain = Chain(coding.encode())
    chunks = data.draw(chunkings(PACKED[coding](body)))
    assert b"".join(piece for chunk in chunks for piece in chain.feed(chunk)) == body
    chain.end()


@given(st.sampled_from(["gzip", "deflate"]), st.binary(), st.integers(0, 40))
def test_garbage_and_cuts_are_noticed(coding: str, garbage: bytes, cut: int) -> None:
    """No bytes raise anything but Failed; a body that is cut is no success."""
    chain = Chain(coding.encode())
    packed = PACKED[coding](b"hello" * 20)
    try:
        got = b"".join(chain.feed(packed[: min(cut, len(packed) - 1)]))
        assert b"hello".startswith(got[:5])
        b"".join(chain.feed(garbage))
        Chain(coding.encode()).end()
    except Failed as error:
        assert error.status in (18, 61)  # noqa: PT017 - either is right


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_cut_is_no_end(coding: str) -> None:
    """Every proper beginning of a packed body is partial: 18."""
    packed = PACKED[coding](b"hello" * 20)
    for end in range(1, len(packed)):
        chain = Chain(coding.encode())
        list(chain.feed(packed[:end]))
        with pytest.raises(Failed) as caught:
            chain.end()
        assert caught.value.status == 18


def test_a_bomb_costs_no_memory() -> None:
    """What unpacks to a thousand times as much comes in pieces of a bounded size."""
    sizes = [len(piece) for piece in Chain(b"gzip").feed(gzip.compress(bytes(50_000_000)))]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= PIECE_BYTES


def test_nothing_stays_behind_in_a_full_piece() -> None:
    """Where the last bytes unpack to more than fits into a piece, the rest comes, too."""
    for size in range(PIECE_BYTES, PIECE_BYTES + 300):
        packed = zlib.compress(bytes(size))[2:-4]
        assert sum(map(len, Chain(b"deflate").feed(packed))) == size


@given(st.data(), st.sampled_from(["utf-8", "gb18030"]), st.integers(0, 2000))
def test_an_undeclared_text_is_read(data: st.DataObject, encoding: str, ascii_first: int) -> None:
    """UTF-8 or GBK, cut anywhere, after any amount of ASCII: the text is what was written."""
    text = "x" * ascii_first + NEWS
    decoder = Decoder()
    chunks = data.draw(chunkings(text.encode(encoding)))
    assert "".join(map(decoder.decode, chunks)) + decoder.decode(b"", True) == text
    assert (decoder.encoding, decoder.found_out) == (encoding, True)


@pytest.mark.parametrize(
    ("start", "encoding"),
    [
        ('<meta charset="GBK">', "gb18030"),
        ("<meta http-equiv=Content-Type content='text/html; charset=big5'>", "big5"),
        ("<!-- " + "x" * 900 + "--><META CHARSET = shift_jis >", "shift_jis"),
    ],
)
def test_a_page_says_what_it_is(start: str, encoding: str) -> None:
    """A <meta> in the first 1024 bytes counts."""
    decoder = Decoder()
    assert decoder.decode((start + "日本").encode(encoding), True) == start + "日本"
    assert not decoder.found_out


def test_marks_and_headers() -> None:
    """A byte order mark is no character; a declared charset is not second-guessed."""
    assert Decoder().decode("好".encode("utf-8-sig"), True) == "好"
    assert Decoder().decode("好".encode("utf-16"), True) == "好"
    assert (
        Decoder(declared(b"text/plain; charset=UTF-8")).decode("好".encode("gbk"), True)
        == "\ufffd" * 2
    )


def test_what_is_neither() -> None:
    """Latin-1 and rubbish are no Chinese: what UTF-8 cannot read is U+FFFD."""
    for data in ("déjà vu à l'été".encode("latin-1"), "étés".encode("latin-1"), b"\x9b\xff"):
        assert "\ufffd" in Decoder().decode(data, True)
