"""From one end to the other: what the client is given is what a server has, byte for byte."""

from __future__ import annotations

from random import Random
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.basic import FileSender

from mail.test_session import heard
from netlabsvc.mail import client
from netlabsvc.mail.command import Reply
from netlabsvc.mail.delivery import Outgoing, Result
from netlabsvc.mail.plan import Plan
from netlabsvc.mail.session import Session
from netlabsvc.mail.standing import Event, Message, Terms

#: Dots, line ends whole and in parts, commands, and bytes that are no ASCII.
PIECE = st.sampled_from(
    [b".", b"\r", b"\n", b"\r\n", b"x", b"\xff", b"DATA", b"\r\n.\r\n", b"." * 9]
)
#: As programs write it: whole lines.
LINE = st.sampled_from([b"\r\n", b".\r\n", b"..\r\n", b".x\r\n", b"x\r\n"])
BODY = st.one_of(st.lists(PIECE), st.lists(LINE)).map(b"".join)


def arrived(bodies: list[bytes], cuts: int, *, pipelining: bool) -> list[Message]:
    """What a session has of these mails, when the client's writes reach it in pieces."""
    session, transport = Session(Terms("lab", 10_000)), StringTransport()
    sender = client.Client(Clock(), Plan(hello="me", pipelining=pipelining), Random(1))
    results = list[Result | None]()
    for body in bodies:
        sender.send(Outgoing("ada@lab", ("bob@lab",), body)).addCallback(results.append)
    sender.makeConnection(transport)
    events: list[Event] = session.greeting()
    messages = list[Message]()
    while events:
        messages += [event for event in events if isinstance(event, Message)]
        replies = [event.encode() for event in events if isinstance(event, Reply)]
        sender.dataReceived(b"".join(replies))
        while transport.producer:
            transport.producer.resumeProducing()
        said = transport.value()
        transport.clear()
        events = heard(session, said, cuts)
    assert [result and result.ending for result in results] == [0] * len(bodies)
    return messages


@given(
    st.lists(BODY, min_size=1, max_size=3),
    st.integers(1, 40),
    st.integers(1, 9),
    st.sampled_from([0, client.SMALL_BYTES]),
    st.booleans(),
)
def test_any_bodies_in_any_blocks(
    bodies: list[bytes], cuts: int, block: int, small: int, pipelining: bool
) -> None:
    """Each arrives as one message, its lines ending with CRLF and nothing else changed."""
    with patch.object(client, "SMALL_BYTES", small), patch.object(FileSender, "CHUNK_SIZE", block):
        messages = arrived(bodies, cuts, pipelining=pipelining)
    assert [message.data for message in messages] == [_whole_lines(body) for body in bodies]


def _whole_lines(body: bytes) -> bytes:
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"
