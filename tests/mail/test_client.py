"""The client, with our own sandbox and with servers that do everything wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock

from mail.running import listening, reactor, sandbox
from netlabsvc.mail import client
from netlabsvc.mail.courier import deliver
from netlabsvc.mail.delivery import Ending, Outgoing, Result, Stage
from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.plan import Deadlines, Plan
from netlabsvc.mail.transcript import Line

MAIL = Outgoing("ada@lab", ("bob@lab",), b"Subject: hi\r\n\r\n.hello\r\n")
EHLO = b"250-lab\r\n250 PIPELINING\r\n"
OK = b"250 ok\r\n"
UNTIL_DATA = (b"220 lab\r\n", "EHLO", EHLO, "MAIL", OK, "RCPT", OK, "DATA\r\n")
UNTIL_DOT = (*UNTIL_DATA, b"354 go\r\n", "\r\n.\r\n")


async def sent(port: int, mail: Outgoing = MAIL, **more: Any) -> Result:
    endpoint, clock = TCP4ClientEndpoint(reactor, "127.0.0.1", port), more.pop("clock", reactor)
    return await deliver(clock, endpoint, mail, **more)


@pytest_twisted.ensureDeferred
async def test_a_mail_arrives_in_the_sandbox(tmp_path: Path) -> None:
    """Envelope and bytes are those that were given; the dialogue can be watched."""
    lines: list[str] = []
    async with sandbox(tmp_path) as running:
        mail = Outgoing("ada@lab", ("bob@lab", '"a b"@[127.0.0.1]'), b"a\r\n.\r\n..\r\nb\r\n")
        watch = {
            "hello": "me.example",
            "watch": lambda line: lines.append(f"{line.side} {line.text}"),
        }
        result = await sent(running.port, mail, **watch)
        assert (result.ending, result.cause) == (Ending.DELIVERED, "250 2.0.0 kept as 1")
        assert running.messages() == [mail.message]
        with Mailbox(tmp_path) as mailbox:
            entry = mailbox.entry(1)
    assert (entry.hello, entry.mail_from, entry.rcpt_to) == ("me.example", "ada@lab", mail.rcpt_to)
    commands = [line[2:] for line in lines if line.startswith("C")]
    assert commands == [
        *("EHLO me.example", "MAIL FROM:<ada@lab> SIZE=13", "RCPT TO:<bob@lab>"),
        *('RCPT TO:<"a b"@[127.0.0.1]>', "DATA", "(13 bytes of message)", ".", "QUIT"),
    ]


@pytest_twisted.ensureDeferred
async def test_letters_beyond_ascii_are_declared(tmp_path: Path) -> None:
    """SMTPUTF8 and BODY=8BITMIME go with MAIL when the mail needs them."""
    mail = Outgoing("小@例子.中国", ("bob@lab",), "正文\r\n".encode())
    async with sandbox(tmp_path) as running:
        assert (await sent(running.port, mail)).ending is Ending.DELIVERED
        assert running.messages() == [mail.message]
    for needs in (mail, Outgoing("a@b", ("c@d",), mail.message)):
        async with listening(b"220 x\r\n", "EHLO", EHLO, "QUIT", b"221 x\r\n", None) as port:
            result = await sent(port, needs)
            assert result.ending is Ending.UNAVAILABLE
            assert "does not offer" in result.cause


@pytest.mark.parametrize("size", [16383, 16384, 16385, 32768, 200_000])
@pytest_twisted.ensureDeferred
async def test_dots_at_the_borders_of_blocks(tmp_path: Path, size: int) -> None:
    """The file is read in blocks of 16 KiB; a dot, CR or LF may stand at their borders."""
    dots = b".\r\n" * (size // 3 + 1)
    texts = [
        dots[-size:],
        b"x" * 900 + b"\r\n" + dots[: size - 902],
        (b"x" * 62 + b"\r\n") * (size // 64),
    ]
    async with sandbox(tmp_path) as running:
        for number, text in enumerate(texts):
            message = text.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n").removesuffix(b"\r")
            message = message if message.endswith(b"\r\n") else message + b"\r\n"
            result = await sent(running.port, Outgoing("", ("bob@lab",), message))
            assert result.ending is Ending.DELIVERED, result
            assert running.messages()[number] == message


@pytest.mark.parametrize(
    ("script", "ending", "stage", "cause"),
    [
        ((*UNTIL_DOT, None), 4, Stage.DOT, "closed the connection"),
        ((*UNTIL_DOT, b"hm\r\n"), 4, Stage.DOT, "'hm' is no reply"),
        ((*UNTIL_DOT, b"354 more\r\n"), 4, Stage.DOT, "354 as answer"),
        ((*UNTIL_DOT, b"552 big\r\n", "QUIT", None), 69, Stage.DOT, "552 big"),
        ((*UNTIL_DOT, b"451 disk\r\n", "QUIT", None), 75, Stage.DOT, "451 disk"),
        ((*UNTIL_DATA, OK), 76, Stage.DATA, "250 as answer"),
        ((*UNTIL_DATA, b"354 go\r\n250 ok\r\n"), 76, Stage.BODY, "250 as answer"),
        ((*UNTIL_DATA, b"354 go\r\n554 no\r\n"), 69, Stage.BODY, "554 no"),
        ((*UNTIL_DATA, None), 75, Stage.DATA, "closed the connection"),
        ((*UNTIL_DATA, b"554 no\r\n", "QUIT", None), 69, Stage.DATA, "554 no"),
        ((*UNTIL_DATA[:-2], b"421 bye\r\n"), 75, Stage.RCPT, "421 bye"),
        ((*UNTIL_DATA[:-2], b"553 who\r\n", "QUIT", None), 67, Stage.RCPT, "553 who"),
        ((*UNTIL_DATA[:-2], b"450 later\r\n", "QUIT", None), 75, Stage.RCPT, "450 later"),
        ((*UNTIL_DATA[:-4], b"553 you\r\n", "QUIT", None), 69, Stage.MAIL, "553 you"),
        ((b"554 go away\r\n", "QUIT", None), 69, Stage.GREETING, "554 go away"),
        ((b"421 busy\r\n",), 75, Stage.GREETING, "421 busy"),
        ((b"220 x\n",), 76, Stage.GREETING, "LF alone"),
        ((b"HTTP/1.1 400 Bad\r\n",), 76, Stage.GREETING, "is no reply"),
        ((b"220-x\r\n250 y\r\n",), 76, Stage.GREETING, "two codes"),
        ((b"220-x\r\n" * 101,), 76, Stage.GREETING, "more than 100 lines"),
        ((b"2" * 70_000,), 76, Stage.GREETING, "more than 4096 octets"),
        ((None,), 75, Stage.GREETING, "closed the connection"),
        (
            (b"220 x\r\n", "EHLO", b"500 a\r\n", "HELO", b"502 b\r\n", "QUIT", None),
            69,
            Stage.EHLO,
            "502",
        ),
        ((b"220 x\r\n", "EHLO", b"450 a\r\n", "QUIT", None), 75, Stage.EHLO, "450 a"),
        (
            (b"220 x\r\n", "EHLO", b"250-x\r\n250 size 5\r\n", "QUIT", None),
            69,
            Stage.EHLO,
            "takes 5",
        ),
        (
            (b"220 x\r\n", "EHLO", b"250 \x1b[2J\r\n", "MAIL", b"550 \x1b[2J\r\n", None),
            69,
            Stage.MAIL,
            r"\x1b[2J",
        ),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_does_it_wrong(
    script: tuple[Any, ...], ending: int, stage: Stage, cause: str
) -> None:
    """Each ends at once, with the right status and one line that names the cause."""
    async with listening(*script) as port:
        result = await sent(port)
    assert (result.ending, result.stage) == (ending, stage)
    assert cause in result.cause
    assert result.cause.isprintable()


@pytest_twisted.ensureDeferred
async def test_helo_is_said_to_a_server_that_knows_no_ehlo() -> None:
    """Without extensions MAIL has no parameters."""
    script = (
        b"220 x\r\n",
        "EHLO",
        b"502 what\r\n",
        "HELO",
        OK,
        "MAIL FROM:<ada@lab>\r\n",
        *UNTIL_DOT[4:],
    )
    async with listening(*script, OK, "QUIT", b"221 bye\r\n", None) as port:
        assert (await sent(port)).ending is Ending.DELIVERED


@pytest_twisted.ensureDeferred
async def test_some_recipients_are_refused() -> None:
    """The others get the mail, and each has its own result."""
    mail = Outgoing("ada@lab", ("bob@lab", "eve@lab"), b"hi\r\n")
    script = (*UNTIL_DATA[:-1], "RCPT", b"550-no\r\n550 eve\r\n", "DATA\r\n", *UNTIL_DOT[-2:])
    async with listening(*script, OK, "QUIT", None) as port:
        result = await sent(port, mail)
    assert result.ending is Ending.SOME_REFUSED
    told = [(r.address, r.fate.value, r.code, r.text) for r in result.recipients]
    assert told == [("bob@lab", "delivered", 250, "ok"), ("eve@lab", "refused", 550, "no eve")]


async def sent_until(port: int, line: str, deadlines: Deadlines) -> tuple[Deferred[Result], Clock]:
    """A mail being sent whose dialogue has come to `line`, and the clock of its deadlines."""
    clock, come = Clock(), Deferred[None]()
    come.addTimeout(10, reactor)

    def watch(said: Line) -> None:
        if said.text == line:
            reactor.callLater(0, come.callback, None)  # not in the middle of its saying

    result = Deferred.fromCoroutine(sent(port, clock=clock, deadlines=deadlines, watch=watch))
    await come
    return result, clock


@pytest.mark.parametrize(
    ("script", "line", "after_s", "ending"),
    [
        ((b"220-slow\r\n220 one byte a secon",), "220-slow", 5, Ending.TRY_LATER),
        (UNTIL_DATA, "DATA", 6, Ending.TRY_LATER),
        (UNTIL_DOT, ".", 7, Ending.UNKNOWN),
        ((*UNTIL_DOT, OK, "QUIT"), "QUIT", 2, Ending.DELIVERED),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_that_hangs(
    script: tuple[Any, ...], line: str, after_s: float, ending: Ending
) -> None:
    """Each stage has its deadline; the answer to QUIT is waited for 2 s and changes nothing."""
    async with listening(*script) as port:
        deadlines = Deadlines(greeting_s=5, data_s=6, dot_s=7)
        result, clock = await sent_until(port, line, deadlines)
        clock.advance(after_s - 0.1)
        assert not result.called
        clock.advance(0.2)
        assert (await result.addTimeout(10, reactor)).ending is ending


@pytest_twisted.ensureDeferred
async def test_the_whole_dialogue_has_a_deadline_too() -> None:
    """A server that is just quick enough each time does not hold a client for ever."""
    async with listening(b"220 x\r\n", "EHLO", EHLO) as port:
        result, clock = await sent_until(port, "MAIL FROM:<ada@lab>", Deadlines(total_s=9))
        clock.advance(9)
        assert (await result.addTimeout(10, reactor)).ending is Ending.TRY_LATER


@pytest_twisted.ensureDeferred
async def test_no_server_at_all() -> None:
    """A port where nobody listens, and a name that is none."""
    async with listening() as port:
        pass
    assert (await sent(port)).ending is Ending.UNAVAILABLE
    for name in ("no-such-host.invalid", "x" * 300):
        result = await deliver(reactor, HostnameEndpoint(reactor, name, 25), MAIL)
        assert result.ending is Ending.NO_HOST


@pytest_twisted.ensureDeferred
async def test_the_name_for_ehlo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that could end the line is refused; a host whose name is no domain gives its address."""
    with pytest.raises(ValueError, match="no host name"):
        await sent(1, hello="me\r\nRSET")
    monkeypatch.setattr("socket.gethostname", lambda: "küche")
    async with sandbox(tmp_path) as running:
        await sent(running.port)
        with Mailbox(tmp_path) as mailbox:
            assert mailbox.entry(1).hello == "[127.0.0.1]"


def test_importing_the_client_has_no_side_effects() -> None:
    """On a host called küche, and without the reactor being installed."""
    code = (
        "import socket, sys; socket.getfqdn = lambda name='': 'küche'\n"
        "import netlabsvc.mail.courier; from twisted import internet\n"
        "assert 'twisted.internet.reactor' not in sys.modules\n"
        "assert not hasattr(internet, 'reactor')\n"
        "assert socket.getfqdn() == 'küche'\n"
        "from twisted.internet import reactor; assert reactor is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONUTF8": "1"})


def test_the_contract_with_the_stock_class() -> None:
    """The private parts that the client stands on: who gets the next reply, and which may come."""
    ours = client.Client(Clock(), Plan(hello="me"), Random(1))
    Factory.forProtocol(lambda: ours).buildProtocol(None)
    from twisted.internet.testing import StringTransport

    transport = StringTransport()
    ours.makeConnection(transport)
    assert list(ours._expected) == [220]
    assert ours._okresponse == ours.esmtpState_ehlo
    ours.dataReceived(b"220 x\r\n")
    assert transport.value() == b"EHLO me\r\n"
    assert 250 in ours._expected
    assert ours._okresponse == ours.esmtpState_serverConfig
    assert ours._failresponse == ours.smtpState_helo
    assert (ours.code, ours.resp) == (-1, [])
