"""The server's side of SMTP, without sockets: what is said for what was heard."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.command import Reply
from netlabsvc.mail.session import Session
from netlabsvc.mail.standing import Close, Event, Message, Terms

HELLO = b"EHLO me\r\n"
ENVELOPE = b"MAIL FROM:<ada@lab>\r\nRCPT TO:<bob@lab>\r\n"
MAIL = ENVELOPE + b"DATA\r\nhello\r\n.\r\n"


def heard(session: Session, data: bytes, cuts: int = 1 << 20) -> list[Event]:
    """All that comes of `data`; each message is said to be stored as number 7."""
    events: list[Event] = []
    for start in range(0, len(data), cuts):
        new = session.feed(data[start : start + cuts])
        while new:
            events += new
            new = session.stored(7) if isinstance(new[-1], Message) else []
    return events


def codes(*parts: bytes, max_size: int = 1000) -> list[int]:
    """The codes of all replies to these bytes, heard by a fresh session."""
    events = heard(Session(Terms("lab", max_size)), b"".join(parts))
    return [event.code for event in events if isinstance(event, Reply)]


def messages(*parts: bytes) -> list[Message]:
    events = heard(Session(Terms("lab", 1000)), b"".join(parts))
    return [event for event in events if isinstance(event, Message)]


def test_a_dialogue_by_hand() -> None:
    """Golden: the whole of a session, byte for byte."""
    session = Session(Terms("lab", 1000))
    data = HELLO + MAIL + b"QUIT\r\n"
    events = session.greeting() + heard(session, data)
    said = b"".join(event.encode() for event in events if isinstance(event, Reply))
    assert said == (
        b"220 lab ESMTP netlab mail sandbox\r\n"
        b"250-lab greets you\r\n250-SIZE 1000\r\n250-8BITMIME\r\n"
        b"250-SMTPUTF8\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH CRAM-MD5\r\n"
        b"250 2.1.0 sender ok\r\n250 2.1.5 recipient ok\r\n"
        b"354 go on; CR LF . CR LF ends the message\r\n"
        b"250 2.0.0 kept as 7\r\n221 2.0.0 lab says goodbye\r\n"
    )
    assert events[-1] == Close()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"MAIL FROM:<a@b>\r\n", [503]),
        (b"HELO me\r\nRCPT TO:<a@b>\r\n", [250, 503]),
        (b"HELO me\r\nDATA\r\n", [250, 503]),
        (b"HELO me\r\nMAIL FROM:<a@b>\r\nDATA\r\n", [250, 250, 503]),
        (b"HELO me\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n", [250, 250, 503]),
        (HELLO + ENVELOPE + b"RSET\r\nDATA\r\n", [250, 250, 250, 250, 503]),
        (HELLO + ENVELOPE + HELLO + b"DATA\r\n", [250, 250, 250, 250, 503]),
        (HELLO + MAIL + b"DATA\r\n", [250, 250, 250, 354, 250, 503]),
        (b"NOOP x\r\nRSET\r\nVRFY ada\r\nHELP\r\nnoop\r\n", [250, 250, 252, 214, 250]),
        (b"EHLO\r\nHELO a b\r\nVRFY\r\nDATA x\r\nRSET x\r\n", [501] * 5),
        (b"EXPN x\r\nGET / HTTP/1.1\r\n\r\n\x80\r\nR\xc5\xbfET\r\n", [500] * 5),
        (b"HELO me\n", [500]),
        (b"HELO m\re\r\nHELO m\0e\r\n", [500, 500]),
        (b"QUIT\r\nNOOP\r\n", [221]),
    ],
)
def test_the_order_and_form_of_commands(said: bytes, expected: list[int]) -> None:
    """RFC 5321 4.1.4: 503 out of order, 501 for a bad argument, 500 for what is no command."""
    assert codes(said) == expected


@pytest.mark.parametrize(
    ("path", "code"),
    [
        (b"FROM:<>", 250),
        (b"from: <a@b>", 250),
        (b'FROM:<"a >b"@c>', 250),
        (b"FROM:<a@[127.0.0.1]> SIZE=1000 BODY=8BITMIME SMTPUTF8", 250),
        ("FROM:<小@例> SMTPUTF8".encode(), 250),
        ("FROM:<小@例>".encode(), 553),
        (b"FROM:<\xff@b> SMTPUTF8", 500),
        (b"FROM:a@b", 501),
        (b"FROM:<a@b>SIZE=1", 501),
        (b"TO:<a@b>", 501),
        (b"FROM:<a b@c>", 553),
        (b"FROM:<@x,@y:a@b>", 553),
        (b"FROM:<a@b> SIZE=1001", 552),
        (b"FROM:<a@b> SIZE=x", 501),
        (b"FROM:<a@b> SIZE=1 SIZE=1", 501),
        (b"FROM:<a@b> BODY=9BIT", 501),
        (b"FROM:<a@b> AUTH=<>", 555),
    ],
)
def test_the_argument_of_mail(path: bytes, code: int) -> None:
    """Each parameter is checked, and an address that is none is refused, not repaired."""
    assert codes(HELLO, b"MAIL ", path, b"\r\n") == [250, code]


def test_helo_allows_no_parameters_and_rcpt_none() -> None:
    """Without EHLO there are no extensions; postmaster is the one name without a domain."""
    assert codes(b"HELO me\r\nMAIL FROM:<a@b> SIZE=1\r\n") == [250, 555]
    recipients = b"RCPT TO:<postmaster>\r\nRCPT TO:<>\r\nRCPT TO:<a@b> NOTIFY=NEVER\r\n"
    assert codes(HELLO, b"MAIL FROM:<>\r\n", recipients)[2:] == [250, 553, 555]


def test_the_envelope_and_the_bytes_are_kept_apart_and_exact() -> None:
    """Nothing is added to the message, and its headers do not touch the envelope."""
    data = b"From: x@y\r\nTo: z@y\r\n\r\n\xff\0bare\rCR\nLF\r\n"
    start = b"EHLO m\r\nMAIL FROM:<Ada@LAB> BODY=8BITMIME\r\nRCPT TO:<b@c>\r\nRCPT TO:<B@c>\r\n"
    (message,) = messages(start, b"DATA\r\n", data, b".\r\n")
    assert message.data == data
    assert message.record.mail_from == "Ada@LAB"
    assert message.record.rcpt_to == ("b@c", "B@c")
    assert message.record.facts.hello == "m"
    assert message.record.body_8bit


def test_the_dot_is_answered_when_the_store_has_the_message() -> None:
    """Until then nothing is said, and what was sent behind the message waits."""
    session = Session(Terms("lab", 1000))
    events = session.feed(HELLO + MAIL + MAIL)
    assert isinstance(events[-1], Message)
    assert session.feed(b"QUIT\r\n") == []
    again = session.failed()
    assert [event.code for event in again if isinstance(event, Reply)] == [451, 250, 250, 354]
    rest = session.stored(8)
    assert [event.code for event in rest if isinstance(event, Reply)] == [250, 221]


def test_after_a_limit_nothing_of_the_message_becomes_a_command() -> None:
    """A body that is too large, or has too long a line, is swallowed to its real end."""
    large = b"x\r\n" * 400 + b"QUIT\r\n"
    assert codes(HELLO, ENVELOPE, b"DATA\r\n", large, b".\r\nNOOP\r\n")[4:] == [552, 250]
    line = b"x" * 70_000 + b"\r\nQUIT\r\n"
    replies = codes(HELLO, ENVELOPE, b"DATA\r\n", line, b".\r\nNOOP\r\n", max_size=100_000)
    assert replies[4:] == [554, 250]


def test_a_command_line_of_512_octets_and_one_more() -> None:
    """The longest line counts its CRLF; a longer one is answered once, with 500."""
    for length, code in ((512, 250), (513, 500), (200_000, 500)):
        line = b"NOOP " + b"x" * (length - 7) + b"\r\n"
        for cuts in (1 << 20, 100):
            events = heard(Session(Terms("lab", 1000)), line + b"QUIT\r\n", cuts)
            assert [e.code for e in events if isinstance(e, Reply)] == [code, 221]


def test_a_hundred_recipients_then_452() -> None:
    """Those that were taken still get the message."""
    many = b"".join(b"RCPT TO:<u%d@lab>\r\n" % n for n in range(150))
    replies = codes(HELLO, b"MAIL FROM:<>\r\n", many, b"DATA\r\n.\r\n")
    assert replies == [250, 250] + [250] * 100 + [452] * 50 + [354, 250]


def test_twenty_bad_commands_then_421() -> None:
    """A peer that speaks something else does not stay for ever."""
    session = Session(Terms("lab", 1000))
    events = heard(session, b"GARBAGE\r\n" * 300)
    replies = [event.code for event in events if isinstance(event, Reply)]
    assert replies == [500] * 20 + [421]
    assert events[-1] == Close()
    assert session.feed(b"NOOP\r\n") == []


COMMANDS = [
    *(HELLO, b"HELO x\r\n", ENVELOPE, b"DATA\r\n", b".\r\n", b"..\r\n", b"RSET\r\n", b"HELO\n"),
    *(b"MAIL FROM:<\xff>\r\n", b"MAIL FROM:<a@b> SIZE=9 SMTPUTF8\r\n", b"QUIT\r\n", b"x" * 600),
    *(b"\r", b"\n", b"\r\n", b".", b"<", b'"', b"\x80", b"\0", b"x" * 2000, b"VRFY x\r\n"),
]
SAID = st.lists(st.sampled_from(COMMANDS) | st.binary(max_size=20), max_size=30).map(b"".join)


@given(SAID, st.lists(st.integers(1, 700), min_size=1))
def test_the_cuts_make_no_difference_and_nothing_raises(said: bytes, cuts: list[int]) -> None:
    """Any bytes, cut anywhere, give the same events as in one piece."""
    session, events, rest = Session(Terms("lab", 1000)), list[Event](), said
    for cut in cuts * len(said):
        events += heard(session, rest[:cut])
        rest = rest[cut:]
        if not rest:
            break
    assert events == heard(Session(Terms("lab", 1000)), said)
    assert all(len(e.encode()) < 3000 for e in events if isinstance(e, Reply))


@given(SAID)
def test_every_reply_is_well_formed(said: bytes) -> None:
    """Code, hyphen or blank, printable ASCII, at most 512 octets a line (RFC 5321 4.5.3.1.5)."""
    for event in heard(Session(Terms("lab", 1000)), HELLO + said):
        if isinstance(event, Reply):
            *lines, last = event.encode().split(b"\r\n")
            assert last == b""
            for line in lines:
                assert len(line) <= 510
                assert line[:3].isdigit()
                assert line.decode("ascii").isprintable()


@pytest.mark.parametrize("before", [b"", HELLO + ENVELOPE + b"DATA\r\n"])
def test_what_will_be_refused_is_not_kept(before: bytes) -> None:
    """Ten megabytes without a line end, as a command or in a message, take no memory."""
    session = Session(Terms("lab", 100_000))
    session.feed(before)
    tracemalloc.start()
    for _ in range(200):
        session.feed(b"x" * 50_000)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


def test_many_small_pieces_cost_no_more_than_their_number() -> None:
    """Four times as many pieces take about four times as long, not sixteen times."""

    def cost_s(size: int) -> float:
        session = Session(Terms("lab", 1 << 30))
        heard(session, HELLO + ENVELOPE + b"DATA\r\n")
        start = time.perf_counter()
        heard(session, b"41 octets of text, line end included\r\n" * (size // 41), cuts=64)
        return time.perf_counter() - start

    few = min(cost_s(500_000) for _ in range(3))
    assert min(cost_s(2_000_000) for _ in range(3)) < 9 * few
