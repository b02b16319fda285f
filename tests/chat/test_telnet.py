"""netlabsvc.chat.telnet: commands out, data through, negotiations answered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat.telnet import AYT_ANSWER, Filter
from support.chunks import chunkings


def feed(chunks: list[bytes]) -> tuple[bytes, bytes]:
    """All data and all answers for bytes that come in these chunks."""
    telnet = Filter()
    results = [telnet.feed(chunk) for chunk in chunks]
    return b"".join(data for data, _ in results), b"".join(answer for _, answer in results)


GOLDEN = {
    "plain": (b"hello\n", b"hello\n", b""),
    "Ctrl-C": (b"ab\xff\xf4\xff\xfd\x06c\n", b"abc\n", b"\xff\xfc\x06"),
    "Ctrl-Z": (b"\xff\xed\xff\xfd\x06x\n", b"x\n", b"\xff\xfc\x06"),
    "send eof": (b"\xff\xecx\n", b"x\n", b""),
    "send abort": (b"\xff\xeex\n", b"x\n", b""),
    "send ayt": (b"\xff\xf6x\n", b"x\n", AYT_ANSWER),
    "send synch": (b"x\xff\xf2y\n", b"xy\n", b""),
    "will and do are refused": (b"\xff\xfb\x18\xff\xfd\x01", b"", b"\xff\xfe\x18\xff\xfc\x01"),
    "wont and dont are not answered": (b"\xff\xfc\x18\xff\xfe\x01", b"", b""),
    "a byte 255 of data": (b"a\xff\xffb\n", b"a\xffb\n", b""),
    "a subnegotiation": (b"a\xff\xfa\x18\x00xterm\xff\xff\xf0\xff\xf0b\n", b"ab\n", b""),
    "character mode's Enter": (b"hi\r\0ho\r\0", b"hi\r\nho\r\n", b""),
    "CR LF": (b"hi\r\nho\r\n", b"hi\r\nho\r\n", b""),
    "a lone CR stays": (b"hi\rho\n", b"hi\rho\n", b""),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_what_real_clients_send(case: str) -> None:
    """The bytes that GNU telnet sends, whole and one at a time."""
    sent, data, answers = GOLDEN[case]
    assert feed([sent]) == (data, answers)
    assert feed([sent[i : i + 1] for i in range(len(sent))]) == (data, answers)


@given(
    st.lists(st.sampled_from([b"\xff", b"\xfa", b"\xf0", b"\xfd", b"\r", b"\0", b"\n", b"a"])),
    st.data(),
)
def test_any_chunking_gives_the_same(parts: list[bytes], data: st.DataObject) -> None:
    """Where the bytes are cut changes nothing, and nothing raises."""
    sent = b"".join(parts)
    assert feed(data.draw(chunkings(sent))) == feed([sent])
