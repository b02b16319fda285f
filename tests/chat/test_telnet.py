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


def lines(chunks: list[bytes]) -> list[tuple[bytes, bool]]:
    """The lines of bytes that come in these chunks, and whether a command stood inside each."""
    telnet, rest, found = Filter(), b"", []
    for chunk in chunks:
        *whole, rest = (rest + telnet.feed(chunk)[0]).split(b"\n")
        found += [(line, telnet.cut(len(line) + 1)) for line in whole]
    return found


COMMANDS = (b"\xff\xf3", b"\xff\xfd\x06", b"\xff\xfa\x18\xff\xf0")
PARTS = (*COMMANDS, b"\xff\xff", b"\r\0", b"\r", b"\n", b"a")


@given(st.lists(st.sampled_from(PARTS)), st.data())
def test_which_lines_a_command_has_cut(parts: list[bytes], data: st.DataObject) -> None:
    """Those behind whose first byte one stands, wherever the bytes are cut."""
    sent = b"".join(parts)
    found = lines(data.draw(chunkings(sent)))
    assert found == lines([sent])
    marked = b"".join(b"!" if part in COMMANDS else part for part in parts)
    marked = marked.replace(b"\r\0", b"\r\n")
    assert [cut for _, cut in found] == [b"!" in x.lstrip(b"!") for x in marked.split(b"\n")[:-1]]


@pytest.mark.parametrize(
    ("sent", "cut"),
    [
        (b"\xe6\xff\xf3\x8b\n", [True]),
        (b"\xff\xf4\xff\xfd\x06hello\n", [False]),
        (b"a\n\xff\xf4b\nc\xff\xf4\nd\n", [False, False, True, False]),
        (b"a\r\xff\xf4\0b\n", [True, False]),
        (b"\xff\xff\xff\xff\n", [False]),
    ],
)
def test_a_command_inside_a_line(sent: bytes, cut: list[bool]) -> None:
    """One before the first byte cuts nothing, and a byte 255 of data is none."""
    assert [found for _, found in lines([sent])] == cut
