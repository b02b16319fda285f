"""netlabsvc.mail.tally: what a sandbox counts is what happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import fail

from mail.running import Running, connect, sandbox
from netlabsvc.mail.session import Session
from netlabsvc.mail.standing import Terms
from netlabsvc.mail.tally import Tally

START = b"MAIL FROM:<ada@lab>\r\nRCPT TO:<bob@lab>\r\nDATA\r\n"
REFUSED = [("RCPT", 5), ("DATA", 5), ("RSET", 5)]


def figures(running: Running) -> dict[str, float]:
    """All figures of a sandbox that are not 0, by name and the values of their labels."""
    return {
        " ".join([m.name.removeprefix("netlab_mail_"), *(value for _, value in s.labels)]): s.value
        for m in running.factory.metrics()
        for s in m.samples
        if s.value
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"EHLO me\r\nNOOP\r\n", {}),
        (b"MAIL FROM:<a@b>\r\n", {("MAIL", 5): 1}),
        (b"EHLO me\r\nRCPT TO:x\r\nDATA\r\nrset x\r\n", dict.fromkeys(REFUSED, 1)),
        (b"XYZZY\r\nplugh\r\n\xff\r\nNOOP\n", {("other", 5): 4}),
        (b"EHLO me\r\n" + START + b"x" * 2000 + b"\r\n.\r\n", {("message", 5): 1}),
    ],
)
def test_refusals_by_what_and_class(said: bytes, expected: dict[tuple[str, int], int]) -> None:
    """A command by its verb, unless it is unknown: no peer makes a new label."""
    tally = Tally()
    Session(Terms("lab", 1000), tally=tally).feed(said)
    assert tally.refused == expected


def test_goodbyes_of_ours_are_refusals_of_the_connection() -> None:
    """Too many connections, silence, the end."""
    tally = Tally()
    for goodbye in (Session.too_many, Session.timed_out, Session.shut_down):
        goodbye(Session(Terms("lab", 1000), tally=tally))
    assert tally.refused == {("connection", 4): 3}


@pytest_twisted.ensureDeferred
async def test_messages_by_what_became_of_them(tmp_path: Path) -> None:
    """Kept with its bytes, refused, not kept for our own fault, and abandoned."""
    async with sandbox(tmp_path, max_size=1024) as running:
        peer = await connect(running.port)
        peer.say(b"EHLO me\r\n" + START + b"hello\r\n.\r\n" + START + b"x" * 2000 + b"\r\n.\r\n")
        await peer.hears(b"552 ")
        running.factory.store.add = lambda mail: fail(OSError("disk full"))  # type: ignore[method-assign]
        peer.say(START + b"hello\r\n.\r\n")
        await peer.hears(b"451 ")
        peer.say(START + b"hel")
        await peer.hears(b"354 ")
        assert figures(running)["open_connections"] == 1
        peer.transport.abortConnection()
        await running.factory.connections.all_gone()
        assert figures(running) == {
            "connections_total": 1,
            "messages_total kept": 1,
            "messages_total refused": 1,
            "messages_total failed": 1,
            "messages_total abandoned": 1,
            "kept_bytes_total": 7,
            "refused_total message 4xx": 1,
            "refused_total message 5xx": 1,
        }


@pytest_twisted.ensureDeferred
async def test_what_is_taken_and_not_answered_is_no_kept_message(tmp_path: Path) -> None:
    """drop@: the client is not told so, and the figures do not claim it."""
    async with sandbox(tmp_path) as running:
        peer = await connect(running.port)
        peer.say(b"EHLO me\r\n" + START.replace(b"bob", b"drop") + b"hello\r\n.\r\n")
        await peer.gone
        assert figures(running)["messages_total dropped"] == 1
        assert "messages_total kept" not in figures(running)
