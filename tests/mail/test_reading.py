"""What is shown of a message that a stranger sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.reading import header, readable
from netlabsvc.mail.text import shown, shown_line

MIXED = (
    "From: =?utf-8?b?5bCP5piO?= <ming@lab>\r\nSubject: folded\r\n over =?utf-8?q?two=0Alines?=\r\n"
    "X-Raw: 你好\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    "--x\r\nContent-Type: text/plain; charset=gb18030\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n"
    "--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--x--\r\n"
)


def test_headers_and_texts_are_decoded() -> None:
    """Encoded words, raw UTF-8, a Chinese charset and an attachment, each as people read it."""
    text = readable(MIXED.encode())
    for line in ("From: 小明 <ming@lab>", "X-Raw: 你好", "你好", "[image/png, 3 bytes]"):
        assert line in text.splitlines()
    assert header(MIXED.encode(), b"subject") == r"folded over two\nlines"


def test_words_as_clumsy_programs_write_them() -> None:
    """A character cut in two, blanks and question marks in a word, and a word without end."""
    assert header(b"Subject: =?utf-8?b?5bA=?= =?utf-8?b?j+aYjg==?=", b"subject") == "小明"
    assert header(b"Subject: Re: =?utf-8?q?how are you??= !", b"subject") == "Re: how are you? !"
    assert header(b"Subject: =?utf-8?q?no end", b"subject") == "=?utf-8?q?no end"


@pytest.mark.parametrize(
    "hostile",
    [
        b"Subject: \x1b]0;owned\x07\r\n\r\nhi\r\n",
        b"Subject: =?utf-8?b?G1sybQ==?=\r\n\r\nhi\r\n",
        b"\r\n\x1b[2J\x9b31m\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=1B[2J=E2=80=AEabc\r\n",
        b"Content-Type: text/plain; charset=latin1\r\n\r\n\x9b2J",
        b"A\x1b: b\r\n\r\n",
    ],
)
def test_a_mail_cannot_drive_the_terminal(hostile: bytes) -> None:
    """Escape sequences, encoded ones too, and changes of direction are written out."""
    text = readable(hostile)
    assert all(char.isprintable() for char in text if char != "\n")


HEADS = [
    b"Subject: ",
    b"From: <",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n",
    b"Content-Type: text/plain; charset=",
    b"Content-Transfer-Encoding: ",
    *(b"base64\r\n\r\n", b"x-uuencode\r\n\r\nbegin 1 a\r\n", b"hex", b"idna", b"utf-7", b"\0"),
    *(
        b"=?utf-8?b?//?=",
        b"=?zip?q?a?=",
        b"=?a?b?c",
        b"\r\n",
        b"\r\n\r\n",
        b"\xff",
        b"; a*0*=x''%f",
    ),
]


@given(st.lists(st.sampled_from(HEADS) | st.binary(max_size=9), max_size=12).map(b"".join))
def test_any_bytes_can_be_read(data: bytes) -> None:
    """No message makes it raise, and none gets an unsafe character through."""
    for text in (readable(data), header(data, b"subject")):
        assert shown(text) == text
        text.encode()


@given(st.binary())
def test_any_bytes_fit_on_one_line(data: bytes) -> None:
    """A line for people has no line end and nothing unprintable that drives anything."""
    line = shown_line(data)
    assert shown(line) == line
    assert "\n" not in line
