"""netlabsvc.mail.phrases: what each line of a session means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.phrases import State, note, notes
from netlabsvc.mail.transcript import Line

SESSION = """S 220 lab ESMTP
C EHLO me
S 250-lab greets you
S 250-SIZE 1000
S 250 PIPELINING
C AUTH LOGIN
S 334 VXNlcm5hbWU6
C <secret>
S 535 5.7.8 wrong
C MAIL FROM:<> BODY=8BITMIME
S 250 2.1.0 sender ok
C RCPT TO:<eve@lab>
S 550 5.1.1 nobody
C DATA
S 354 go on
C (4 bytes of message)
C .
S 250 2.0.0 kept as 1
C HLEO
S 500 5.5.1 unknown
C QUIT
S 221 2.0.0 bye"""
#: A word that must be in the English note, and one in the Chinese.
MEANS = [
    *(("says hello", "打招呼"), ("name", "名字"), ("More lines", "后面还有"), ("bytes", "字节数")),
    *(("without waiting", "不必"), ("logs in", "登录"), ("next line", "下一行")),
    *(("not shown", "不显示"), ("password are wrong", "密码不对"), ("octets above", "127")),
    *(("recipients", "收件人"), ("on the envelope", "信封"), ("no such mailbox", "没有这个邮箱")),
    *(("send the message", "邮件内容"), ("line of one dot", "点"), ("The message itself", "正文")),
    ("ends here", "结束"),
    *(("responsible", "负责"), ("no such command", "没有这个命令"), ("No such command", "命令")),
    *(("goodbye", "告别"), ("closes", "关闭")),
]


def lines(text: str) -> list[Line]:
    return [Line(0.0, "C" if line[0] == "C" else "S", line[2:]) for line in text.splitlines()]


@pytest.mark.parametrize("at", range(len(MEANS)))
def test_each_line_is_explained_in_both_languages(at: int) -> None:
    """Verb or reply class, enhanced code, and what may follow, over one whole session."""
    said = notes(lines(SESSION))[at]
    assert MEANS[at][0].lower() in said.en.lower()
    assert MEANS[at][1] in said.zh


def test_replies_of_a_pipeline_belong_to_their_commands() -> None:
    """Three commands at once: the second reply is the one to RCPT, whatever was sent last."""
    session = "S 220 x\nC MAIL FROM:<a@b>\nC RCPT TO:<c@d>\nC DATA\nS 250 ok\nS 550 no\nS 354 go"
    said = notes(lines(session))
    assert "Now come the recipients" in said[4].en
    assert "This recipient gets nothing" in said[5].en
    assert "Now comes the message" in said[6].en


def test_lines_of_a_message_are_no_commands() -> None:
    """Between 354 and the dot a line that looks like QUIT is part of the message."""
    state = State()
    for side, text in (("S", "220 x"), ("C", "DATA"), ("S", "354 go")):
        note("C" if side == "C" else "S", text, state)
    assert "message itself" in note("C", "QUIT", state).en
    assert "ends here" in note("C", ".", state).en
    assert "responsible" in note("S", "250 2.0.0 ok", state).en
    state = State(greeted=True, in_data=True)  # netlab mail shows no dot
    note("C", "(4 bytes of message)", state)
    assert "responsible" in note("S", "250 2.0.0 ok", state).en


def test_what_is_in_brackets_happened_and_was_not_said() -> None:
    """TLS that begins, and lines left out: neither is a bad reply, nor takes a command's place."""
    session = "S 220 x\nC STARTTLS\nS 220 go\nS (TLSv1.3 from here)\nC EHLO me\nS 250 x"
    said = notes(lines(session))
    assert "secret" in said[3].en
    assert "begin with MAIL" in said[5].en
    session = "S 220 x\nC MAIL FROM:<a@b>\nS (9 lines are left out)\nC (4 bytes)\nC QUIT\nS 221 x"
    said = notes(lines(session))
    assert "No line" in said[2].en
    assert "No line" in said[3].en
    assert "closes" in said[5].en


def test_later_and_never_are_told_apart() -> None:
    """A 4xx may be tried again, a 5xx may not, in words, with and without an enhanced code."""
    for reply, word in (
        ("451 4.7.1 greylisted", "may work later"),
        ("452 full", "too many recipients"),
        ("553 5.7.1 not yours", "will not help"),
        ("554 no", "transaction failed"),
        ("421 4.3.2 bye", "closes the connection"),
    ):
        said = note("S", reply, State(greeted=True))
        assert word in said.en
        assert said.zh


@pytest.mark.parametrize(
    ("session", "means", "never"),
    [
        ("C MAIL FROM:<a@b> AUTH=<>\nS 250 ok", "recipients", "nobody"),
        ("C MAIL FROM:<a@b>\nS 503 5.5.1 there is a sender", "Nothing has changed", "no sender"),
        ("C AUTH PLAIN\nS 503 5.5.1 already logged in", "Nothing has changed", "not logged in"),
        ("C AUTH PLAIN <secret>\nS 535 5.7.8 no", "not logged in", "never"),
        ("C AUTH PLAIN\nS 334\nC *\nS 501 5.0.0 cancelled", "not logged in", "syntax"),
        ("C EHLO a b\nS 501 a name has no blanks", "syntax error behind", "HELO"),
        ("C EHLO me\nS 502 unknown", "try HELO", "syntax"),
        ("C MAIL FROM:<a@b>\nS 530 5.7.0 login first", "Log in first", "5.7.0"),
        ("C RCPT TO:<a@b>\nS 556 5.1.10 null MX", "no mail", "Nothing"),
        ("C RCPT TO:<reject-554@b>\nS 554 5.0.0 as asked", "transaction failed", "Something"),
        ("C RCPT TO:<a@b>\nS 452 4.5.3 100", "Too many recipients", "still be named"),
        ("C RCPT TO:<a@b>\nS 451 4.7.1 greylisted", "puts it off", "forbids"),
        ("C VRFY ada\nS 252 2.0.0 send and see", "Neither yes nor no", "Done"),
        ("C AUTH LOGIN\nS 334 UGFzc3dvcmQ6", "Password:", "Username"),
    ],
)
def test_a_reply_means_what_it_means_to_its_command(session: str, means: str, never: str) -> None:
    """The last note says what holds now, and nothing that does not."""
    said = notes(lines(f"S 220 lab ESMTP\n{session}"))[-1]
    assert means in said.en
    assert never not in said.en
    assert said.zh


TEXTS = st.text(max_size=20) | st.sampled_from(SESSION.splitlines()).map(lambda line: line[2:])


@given(st.lists(st.tuples(st.sampled_from("CS"), TEXTS), max_size=30))
def test_any_session_gets_a_note_for_each_line(said: list[tuple[str, str]]) -> None:
    """No line makes it raise, and none is left without a word."""
    dialogue = [Line(0.0, "C" if side == "C" else "S", text) for side, text in said]
    for one in notes(dialogue):
        assert one.en
        assert one.zh
