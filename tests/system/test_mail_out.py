"""`netlab mail` through servers that nobody here wrote: aiosmtpd and Postfix's smtp-sink."""

from __future__ import annotations

import email
import email.policy
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from support.certificates import Authority, self_signed
from system.outgoing import PASSWORD, PLAIN, USER, aiosmtpd, netlab, smtp_sink

LOGIN = ("--user", USER)


@pytest.mark.parametrize(
    ("options", "status", "cause"),
    [
        (("-f", "MAIL", "-B", "553 5.7.1 not yours"), 69, "MAIL refused: 553"),
        (("-r", "RCPT"), 75, "no recipient was accepted: 4"),
        (("-r", "MAIL"), 75, "MAIL refused: 4"),
        (("-f", "DATA"), 69, "DATA refused: 5"),
        (("-f", "."), 69, "final dot refused: 5"),
        (("-q", "RCPT"), 75, "closed the connection (at: RCPT)"),
        (("-Q", "RCPT"), 75, "421"),
        (("-q", "."), 4, "whether the mail was delivered is unknown"),
        (("-f", "EHLO"), 0, ""),
    ],
)
def test_smtp_sink_refuses(options: tuple[str, ...], status: int, cause: str) -> None:
    """Each refusal has the right status and one line; HELO does where EHLO is refused."""
    with smtp_sink(*options) as port:
        ended = netlab("mail", "--server", f"127.0.0.1:{port}", *PLAIN)
    assert (ended.status, cause in ended.err) == (status, True), ended
    assert ended.err.count("\n") == (1 if status else 0)


def test_smtp_sink_is_slow() -> None:
    """A server that waits a second is waited for; --timeout bounds the whole dialogue."""
    with smtp_sink("-w", "1") as port:
        server = ("--server", f"127.0.0.1:{port}")
        assert netlab("mail", *server, *PLAIN).status == 0
        begun_s = time.monotonic()
        ended = netlab("mail", *server, *PLAIN, "--timeout", "0.5")
        assert time.monotonic() - begun_s < 5
    assert (ended.status, "DATA, 0.5 s" in ended.err) == (75, True), ended


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", None])
def test_a_login_through_starttls(tmp_path: Path, mechanism: str | None) -> None:
    """TLS with a certificate of the authority, then each mechanism; the mail arrives."""
    authority = Authority(tmp_path)
    more = () if mechanism is None else ("--auth", mechanism)
    with aiosmtpd(authority.sign("localhost"), auth_require_tls=True) as (port, kept):
        server = ("--server", f"localhost:{port}", "--ca", str(authority.file))
        ended = netlab(
            *("mail", *server, *PLAIN, *LOGIN, *more, "--tls", "starttls", "--json"),
            NETLAB_MAIL_PASSWORD=PASSWORD,
        )
    assert ended.status == 0, ended
    told = ended.json
    assert told["mechanism"] == (mechanism or "CRAM-MD5")
    assert (told["tls"], told["cipher"] != "") == ("TLSv1.3", True)
    assert told["recipients"][0]["fate"] == "delivered"
    assert kept.envelopes[0].rcpt_tos == ["bob@lab"]


def test_a_wrong_password_everywhere(tmp_path: Path) -> None:
    """Status 77, every mechanism named, and the password in no outlet."""
    authority, transcript = Authority(tmp_path), tmp_path / "dialogue.jsonl"
    with aiosmtpd(authority.sign("localhost")) as (port, _):
        server = ("--server", f"localhost:{port}", "--ca", str(authority.file), *LOGIN)
        show = ("-v", "--json", "--transcript", str(transcript), "--tls", "starttls")
        ended = netlab("mail", *server, *PLAIN, *show, NETLAB_MAIL_PASSWORD="wrong-horse")
    assert ended.status == 77
    assert all(f"{name} refused: 5" in ended.out for name in ("CRAM-MD5", "PLAIN", "LOGIN"))
    everything = ended.out + ended.err + transcript.read_text("utf-8")
    assert "C: AUTH PLAIN <secret>" in everything
    for form in (
        "wrong-horse",
        "d3JvbmctaG9yc2",
        "ADdyb25n",
        "ZABhd3Jvbmct",
        "YWRhQGxhYi5l",
    ):
        assert form not in everything


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("make", "trusted", "cause"),
    [
        (lambda path: self_signed(path), False, "the certificate is self-signed"),
        (lambda path: Authority(path).sign("localhost", days=-1), True, "has expired"),
        (lambda path: Authority(path).sign("other.example"), True, "is not for localhost"),
        (lambda path: Authority(path).sign("localhost"), False, "nobody who is trusted"),
    ],
)
def test_certificates_that_are_not_good(
    tmp_path: Path,
    make: Callable[[Path], tuple[Path, Path]],
    trusted: bool,
    cause: str,
    implicit: bool,
) -> None:
    """Self-signed, expired, for another name, of a stranger: no mail, and the reason."""
    files = make(tmp_path)
    ca = ("--ca", str(tmp_path / "authority.pem")) if trusted else ()
    mode = ("--tls", "implicit" if implicit else "starttls")
    with aiosmtpd(files, implicit=implicit) as (port, kept):
        server = ("--server", f"localhost:{port}", *mode)
        ended = netlab("mail", *server, *ca, *PLAIN)
        assert (ended.status, cause in ended.err) == (69, True), ended
        assert ended.err.count("\n") == 1
        assert kept.envelopes == []
        assert netlab("mail", *server, "--tls-insecure", *PLAIN).status == 0


def test_implicit_tls(tmp_path: Path) -> None:
    """TLS from the first byte; the dialogue marks what went through it."""
    authority = Authority(tmp_path)
    with aiosmtpd(authority.sign("localhost"), implicit=True) as (port, kept):
        server = ("--server", f"localhost:{port}", "--tls", "implicit", "--ca", str(authority.file))
        ended = netlab("mail", *server, *PLAIN, "-v")
    assert ended.status == 0, ended
    assert ended.err.startswith("C: (TLSv1.3, ")
    assert all(line.endswith(" TLS") for line in ended.err.splitlines())
    assert len(kept.envelopes) == 1


def test_size_and_smtputf8(tmp_path: Path) -> None:
    """A message too large is not sent; Chinese goes from end to end, or not at all."""
    files = tmp_path / "图.png", tmp_path / "正文.html"
    files[0].write_bytes(b"\x89PNG\r\n\x1a\n\0.\r\n.\n")
    files[1].write_text("<p>你好</p>", "utf-8")
    chinese = ("--from", "小明 <小明@例子.中国>", "--to", "bob@bücher.example", "--subject", "问候")
    more = ("--body", "你好\n.\n", "--attach", str(files[0]), "--html", str(files[1]))
    with aiosmtpd(enable_SMTPUTF8=True, data_size_limit=5000) as (port, kept):
        server = ("--server", f"127.0.0.1:{port}")
        assert netlab("mail", *server, *chinese, *more).status == 0
        large = netlab("mail", *server, *PLAIN[:4], "--body", "x " * 3000)
    assert (large.status, "the server takes 5000" in large.err) == (69, True)
    (envelope,) = kept.envelopes
    assert envelope.mail_from == "小明@例子.中国"
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert message["Subject"] == "问候"
    text, html, picture = [part for part in message.walk() if not part.is_multipart()]
    assert text.get_content().splitlines() == ["你好", "."]
    assert html.get_content().strip() == "<p>你好</p>"
    assert picture.get_filename() == "图.png"
    assert picture.get_content() == files[0].read_bytes()
    assert b"filename*=utf-8''%E5%9B%BE.png" in envelope.content
    with aiosmtpd(enable_SMTPUTF8=False) as (port, kept):
        ended = netlab("mail", "--server", f"127.0.0.1:{port}", *chinese, *more)
        assert (ended.status, "does not offer SMTPUTF8" in ended.err) == (69, True)
        idn = ("--from", "ada@bücher.example", "--to", "bob@例子.中国", "--body", "hi")
        assert netlab("mail", "--server", f"127.0.0.1:{port}", *idn).status == 0
    assert kept.envelopes[0].mail_from == "ada@xn--bcher-kva.example"
    assert kept.envelopes[0].rcpt_tos == ["bob@xn--fsqu00a.xn--fiqs8s"]


def test_a_large_message_byte_for_byte(tmp_path: Path) -> None:
    """Dots and line ends wherever the client's blocks are cut: aiosmtpd has what the file has."""
    random, eml = Random(9), tmp_path / "mail.eml"
    pieces = [b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"x" * 9, b".\r\n."]
    body = b"".join(random.choices(pieces, k=80_000)) + b"\r\n"
    eml.write_bytes(b"Subject: dots\r\n\r\n" + body)
    with aiosmtpd() as (port, kept):
        words = ("--eml", str(eml), *PLAIN[:4])
        ended = netlab("mail", "--server", f"127.0.0.1:{port}", *words)
    assert ended.status == 0, ended
    assert kept.envelopes[0].content == eml.read_bytes()


def test_a_load_over_four_connections() -> None:
    """Each of the mails is delivered, each with its own Message-ID."""
    with aiosmtpd() as (port, kept):
        load = ("--count", "50", "--connections", "4", "--json")
        ended = netlab("mail", "--server", f"127.0.0.1:{port}", *PLAIN, *load)
    assert (ended.json["mails"], ended.json["delivered"], ended.status) == (50, 50, 0)
    messages = [email.message_from_bytes(envelope.content) for envelope in kept.envelopes]
    assert len({message["Message-ID"] for message in messages}) == 50


def test_sendmail_for_programs_that_call_it() -> None:
    """Recipients of the headers, Bcc taken off, everything else kept."""
    message = "To: Bob <bob@lab>\nBcc: eve@lab,\n mia@lab\nSubject: x\n\n.\nBcc: text\n"
    with aiosmtpd() as (port, kept):
        server = {"NETLAB_MAIL_SERVER": f"127.0.0.1:{port}"}
        calls = (("-t", "-i", "-f", "ada@lab"), ("-ti", "-oem", "-odb", "-fada@lab"))
        for call in calls:
            ended = netlab("sendmail", *call, stdin=message, **server)
            assert ended == (0, "", "")
        cron = "From: root (Cron Daemon)\nTo: root\nSubject: Cron\n\nhello\n.\nnot this\n"
        words = ("-FCronDaemon", "-B8BITMIME", "-oem", "--domain", "lab", "root")
        assert netlab("sendmail", *words, stdin=cron, **server) == (0, "", "")
    first, second, third = kept.envelopes
    assert first.rcpt_tos == second.rcpt_tos == ["bob@lab", "eve@lab", "mia@lab"]
    assert b"\r\n\r\n.\r\nBcc: text\r\n" in first.content
    assert b"mia" not in first.content
    assert (third.mail_from, third.rcpt_tos) == ("root@lab", ["root@lab"])
    assert third.content.endswith(b"\r\n\r\nhello\r\n")
