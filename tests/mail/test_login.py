"""AUTH: what is offered, what is heard, and that no password is ever shown."""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.test_session import heard
from netlabsvc.mail import accounts
from netlabsvc.mail.command import Reply
from netlabsvc.mail.login import Claim
from netlabsvc.mail.session import Session
from netlabsvc.mail.standing import Attempted, Check, Event, Message, Terms

NEAR = Terms("lab", 1000, "p", "h", starttls=True, private=True, challenge=b"<1@lab>")
FAR = replace(NEAR, private=False)
SECRET = "pAssw0rd!"


def word(text: str) -> bytes:
    return b64encode(text.encode())


PLAIN = b"AUTH PLAIN " + word(f"\0ada\0{SECRET}") + b"\r\n"
NAME, PASSWORD = word("ada") + b"\r\n", word(SECRET) + b"\r\n"
DIGEST = hmac.new(SECRET.encode(), b"<1@lab>", "md5").hexdigest()


def answers(terms: Terms, said: bytes) -> list[int]:
    """The codes behind that of EHLO."""
    events = heard(Session(terms), b"EHLO me\r\n" + said)[1:]
    return [event.code for event in events if isinstance(event, Reply)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (PLAIN, [235]),
        (b"AUTH PLAIN\r\n" + PLAIN[11:], [334, 235]),
        (b"auth login\r\n" + NAME + PASSWORD, [334, 334, 235]),
        (b"AUTH LOGIN " + NAME + PASSWORD, [334, 235]),
        (b"AUTH CRAM-MD5\r\n" + word(f"ada {DIGEST}") + b"\r\n", [334, 235]),
        (b"AUTH CRAM-MD5\r\n" + word("ada secret") + b"\r\n", [334, 501]),
        (b"AUTH\r\n", [501]),
        (b"AUTH XYZ\r\n", [504]),
        (b"AUTH LOGIN\r\n*\r\nNOOP\r\n", [334, 501, 250]),
        (b"AUTH LOGIN\r\nno base64\r\nNOOP\r\n", [334, 501, 250]),
        (b"AUTH PLAIN =\r\n", [501]),
        (b"AUTH PLAIN " + word("ada") + b"\r\n", [501]),
        (PLAIN + PLAIN, [235, 503]),
        (b"MAIL FROM:<a@b>\r\n" + PLAIN, [250, 503]),
        (b"HELO me\r\n" + PLAIN, [250, 503]),
        (b"AUTH LOGIN\r\n" + b"A" * 12_286 + b"\r\nNOOP\r\n", [334, 501, 250]),
        (b"AUTH LOGIN\r\n" + b"A" * 20_000 + b"\r\nNOOP\r\n", [334, 500, 250]),
        (b"AUTH PLAIN " + b"A" * 12_275 + b"\r\n", [501]),
        (b"AUTH PLAIN " + b"A" * 12_276 + b"\r\n", [500]),
        (b"AUTH LOGIN\r\nYWRh\n", [334, 500]),
    ],
)
def test_the_mechanisms_and_what_can_go_wrong(said: bytes, expected: list[int]) -> None:
    """RFC 4954: 501 for what is malformed or given up, 504 for what there is not, 503 too late."""
    assert answers(NEAR, said) == expected


def test_a_password_without_tls_is_for_this_machine_alone() -> None:
    """From elsewhere only a digest is offered; inside TLS all is."""
    assert answers(FAR, PLAIN + b"AUTH CRAM-MD5\r\n") == [538, 334]
    session = Session(FAR)
    session.feed(b"EHLO me\r\nSTARTTLS\r\nMAIL FROM:<evil@x>\r\n")
    assert session.feed(b"RCPT TO:<evil@x>\r\n") == []
    session.secured("TLSv1.3", "AES")
    late, _ = session.feed(b"MAIL FROM:<a@b>\r\n")
    assert isinstance(late, Reply)
    assert late.code == 503, "EHLO was forgotten, and what was behind STARTTLS dropped"
    hello, login = session.feed(b"EHLO me\r\n" + PLAIN)
    assert isinstance(hello, Reply)
    assert "AUTH PLAIN LOGIN CRAM-MD5" in hello.text
    assert "STARTTLS" not in hello.text
    assert login == Reply(235, "2.7.0", ("logged in",))


def test_who_is_looked_up_waits_for_the_answer() -> None:
    """No digest is offered; a wrong password is a 535, and leaves an attempt behind."""
    session = Session(replace(NEAR, lookup=True, login_required=True))
    hello, mail, _, check = session.feed(b"EHLO me\r\nMAIL FROM:<a@b>\r\n" + PLAIN + b"NOOP\r\n")
    assert isinstance(hello, Reply)
    assert "AUTH PLAIN LOGIN" in hello.text
    assert isinstance(mail, Reply)
    assert mail.code == 530
    assert check == Check(Claim("PLAIN", "ada", SECRET))
    assert SECRET not in repr(check)
    assert session.feed(b"NOOP\r\n") == []
    replies = session.checked(right=False)
    assert [one.code for one in replies if isinstance(one, Reply)] == [535, 250, 250]
    (attempt,) = session.lost()
    assert isinstance(attempt, Attempted)
    assert attempt.record.reply == "535 5.7.8 wrong name or password"


SLIPS = [
    b"AUTH LOGIN\r\n" + NAME + PASSWORD,
    PLAIN,
    b"AUTH " + PASSWORD,
    b"AUTH=PLAIN " + PASSWORD,
    b"  AUTH PLAIN  " + PASSWORD,
    b"AUTH\tPLAIN " + PASSWORD,
    b"AUTH PLAIN " + PASSWORD[:-2] + b"\n",
    b"AUTH XYZ\r\n" + NAME + PASSWORD,
    b"MAIL FROM:<a@b>\r\nAUTH LOGIN\r\n" + NAME + PASSWORD,
    b"AUTH LOGIN\r\n!\r\n" + NAME + PASSWORD,
    *(clumsy + b"\r\n" + PASSWORD for clumsy in (b"AUTHPLAIN", b" AUTH PLAIN", b"AUTH\tPLAIN")),
    *(clumsy + b"\r\n" + PASSWORD for clumsy in (b"AUTH=PLAIN", b"AUTH: PLAIN", b"auth:login")),
    b"USER ada\r\nPASS " + SECRET.encode() + b"\r\n",
    b"LOGIN ada " + SECRET.encode() + b"\r\n",
    b"AUTH CRAM-MD5\r\n" + word(f"ada {DIGEST}") + b"\r\n",
]


@given(st.lists(st.sampled_from(SLIPS), max_size=4), st.booleans())
def test_no_secret_is_in_any_record_or_reply(slips: list[bytes], near: bool) -> None:
    """Whatever a client does wrong around AUTH, what it sent as a secret is shown nowhere."""
    mail = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n.\r\nMAIL FROM:x\r\n"
    session = Session(NEAR if near else FAR)
    events: list[Event] = heard(session, b"EHLO me\r\n" + b"".join(slips) + mail)
    shown = repr([e.record if isinstance(e, Message) else e for e in [*events, *session.lost()]])
    for secret in (SECRET, word(SECRET), PLAIN.split()[2], word(f"ada {DIGEST}")):
        text = secret if isinstance(secret, str) else secret.decode()
        assert text not in shown


def test_a_file_of_accounts() -> None:
    """The password fits its line and no other; comments and empty lines count for nothing."""
    line = accounts.line("a:da", SECRET, b"salt")
    text = f"# who may\n\n{line}\n{accounts.line('bob', 'x', b'salt')}\n"
    assert SECRET not in text
    assert accounts.check(text, "a:da", SECRET)
    assert not accounts.check(text, "a:da", "x")
    assert not accounts.check(text, "eve", SECRET)


@pytest.mark.parametrize(
    "line", ["ada:secret", "a:scrypt:9:8:1:AA==:AA==", "a:scrypt:x:8:1::", ":"]
)
def test_a_line_that_is_no_account_is_named(line: str) -> None:
    """With its number, and what would be right."""
    with pytest.raises(ValueError, match="line 2 is no account; netlab inbox passwd"):
        accounts.check(f"\n{line}\n", "ada", "x")
    with pytest.raises(ValueError, match="cannot be a name"):
        accounts.line("# ada", "x", b"")
