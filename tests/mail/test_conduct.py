"""How the sandbox behaves when it is told to: the replies of each personality."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail.test_session import COMMANDS, heard
from netlabsvc.mail.command import Reply
from netlabsvc.mail.personality import PERSONALITIES, Conduct, Manner, Memory
from netlabsvc.mail.record import Record
from netlabsvc.mail.session import Session
from netlabsvc.mail.standing import Attempted, Close, Event, Message, Terms

TERMS = Terms("lab", 1000, "10.0.0.1:4000", "10.0.0.1", starttls=True, private=True)
LOGIN = b"AUTH PLAIN AGFkYQBzZWNyZXQ=\r\n"  # ada, secret


def said(conduct: Conduct, *parts: bytes) -> list[Event]:
    """All that a session answers."""
    return heard(Session(TERMS, conduct), b"EHLO me\r\n" + b"".join(parts))[1:]


def codes(conduct: Conduct, *parts: bytes) -> list[int]:
    return [event.code for event in said(conduct, *parts) if isinstance(event, Reply)]


def mail(sender: str = "ada@lab", *recipients: str) -> bytes:
    """One message as commands."""
    to = "".join(f"RCPT TO:<{path}>\r\n" for path in recipients or ("bob@lab",))
    return f"MAIL FROM:<{sender}>\r\n{to}DATA\r\nhi\r\n.\r\n".encode()


START = b"MAIL FROM:<ada@lab>\r\nRCPT TO:<bob@lab>\r\n"
TAKEN = [250, 250, 354, 250]


@pytest.mark.parametrize(
    ("name", "commands", "expected"),
    [
        ("open", mail(), TAKEN),
        ("auth-required", mail(), [530, 503, 503, 500, 500]),
        ("auth-required", LOGIN + mail(), [235, *TAKEN]),
        ("sender-must-match-login", mail(), [553, 503, 503, 500, 500]),
        ("sender-must-match-login", LOGIN + mail("eve@lab"), [235, 553, 503, 503, 500, 500]),
        ("sender-must-match-login", LOGIN + mail("ADA@lab"), [235, *TAKEN]),
        ("greylist", mail(), [250, 451, 503, 500, 500]),
        ("greylist", START + b"RSET\r\n" + mail(), [250, 451, 250, *TAKEN]),
        ("rate-limit", mail() * 4, [*TAKEN * 3, 421]),
        ("mailbox-full", mail(), [250, 452, 503, 500, 500]),
        ("mailbox-full-552", mail(), [250, 552, 503, 500, 500]),
        ("flaky-after-dot", mail() * 2, [250, 250, 354]),
    ],
)
def test_the_replies_of_a_personality(name: str, commands: bytes, expected: list[int]) -> None:
    """Each refuses what its line of help says, and takes what is right."""
    assert codes(Conduct(name), commands) == expected


@pytest.mark.parametrize(
    ("recipient", "expected"),
    [
        ("reject-550@lab", [550] * 4),
        ("REJECT-571@lab", [571] * 4),
        ("reject-450@lab", [250] * 4),
        ("defer@lab", [451] * 4),
        ("defer-2x@lab", [451, 451, 250, 250]),
        ("greylist@lab", [451, 250, 250, 250]),
        ("mailbox-full@lab", [452] * 4),
        ("auth-required@lab", [530] * 4),
        ("sender-must-match-login@lab", [553] * 4),
        ("bob@lab", [250] * 4),
    ],
)
def test_a_recipient_asks_for_its_own_reply(recipient: str, expected: list[int]) -> None:
    """Four times the same recipient, and beside it one who just gets the mail."""
    rcpt = f"RCPT TO:<{recipient}>\r\nRCPT TO:<bob@lab>\r\n".encode()
    commands = b"MAIL FROM:<ada@lab>\r\n" + rcpt * 4
    assert codes(Conduct(), commands)[1::2] == expected
    assert codes(Conduct(), commands)[2::2] == [250] * 4


def test_drop_takes_the_message_and_says_nothing() -> None:
    """It is kept as dropped, and the connection is closed instead of a reply."""
    *_, dot, end = said(Conduct(), mail("ada@lab", "bob@lab", "drop@lab"), b"QUIT\r\n")
    assert isinstance(dot, Message)
    assert (dot.record.verdict, dot.described(7).reply) == ("dropped", "")
    assert dot.record.rule.startswith("flaky-after-dot: ")
    assert end == Close()


@pytest.mark.parametrize(
    ("name", "manner"),
    [
        ("slow", Manner(delay_s=2.0)),
        ("bytewise", Manner(bytewise=True)),
        ("multiline", Manner(multiline=True)),
        ("lf-only", Manner(lf_only=True)),
    ],
)
def test_a_manner_is_that_of_all_replies_or_of_one(name: str, manner: Manner) -> None:
    """As personality of all of them, the greeting too; as local part of the reply to RCPT."""
    replies = [*Session(TERMS, Conduct(name)).greeting(), *said(Conduct(name), mail())]
    assert {one.manner for one in replies if isinstance(one, Reply)} == {manner}
    _, rcpt, *rest = said(Conduct(), mail("ada@lab", f"{name}@lab"))
    assert isinstance(rcpt, Reply)
    assert rcpt.manner == manner
    assert {one.manner for one in rest if isinstance(one, Reply)} == {Manner()}


def test_replies_in_several_lines_and_with_other_line_ends() -> None:
    """A 334 has one line whatever happens (RFC 4954)."""
    several = Manner(multiline=True)
    assert Reply(250, "2.0.0", ("ok",), several).encode() == (
        b"250-2.0.0 a reply may have several lines\r\n250 2.0.0 ok\r\n"
    )
    assert Reply(334, "", ("",), several).encode() == b"334 \r\n"
    assert Reply(250, "", ("a", "b"), Manner(lf_only=True)).encode() == b"250-a\n250 b\n"


def test_a_change_counts_at_once_and_forgets() -> None:
    """For a session that goes on, too."""
    conduct = Conduct()
    session = Session(TERMS, conduct)
    session.feed(b"EHLO me\r\n")
    conduct.change("auth-required")
    (refused, attempt) = session.feed(b"MAIL FROM:<a@b>\r\n")
    assert isinstance(refused, Reply)
    assert isinstance(attempt, Attempted)
    assert (refused.code, attempt.record.personality) == (530, "auth-required")


def test_the_memory_has_an_end() -> None:
    """Ten thousand things are remembered; the oldest is forgotten."""
    memory = Memory()
    assert [memory.times("first"), memory.times("first")] == [0, 1]
    for number in range(10_000):
        memory.times(str(number))
    assert memory.times("first") == 0


MORE = [
    *COMMANDS,
    *(LOGIN, b"AUTH LOGIN\r\n", b"AUTH CRAM-MD5\r\n", b"*\r\n", b"YWRh\r\n", b"!\r\n"),
    *(b"AUTH\r\n", b"STARTTLS\r\n", mail(), mail("ada@lab", "drop@lab", "defer-1x@lab")),
    mail("a@b", "slow@lab", "lf-only@lab"),
]
SAID = st.lists(st.sampled_from(MORE) | st.binary(max_size=20), max_size=30).map(b"".join)


def _secured(session: Session, data: bytes, cuts: int) -> list[Event]:
    events: list[Event] = []
    for start in range(0, len(data), cuts):
        events += heard(session, data[start : start + cuts])
    return events


@given(SAID, st.sampled_from(list(PERSONALITIES)), st.integers(1, 600))
def test_the_cuts_make_no_difference_to_any_personality(said: bytes, name: str, cuts: int) -> None:
    """Any bytes, cut anywhere, give the same replies and records; nothing raises."""
    whole = _secured(Session(TERMS, Conduct(name)), b"EHLO me\r\n" + said, 1 << 20)
    assert _secured(Session(TERMS, Conduct(name)), b"EHLO me\r\n" + said, cuts) == whole
    for event in whole:
        if isinstance(event, Message | Attempted):
            assert isinstance(event.record, Record)
            assert len(event.record.dialogue) <= 250
