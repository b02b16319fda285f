"""A real daemon's mail sandbox and clients that break every rule, byte by byte."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from itertools import product

import pytest

from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.record import Verdict
from support.daemon import Daemon

BEGIN = b"EHLO me\r\nMAIL FROM:<ada@lab>\r\nRCPT TO:<bob@lab>\r\nDATA\r\n"
LINE_ENDS = (b"\r", b"\n", b"\r\n", b"\n\r", b"\r\r\n", b"\r\n\n")
#: How much the daemon may hold besides what it needs anyway.
SPARE_KB = 24_000
BLOCK = b"x" * 65536


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("abuse")
    (directory / "netlab.toml").write_text("[mail.sandbox]\nmax_size = 1048576\n")
    with Daemon(directory, "--services=mail", "--config=netlab.toml") as daemon:
        yield daemon


def connect(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.ports["mail"]), 20)


def hear(sock: socket.socket) -> bytes:
    """All that is said to the end of the connection."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


def codes(heard: bytes) -> list[int]:
    """The replies, a multi-line one as one."""
    return [int(code) for code in re.findall(rb"^([0-9]{3}) ", heard, re.MULTILINE)]


def talk(daemon: Daemon, said: bytes) -> list[int]:
    """The codes of all replies to what is said at once, greeting first."""
    with connect(daemon) as sock:
        sock.sendall(said)
        return codes(hear(sock))


def newest(daemon: Daemon) -> bytes:
    """The message that was kept last."""
    with Mailbox(daemon.state_dir) as mailbox:
        kept = next(one for one in mailbox.page(limit=10) if one.verdict is Verdict.KEPT)
        return mailbox.source(kept.id)


@pytest.mark.parametrize(("before", "after"), [*product(LINE_ENDS, repeat=2)])
def test_only_crlf_dot_crlf_ends_a_message(daemon: Daemon, before: bytes, after: bytes) -> None:
    """Everything else around a dot is part of the message: nothing behind it is a command."""
    data = b"Subject: x\r\n\r\none" + before + b"." + after + b"VRFY x\r\n.\r\n"
    got = talk(daemon, BEGIN + data + b"QUIT\r\n")
    message, _, rest = data.partition(b"\r\n.\r\n")
    if rest:
        # VRFY was said, as was the dot behind it, which is no command.
        assert got == [220, 250, 250, 250, 354, 250, *_blank(after), 252, 500, 221]
    else:
        assert got == [220, 250, 250, 250, 354, 250, 221]
        message = data.removesuffix(b".\r\n")
    assert newest(daemon) == (message + b"\r\n" * bool(rest)).replace(b"\r\n.", b"\r\n")


def _blank(after: bytes) -> list[int]:
    """A line end too much is an empty command."""
    return [500] if after == b"\r\n\n" else []


HEAD = [220, 250, 250, 250, 354]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (b"NOOP " + b"x" * 5000 + b"\r\nQUIT\r\n", [220, 500, 221]),
        (b"GET / HTTP/1.1\r\nHost: lab\r\n\r\nQUIT\r\n", [220, 500, 500, 500, 221]),
        ("EHLO küche\r\n你好\r\nQUIT\r\n".encode(), [220, 501, 500, 221]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\0\0\0\nQUIT\r\n", [220, 500, 500, 221]),
        (b"XYZZY\r\n" * 300, [220, *[500] * 20, 421]),
        (BEGIN + b"x" * 2000 + b"\r\n.\r\nQUIT\r\n", [*HEAD, 250, 221]),
        (BEGIN + b"x" * 70_000 + b"\r\nRSET\r\n.\r\nQUIT\r\n", [*HEAD, 554, 221]),
        (BEGIN + b"RSET\r\n" * 200_000 + b".\r\nNOOP\r\nQUIT\r\n", [*HEAD, 552, 250, 221]),
        (b"EHLO me\r\nMAIL FROM:<a@b> SIZE=1048577\r\nQUIT\r\n", [220, 250, 552, 221]),
        (
            b"EHLO me\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<c@d>\r\n" * 1500 + b"QUIT\r\n",
            [220, 250, 250, *[250] * 100, *[452] * 1400, 221],
        ),
    ],
)
def test_what_is_wrong_is_told_and_the_session_goes_on(
    daemon: Daemon, said: bytes, expected: list[int]
) -> None:
    """Long lines, strange verbs, other protocols, too much of anything: each gets its reply."""
    assert talk(daemon, said) == expected


def peak_kb(daemon: Daemon) -> int:
    """The most memory that the daemon ever held."""
    return daemon.status("VmHWM")


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (b"", b"\r\nQUIT\r\n", [220, 500, 221]),
        (BEGIN, b"\r\n.\r\nQUIT\r\n", [*HEAD, 552, 221]),
        (b"EHLO me\r\nAUTH LOGIN\r\n", b"\r\nQUIT\r\n", [220, 250, 334, 500, 221]),
    ],
)
def test_13_mb_without_a_line_end_take_no_memory(
    daemon: Daemon, begin: bytes, end: bytes, expected: list[int]
) -> None:
    """As a command, a message and a password: one refusal, and the session goes on."""
    before_kb = peak_kb(daemon)
    with connect(daemon) as sock:
        sock.sendall(begin)
        for _ in range(200):
            sock.sendall(BLOCK)
        sock.sendall(end)
        assert codes(hear(sock)) == expected
    assert peak_kb(daemon) - before_kb < SPARE_KB


def test_an_endless_message_takes_no_memory(daemon: Daemon) -> None:
    """64 MB in whole lines where 1 MB is allowed: read to the real end, and refused once."""
    before_kb = peak_kb(daemon)
    with connect(daemon) as sock:
        sock.sendall(BEGIN)
        for _ in range(1000):
            sock.sendall((b"x" * 62 + b"\r\n") * 1024)
        sock.sendall(b".\r\nQUIT\r\n")
        assert codes(hear(sock)) == [*HEAD, 552, 221]
    assert peak_kb(daemon) - before_kb < SPARE_KB


def test_commands_behind_starttls_are_dropped(daemon: Daemon) -> None:
    """What could have been slipped in between is not obeyed, whatever its size (CVE-2011-0411)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with connect(daemon) as sock:
        sock.sendall(
            b"EHLO me\r\nSTARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@x>\r\n"
        )
        heard = b""
        while b"220 2.0.0" not in heard and b"220 go on" not in heard:
            heard += sock.recv(4096)
        with context.wrap_socket(sock) as inside:
            inside.sendall(b"DATA\r\nMAIL FROM:<a@b>\r\nQUIT\r\n")
            assert codes(hear(inside)) == [503, 503, 221]


def test_the_daemon_is_well_after_all_that(daemon: Daemon) -> None:
    """Many connections of garbage later it takes a mail, and holds no more than before."""
    before_kb = daemon.status("VmRSS")
    for number in range(200):
        with connect(daemon) as sock:
            sock.sendall(bytes(range(256)) * 20 + BEGIN * (number % 3))
    assert talk(daemon, BEGIN + b"Subject: well\r\n\r\n.\r\nQUIT\r\n") == [*HEAD, 250, 221]
    assert newest(daemon) == b"Subject: well\r\n\r\n"
    assert daemon.status("VmRSS") - before_kb < SPARE_KB
    assert not [line for line in daemon.lines if "Traceback" in line or "ERROR" in line]
