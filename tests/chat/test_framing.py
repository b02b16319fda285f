"""netlabsvc.chat.framing: where a message ends, and who is told what is missing."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.chat.framing import HINT
from support.chunks import chunkings
from support.scripted import Chat


def framed(*texts: str) -> bytes:
    """Messages as a client of the length framing sends them."""
    return b"".join(struct.pack("!I", len(t.encode())) + t.encode() for t in texts)


def test_on_a_raw_listener_each_chunk_is_a_message() -> None:
    """A program that sends no line ends is heard, message by message."""
    chat = Chat()
    reader, program = chat.join(), chat.join("raw")
    reader.lines()
    program.send(b"hello", "再见".encode(), b"with an end\r\n", b"two\nlines")
    assert reader.texts() == ["hello", "再见", "with an end", r"two\nlines"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_character_cut_by_a_chunk_is_put_together(encoding: str) -> None:
    """The part that came first waits for the rest."""
    chat = Chat()
    reader, program = chat.join(), chat.join("raw")
    program.send("你好你好你好".encode(encoding))
    reader.lines()
    sent = "再见".encode(encoding)
    program.send(sent[:-1], sent[-1:])
    assert "".join(reader.texts()) == "再见"
    program.send(sent[:1])
    program.session.readConnectionLost()
    chat.turn()
    assert len(reader.texts()) == 1


WORDS = st.text("ab 你\x1b", max_size=9)


@given(st.lists(WORDS, max_size=9), st.data())
def test_length_framing_in_any_chunking(texts: list[str], data: st.DataObject) -> None:
    """What is announced is what is read, wherever the bytes are cut."""
    chat = Chat(rate=None)
    reader, program = chat.join(), chat.join("length")
    reader.lines()
    program.send(*data.draw(chunkings(framed(*texts))))
    assert reader.texts() == [t.replace("\x1b", r"\x1b") for t in texts]


def test_length_framing_reads_what_is_announced() -> None:
    """Chinese in and out, with the header of a message."""
    chat = Chat()
    reader, program = chat.join("length"), chat.join("length")
    reader.bytes()
    program.send(framed("你好", "two"))
    heard = reader.bytes()
    (length,) = struct.unpack_from("!I", heard)
    assert heard[4 : 4 + length].decode().endswith("guest2 (10.0.0.9:2): 你好")


def test_a_wrong_length_is_explained() -> None:
    """Text on the length port reads as an enormous length."""
    chat = Chat()
    program = chat.join("length")
    program.send(framed("fine") + b"hello world")
    assert b"yours says 1751477356, 2048 is the most" in program.bytes()
    assert program.transport.half_closed


def test_bytes_without_a_line_end_get_one_hint() -> None:
    """After two seconds, once, and the text is not lost."""
    chat = Chat()
    reader, program = chat.join(), chat.join()
    program.send(b"hel")
    chat.turn(1.0)
    program.send(b"lo")
    assert program.lines() == []
    chat.turn(1.1)
    assert program.lines() == [f"*** {HINT}"]
    program.send(b" world\n")
    assert reader.texts() == ["hello world"]
    program.send(b"again")
    chat.turn(10.0)
    assert program.lines() == []


def test_no_hint_for_who_sends_line_ends() -> None:
    """However often the bytes of a line come in parts."""
    chat = Chat(rate=None)
    program = chat.join()
    for _ in range(10):
        program.send(b"a\nb")
        chat.turn(1.0)
        program.send(b"c\n")
        chat.turn(1.5)
    assert program.lines() == []


def test_login_prompt_asks_for_a_name() -> None:
    """The first line is the name; a bad one is asked again; what follows is said."""
    chat = Chat(login="prompt")
    ada = chat.join()
    assert ada.greeting == ["*** what is your name?"]
    ada.send(b"operator\n")
    assert ada.lines() == ["*** operator is reserved; what is your name?"]
    ada.send(b"ada\n")
    assert "welcome, you are ada" in ada.lines()[0]
    bob = chat.join()
    bob.send(b"ADA\nbob\nhello\n")
    assert bob.lines()[0] == "*** ADA is taken; what is your name?"
    assert ada.texts() == ["hello"]
    shy = chat.join()
    shy.send(b"q\n")
    assert shy.lines() == ["*** goodbye"]
    assert shy.transport.half_closed


def test_a_client_sets_its_encoding() -> None:
    """From then on it reads and writes it, whatever its bytes look like."""
    chat = Chat()
    reader, program = chat.join(), chat.join()
    program.send(b"/encoding gbk\n", "一\n".encode("gbk"))
    assert reader.texts() == ["一"]
    reader.send("说\n".encode())
    assert program.bytes().endswith("): 说\n".encode("gbk"))
    program.send(b"/encoding klingon\n/encoding\n")
    assert program.lines() == [
        "*** klingon is not spoken here; known are utf-8, utf8, gb18030, gbk, gb2312, cp936",
        "*** you read and write gb18030",
    ]
