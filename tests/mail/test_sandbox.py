"""The mail sandbox on real sockets, with clients that nobody here wrote."""

from __future__ import annotations

import os
import smtplib
import socket
from email.message import EmailMessage
from pathlib import Path

import pytest_twisted
from twisted.internet.defer import fail
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from mail.running import connect, reactor, sandbox
from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.sandbox import Factory
from netlabsvc.mail.settings import Sandbox
from support.outside import need

START = b"EHLO me\r\nMAIL FROM:<ada@lab>\r\nRCPT TO:<bob@lab>\r\nDATA\r\n"


async def output(program: str, *arguments: str, stdin: bytes = b"") -> tuple[str, int]:
    """What a program printed, and its status."""
    out, err, status = await getProcessOutputAndValue(
        need(program), arguments, env=os.environ, stdinBytes=stdin
    )
    return (out + err).decode(), status


@pytest_twisted.ensureDeferred
async def test_swaks_delivers(tmp_path: Path) -> None:
    """A client in Perl: what it says it sent is what is kept."""
    async with sandbox(tmp_path) as running:
        told, status = await output(
            *("swaks", "--server", "127.0.0.1", "--port", str(running.port), "--to", "bob@lab"),
            *("--from", "ada@lab", "--ehlo", "me", "--pipeline", "--body", "..dots\n.\nend"),
        )
        assert status == 0, told
        (message,) = running.messages()
        assert b"\r\n\r\n..dots\r\n.\r\nend\r\n" in message
        with Mailbox(tmp_path) as mailbox:
            entry = mailbox.entry(1)
        assert (entry.hello, entry.mail_from, entry.rcpt_to) == ("me", "ada@lab", ("bob@lab",))
        assert entry.peer.startswith("127.0.0.1:")
        assert f"kept as {entry.id}" in told


@pytest_twisted.ensureDeferred
async def test_curl_delivers(tmp_path: Path) -> None:
    """A client in C, a message of 8-bit bytes without any header."""
    data = bytes(range(128, 256)) + b"\r\n.\r\n"
    (tmp_path / "mail").write_bytes(data)
    async with sandbox(tmp_path) as running:
        told, status = await output(
            *("curl", "-sS", f"smtp://127.0.0.1:{running.port}/me", "--mail-from", "ada@lab"),
            *("--mail-rcpt", "bob@lab", "--mail-rcpt", "eve@lab", "-T", str(tmp_path / "mail")),
        )
        assert status == 0, told
        assert running.messages() == [data]


@pytest_twisted.ensureDeferred
async def test_smtplib_delivers(tmp_path: Path) -> None:
    """Python's own client: several mails over one connection, one with SMTPUTF8."""

    def deliver(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            for number in range(20):
                client.sendmail("ada@lab", ["bob@lab"], f"Subject: {number}\r\n\r\n.\r\n")
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = "小明@例子.中国", "bob@lab", "你好"
            client.send_message(message)

    async with sandbox(tmp_path) as running:
        await deferToThread(deliver, running.port)
        with Mailbox(tmp_path) as mailbox:
            entries = mailbox.page(limit=1000)
        assert [entry.subject for entry in reversed(entries)] == [*map(str, range(20)), "你好"]
        assert entries[0].mail_from == "小明@例子.中国"


@pytest_twisted.ensureDeferred
async def test_a_mail_in_one_packet_through_nc(tmp_path: Path) -> None:
    """Who closes its side at once still gets every reply."""
    said = START + b"hi\r\n.\r\n"
    async with sandbox(tmp_path) as running:
        told, _ = await output("nc", "-N", "127.0.0.1", str(running.port), stdin=said)
        assert told.endswith("250 2.0.0 kept as 1\r\n")
        assert running.messages() == [b"hi\r\n"]


@pytest_twisted.ensureDeferred
async def test_many_bad_commands_get_their_goodbye(tmp_path: Path) -> None:
    """The last reply arrives although much of what was sent is never looked at."""
    async with sandbox(tmp_path) as running:
        peer = await connect(running.port)
        peer.say(b"GARBAGE\r\n" * 100_000)
        assert b"\r\n421 4.7.0 " in await peer.hears(b"too many bad commands\r\n")


@pytest_twisted.ensureDeferred
async def test_a_silent_client_is_told_and_dropped(tmp_path: Path) -> None:
    """After idle_s a 421, soon after that the end, read or not."""
    clock = Clock()
    async with sandbox(tmp_path, clock, idle_s=60) as running:
        peer = await connect(running.port)
        await peer.hears(b"220 ")
        clock.advance(59)
        peer.say(START)
        await peer.hears(b"354 ")
        clock.advance(59)
        assert peer.gone.called is False
        clock.advance(1)
        assert b"421 4.4.2 " in await peer.hears(b"ends with CR LF . CR LF\r\n")
        await peer.gone
        assert len(running.factory.connections) <= 1


@pytest_twisted.ensureDeferred
async def test_new_settings_while_clients_are_connected(tmp_path: Path) -> None:
    """A silent client has the new time from then on; the size that EHLO told holds to the end."""
    clock = Clock()
    async with sandbox(tmp_path, clock, idle_s=60, max_size=5000) as running:
        peer = await connect(running.port)
        await peer.hears(b"220 ")
        running.factory.apply(Sandbox(idle_s=10, max_size=2000, max_connections=1))
        peer.say(b"EHLO me\r\n")
        assert b"SIZE 5000" in await peer.hears(b"ENHANCEDSTATUSCODES\r\n")
        refused = await connect(running.port)
        await refused.hears(b"421 ")
        clock.advance(10)
        assert b"421 4.4.2 " in await peer.hears(b"silent for too long\r\n")
        peer.transport.loseConnection()
        await running.factory.connections.all_gone()
        later = await connect(running.port)
        later.say(b"EHLO me\r\n")
        assert b"SIZE 2000" in await later.hears(b"ENHANCEDSTATUSCODES\r\n")


@pytest_twisted.ensureDeferred
async def test_a_client_that_does_not_read_is_not_read_either(tmp_path: Path) -> None:
    """Its replies do not pile up: sending gets stuck, and the deadline ends it."""
    clock = Clock()
    async with sandbox(tmp_path, clock) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as client:
            client.setblocking(False)
            sent, stuck = 0, 0
            while stuck < 500:  # turns of the reactor in which nothing went
                try:
                    sent += client.send(b"NOOP\r\n" * 10_000)
                    stuck = 0
                except BlockingIOError:
                    stuck += 1
                    await deferLater(reactor, 0)
                assert sent < 50_000_000
            clock.advance(301)
            clock.advance(3)
            await running.factory.connections.all_gone()


@pytest_twisted.ensureDeferred
async def test_one_connection_too_many(tmp_path: Path) -> None:
    """It gets a 421 instead of a greeting; when another goes there is room again."""
    async with sandbox(tmp_path, max_connections=1) as running:
        first = await connect(running.port)
        await first.hears(b"220 ")
        second = await connect(running.port)
        assert (await second.hears(b"\r\n")).startswith(b"421 4.3.2 ")
        await second.gone
        first.say(b"QUIT\r\n")
        await first.gone
        await running.factory.connections.all_gone()
        third = await connect(running.port)
        await third.hears(b"220 ")


@pytest_twisted.ensureDeferred
async def test_draining_lets_a_message_finish(tmp_path: Path) -> None:
    """Who is idle goes at once with a 421; who is in DATA goes after the reply to its dot."""
    async with sandbox(tmp_path) as running:
        idle, busy = await connect(running.port), await connect(running.port)
        await idle.hears(b"220 ")
        busy.say(START)
        await busy.hears(b"354 ")
        drained = running.factory.drain()
        assert b"421 4.3.2 " in await idle.hears(b"going down\r\n")
        await idle.gone
        assert not drained.called
        busy.say(b"hi\r\n.\r\nMAIL FROM:<ada@lab>\r\n")
        await busy.hears(b"250 2.0.0 kept as 1\r\n")
        await busy.hears(b"going down\r\n")
        await drained
        assert running.messages() == [b"hi\r\n"]


@pytest_twisted.ensureDeferred
async def test_a_client_that_vanishes_inside_a_message_leaves_nothing(tmp_path: Path) -> None:
    """Half a message is no message."""
    async with sandbox(tmp_path) as running:
        peer = await connect(running.port)
        peer.say(START + b"half")
        await peer.hears(b"354 ")
        peer.transport.abortConnection()
        await running.factory.connections.all_gone()
        assert running.messages() == []


@pytest_twisted.ensureDeferred
async def test_a_full_disk_is_a_451(tmp_path: Path) -> None:
    """The client hears that the mail was not kept, and the session goes on."""
    async with sandbox(tmp_path) as running:
        running.factory.store.add = lambda mail: fail(OSError("full"))  # type: ignore[method-assign]
        peer = await connect(running.port)
        peer.say(START + b"hi\r\n.\r\nQUIT\r\n")
        assert b"\r\n451 4.3.0 " in await peer.hears(b"221 ")


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_a_host_name_is_not_told(tmp_path: Path) -> None:
    """On a machine with a strange name the greeting is still ASCII."""
    async with sandbox(tmp_path) as running:
        ours = running.factory
        assert Factory(ours.settings, ours.store, ours.reactor, "küche").hostname == "localhost"
