"""netlab mail as a process, as a user starts it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_twisted
from click.testing import CliRunner
from twisted.internet.utils import getProcessOutputAndValue

from mail.running import listening, sandbox
from netlabsvc.cli.main import main

PLAIN = ("--from", "ada@lab", "--to", "bob@lab")


class Ended(NamedTuple):
    status: int
    out: str
    err: str


async def netlab_mail(port: int, *arguments: str, stdin: bytes = b"") -> Ended:
    """What `netlab mail --server 127.0.0.1:port ...` prints, and its status."""
    code = "from netlabsvc.cli.main import main; main(prog_name='netlab')"
    command = ["-c", code, "mail", "--server", f"127.0.0.1:{port}", *arguments]
    out, err, status = await getProcessOutputAndValue(
        sys.executable, command, env=os.environ, stdinBytes=stdin
    )
    return Ended(status, out.decode(), err.decode())


@pytest_twisted.ensureDeferred
async def test_a_mail_from_stdin(tmp_path: Path) -> None:
    """The text is what was piped in; one line says that it was delivered."""
    async with sandbox(tmp_path) as running:
        ended = await netlab_mail(
            running.port, *PLAIN, "--subject", "你好", stdin="正文\n".encode()
        )
        assert ended == (0, "delivered to bob@lab: 250 2.0.0 kept as 1\n", "")
        (message,) = running.messages()
    assert b"\r\nTo: bob@lab\r\nSubject: =?utf-8?" in message
    assert b"\r\nMessage-ID: <" in message


@pytest_twisted.ensureDeferred
async def test_the_dialogue_can_be_watched(tmp_path: Path) -> None:
    """With -v each line of both sides is on stderr, in its order."""
    async with sandbox(tmp_path) as running:
        to = ("--to", "bob@lab,eve@lab", "--to", "小@例")
        ended = await netlab_mail(running.port, "--from", "ada@lab", *to, "--body", "hi", "-v")
    assert ended.status == 0
    starts = [line[:12] for line in ended.err.splitlines() if line.startswith("C: ")]
    assert starts[1:] == [
        *("C: MAIL FROM", "C: RCPT TO:<", "C: RCPT TO:<", "C: RCPT TO:<"),
        *("C: DATA     ", starts[6], "C: .        ", "C: QUIT     "),
    ]
    assert ended.err.startswith("S: 220 lab.example ESMTP")


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--from", "ada@lab"), 64, "Missing option '--to'"),
        ((*PLAIN, "--server", "x:y"), 64, "'y' is no port"),
        ((*PLAIN, "--to", "eve@la b"), 65, "Error: 'eve@la b': a blank at character 7"),
        ((*PLAIN, "--to", "eve@lab,"), 65, "nothing between two commas"),
        (
            (*PLAIN, "--subject", "a\r\nBcc: eve@lab"),
            65,
            "CR at character 2 of the value of Subject",
        ),
        ((*PLAIN, "--really", "--server", "no-such-host.invalid:25"), 68, "host not found"),
        (PLAIN, 69, "cannot connect: Connection was refused"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_cannot_be_sent(arguments: tuple[str, ...], status: int, complaint: str) -> None:
    """The status says what kind of mistake it is, the last line on stderr names it."""
    async with listening() as port:
        pass
    ended = await netlab_mail(port, *arguments, "--body", "hi")
    assert (ended.status, ended.out) == (status, "")
    assert complaint in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err


@pytest_twisted.ensureDeferred
async def test_a_refusal_and_a_text_that_is_none() -> None:
    """What a server said is shown on one line; bytes that are no text are not sent."""
    script = (b"220 x\r\n", "EHLO", b"250 x\r\n", "MAIL", b"553-you\r\n553 no\r\n", "QUIT", None)
    async with listening(*script) as port:
        ended = await netlab_mail(port, *PLAIN, "--body", "hi")
        assert ended.status == 69
        assert ended.err == f"Error: 127.0.0.1 port {port}: MAIL refused: 553 you no\n"
        ended = await netlab_mail(port, *PLAIN, stdin=b"ok\xff")
        assert (ended.status, ended.err) == (65, "Error: the text is not UTF-8 at byte 3\n")


@pytest_twisted.ensureDeferred
async def test_a_transcript_on_a_full_disk(tmp_path: Path) -> None:
    """The mail goes all the same, and what is missing is said in one line."""
    full = ("--transcript", "/dev/full", "--body", "hi")
    async with sandbox(tmp_path) as running:
        ended = await netlab_mail(running.port, *PLAIN, *full)
    assert ended.status == 0
    assert ended.err == "/dev/full: No space left on device; it is not whole\n"


@pytest_twisted.ensureDeferred
async def test_secrets_are_shown_when_asked_for_and_only_then(tmp_path: Path) -> None:
    """On the loopback, with --show-secrets; else not even in what is kept."""
    login = ("--user", "ada", "--password-command", "echo correct-horse", "--auth", "PLAIN")
    forms = ("AGFkYQBjb3JyZWN0LWhvcnNl", "correct-horse")
    transcript = tmp_path / "dialogue"
    async with sandbox(tmp_path) as running:
        for option, shown in (((), False), (("--show-secrets",), True)):
            show = (*option, "-v", "--json", "--transcript", str(transcript), "--body", "hi")
            ended = await netlab_mail(running.port, *PLAIN, *login, *show)
            assert ended.status == 0, ended
            everything = ended.out + ended.err + transcript.read_text("utf-8")
            assert any(form in everything for form in forms) is shown
            assert ("<secret>" in everything) is not shown


FAR = ("--server", "192.0.2.1", "--user", "ada@lab", "--password-command", "echo secret")


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ((*PLAIN, "--server", "192.0.2.1"), 64, "nobody logs in (--user) as the sender ada@lab"),
        ((*FAR, "--from", "eve@lab", "--to", "bob@lab"), 64, "eve@lab is not --user ada@lab"),
        (("--user", "a\nb", "--to", "bob@lab"), 64, r"a\nb: a control character cannot be part"),
        ((*FAR, *PLAIN, "--mail-from", "eve@lab"), 64, "--really sends it"),
        ((*FAR, *PLAIN, "--tls", "off"), 64, "--insecure-auth does it all the same"),
        ((*FAR, *PLAIN, "--show-secrets"), 64, "for servers on this machine"),
        ((*PLAIN, "--mx"), 64, "it wants --really"),
        ((*PLAIN, "--auth", "PLAIN"), 64, "--auth needs --user"),
        ((*PLAIN, "--hello", "a\r\nRSET"), 65, "is no host name"),
        ((*PLAIN, "--header", "X\r\nBcc: a"), 65, "is no header name"),
        ((*PLAIN, "--header", "X : a"), 65, "is no header name"),
        ((*PLAIN, "--header", "nothing"), 65, "write 'Name: value'"),
        ((*PLAIN, "--rcpt", "a b@lab"), 65, "a blank"),
        ((*PLAIN, "--attach", "/no/such"), 65, "No such file"),
        ((*PLAIN, "--user", "ada", "--password-file", "/no/such"), 78, "No such file"),
        ((*PLAIN, "--user", "ada", "--password-command", "exit 3"), 78, "ended with status 3"),
        ((*PLAIN, "--ca", "/dev/null", "--tls", "starttls"), 78, "no certificate in it"),
    ],
)
def test_refused_before_anything_is_sent(
    arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    """Options, addresses, headers and names are judged by name; no server is asked."""
    words = ["mail", *arguments, "--body", "hi"]
    ran = CliRunner().invoke(main, words, env={"NETLAB_MAIL_PASSWORD": None})
    assert (ran.exit_code, complaint in ran.output.splitlines()[-1]) == (status, True), ran.output
