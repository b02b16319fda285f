"""netlabsvc.mail.parts and cage: a message taken apart, however it was put together."""

from __future__ import annotations

import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail import cage, parts
from netlabsvc.mail.parts import taken_apart
from netlabsvc.mail.text import shown

PNG = b"\x89PNG\r\n\x1a\n0000"


def rich() -> bytes:
    """Text, HTML with an image of its own, and an attachment with a Chinese name."""
    mail = EmailMessage()
    mail["Subject"] = "作业"
    mail["From"] = "小明 <ming@lab>"
    mail.set_content("plain 你好\n")
    mail.add_alternative('<p>你好</p><img src="cid:pic@lab">', subtype="html")
    html = mail.get_payload()[1]  # type: ignore[index]
    html.add_related(PNG, "image", "png", cid="<pic@lab>")  # type: ignore[union-attr]
    mail.add_attachment(b"%PDF", "application", "pdf", filename="../../报告.pdf")
    return mail.as_bytes().replace(b"\n", b"\r\n")


def test_a_mail_is_taken_apart_as_people_see_it() -> None:
    """Headers decoded, the text, the HTML, and what is attached under a name that is safe."""
    mail = taken_apart(rich())
    assert mail.values("subject") == ("作业",)
    assert mail.text == "plain 你好\n"
    assert mail.html is not None
    assert mail.html.text.startswith("<p>你好</p>")
    assert [one.kind for one in mail.attachments] == ["image/png", "application/pdf"]
    pdf = mail.attachments[1]
    assert (pdf.data, pdf.file_name) == (b"%PDF", "报告.pdf")
    assert not mail.cut


def test_images_of_the_mail_itself_are_put_into_the_cage() -> None:
    """What cid: names becomes a data: address; what the mail does not hold stays as it is."""
    document = cage.document(taken_apart(rich())).decode()
    assert "data:image/png;base64,iVBORw0KGgow" in document
    strange = taken_apart(rich().replace(b"<pic@lab>", b"<other@lab>"))
    assert "cid:pic@lab" in cage.document(strange).decode()


def test_one_image_named_often_does_not_blow_the_page_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is put in counts, each time."""
    monkeypatch.setattr(cage, "MAX_IMAGES_BYTES", 3 * len(PNG))
    often = rich().replace(b"</p><img", b"</p>" + b'<img src=3D"cid:pic@lab">' * 9 + b"<img")
    assert cage.document(taken_apart(often)).count(b"data:") <= 3


def test_bounds_hold_and_are_told() -> None:
    """Many parts and deep nesting end at the bounds, with a word about it."""
    many = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 300
    mail = taken_apart(many)
    assert len(mail.tree) == parts.MAX_PARTS
    assert mail.cut
    assert "200 parts" in mail.cut.en
    deep = b"".join(b"Content-Type: message/rfc822\r\n\r\n" for _ in range(60)) + b"\r\nx\r\n"
    mail = taken_apart(deep)
    assert max(depth for depth, _ in mail.tree) == parts.MAX_DEPTH
    assert mail.cut
    assert "levels" in mail.cut.en


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"])
def test_a_bomb_of_multiparts_takes_no_time(end: bytes) -> None:
    """Hundreds of nested multiparts are shown as they came, at once, whatever ends their lines."""
    level = b"CONTENT-type:\r\n multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    bomb = b"".join(level % (n, n) for n in range(400)).replace(b"\r\n", end) + end * 200_000
    begun = time.process_time()
    mail = taken_apart(bomb)
    assert time.process_time() - begun < 2
    assert mail.cut
    assert "multiparts" in mail.cut.en
    assert mail.text is not None


def test_lines_count_whatever_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CR alone is a line end for the parser, so it is one for the bound as well."""
    monkeypatch.setattr(parts, "MAX_LINES", 5)
    for end in (b"\r\n", b"\n", b"\r"):
        mail = taken_apart(b"Subject: x\r\n\r\n" + b"a" + end * 3 + b"b" + end * 9 + b"c")
        assert mail.cut
        assert mail.text is not None
        assert "c" not in mail.text


PIECES = [
    *(b"Content-Type: multipart/mixed; boundary=b\r\n", b"--b\r\n", b"--b--\r\n", b"\r\n", b"\n"),
    *(b"Content-Type: text/html; charset=", b"Content-Type: message/rfc822\r\n", b"utf-7", b"\0"),
    *(b"Content-Disposition: attachment; filename*0*=x''%ff%", b'filename="../\x1b"\r\n'),
    *(b"Content-Transfer-Encoding: base64\r\n", b"Subject: =?utf-8?q?=0A?=", b"\xff", b"; a="),
    *(b"Content-ID: <a>\r\n", b"cid:a", b'From: "', b"<", b"@", b"idna", b"uuencode"),
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=9), max_size=20).map(b"".join))
def test_any_bytes_can_be_taken_apart(data: bytes) -> None:
    """No message makes it raise, and no header or name gets an unsafe character through."""
    mail = taken_apart(data)
    for text in (mail.text or "", *(text for header in mail.headers for text in header)):
        assert shown(text) == text
    for one in mail.leaves:
        assert one.file_name.isprintable()
        assert not {"/", "\\", '"', "\0"} & set(one.file_name)
    if mail.html:
        cage.document(mail)
