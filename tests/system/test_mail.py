"""A real daemon's mail sandbox, with clients that nobody here wrote."""

from __future__ import annotations

import signal
import smtplib
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from netlabsvc.mail.mailbox import Mailbox
from netlabsvc.mail.record import Record
from support.daemon import NETLAB, Daemon
from support.outside import need

QUIET = ("--services=mail",)


def run(*command: str, stdin: str = "") -> tuple[str, int]:
    """What a program printed, and its status."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout + done.stderr, done.returncode


def records(daemon: Daemon) -> list[Record]:
    """All there are, the oldest first."""
    with Mailbox(daemon.state_dir) as mailbox:
        return [mailbox.record(entry.id) for entry in reversed(mailbox.page())]


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--tls",),
        ("--tls", "--auth", "LOGIN", "--auth-user", "ada", "--auth-password", "pAssw0rd"),
        ("--auth", "CRAM-MD5", "--auth-user", "ada", "--auth-password", "pAssw0rd"),
        ("--pipeline",),
        ("--protocol", "SMTP"),
    ],
)
def test_swaks(options: tuple[str, ...], tmp_path: Path) -> None:
    """Plain, in TLS, logged in, pipelined, and as of 1982."""
    swaks = need("swaks")
    with Daemon(tmp_path, *QUIET) as daemon:
        server = f"127.0.0.1:{daemon.ports['mail']}"
        envelope = ("--from", "ada@lab", "--to", "bob@lab", "--body", "..\n.\n")
        told, status = run(swaks, "--server", server, *envelope, *options)
        assert status == 0, told
        (record,) = records(daemon)
        assert (record.verdict, record.rcpt_to) == ("kept", ("bob@lab",))
        assert bool(record.facts.tls) == ("--tls" in options)
        assert record.facts.auth_user == ("ada" if "--auth" in options else "")
        assert "pAssw0rd" not in repr(record)
        with Mailbox(daemon.state_dir) as mailbox:
            assert b"\r\n\r\n..\r\n.\r\n" in mailbox.source(1)


def test_swaks_that_drops_in_the_middle(tmp_path: Path) -> None:
    """What it offered is listed as abandoned, with its dialogue."""
    swaks = need("swaks")
    with Daemon(tmp_path, *QUIET) as daemon:
        server = f"127.0.0.1:{daemon.ports['mail']}"
        run(swaks, "--server", server, "--from", "a@b", "--to", "c@d", "--drop-after-send", "RCPT")
        for verdict in iter(lambda: [one.verdict for one in records(daemon)], ["abandoned"]):
            assert verdict == [], verdict
        (record,) = records(daemon)
        assert [line.text for line in record.dialogue][-2:] != []


def test_msmtp_and_curl_in_tls_from_the_first_byte(tmp_path: Path) -> None:
    """The second door: msmtp with a login, curl with smtps; and refused recipients are told."""
    msmtp, curl = need("msmtp"), need("curl")
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nhi\r\n")
    with Daemon(tmp_path, *QUIET, "--smtp-tls-port=0") as daemon:
        doors = [line for line in daemon.lines if "mail listens" in line]
        port = doors[1].partition("/tcp")[0].rpartition(":")[2]
        common = ["--host=127.0.0.1", f"--port={port}", "--tls", "--tls-starttls=off"]
        common += ["--tls-certcheck=off", "--auth=plain", "--user=ada", "--passwordeval=echo x"]
        told, status = run(msmtp, *common, "--from=a@b", "bob@lab", stdin="Subject: y\n\nhi\n")
        assert status == 0, told
        url = f"smtps://127.0.0.1:{port}/me"
        options = ("-sSk", "--mail-from", "a@b", "-T", str(tmp_path / "mail"))
        told, status = run(curl, url, *options, "--mail-rcpt", "bob@lab")
        assert status == 0, told
        told, status = run(curl, url, *options, "--mail-rcpt", "reject-550@lab")
        assert (status, "550" in told) == (55, True)
        assert [one.verdict for one in records(daemon)] == ["kept", "kept", "refused"]
        assert records(daemon)[0].facts.auth_user == "ada"


def test_smtp_source_of_postfix(tmp_path: Path) -> None:
    """A thousand messages over ten connections: all of them are there."""
    source = need("smtp-source")
    with Daemon(tmp_path, *QUIET) as daemon:
        load = ("-s", "10", "-l", "4096", "-m", "1000", "-d", "-f", "a@b.lab", "-t", "c@d.lab")
        told, status = run(source, *load, f"127.0.0.1:{daemon.ports['mail']}")
        assert (told, status) == ("", 0)
        with Mailbox(daemon.state_dir) as mailbox:
            assert mailbox.counts().mails == 1000


def test_commands_behind_starttls_are_dropped(tmp_path: Path) -> None:
    """What could have been slipped in between is not obeyed (CVE-2011-0411)."""
    with Daemon(tmp_path, *QUIET) as daemon:
        sock = socket.create_connection(("127.0.0.1", daemon.ports["mail"]), 10)
        sock.sendall(b"EHLO me\r\n")
        heard = b""
        while b"250 AUTH" not in heard:
            heard += sock.recv(4096)
        sock.sendall(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@x>\r\n")
        assert sock.recv(4096).startswith(b"220 ")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(sock) as inside:
            inside.sendall(b"DATA\r\nMAIL FROM:<a@b>\r\n")
            assert inside.recv(4096).startswith(b"503 ")


def test_every_250_survives_a_kill(tmp_path: Path) -> None:
    """kill -9 in the middle of a load: what was answered is there, byte for byte."""
    kept: dict[int, bytes] = {}

    def load(port: int, name: int) -> None:
        client = smtplib.SMTP("127.0.0.1", port, timeout=10)
        for number in range(100_000):
            data = f"Subject: {name}-{number}\r\n\r\n{'x' * 2000}\r\n".encode()
            client.ehlo_or_helo_if_needed()
            try:
                client.mail("a@b")
                client.rcpt("c@d")
                code, text = client.data(data)
            except (smtplib.SMTPException, OSError):
                return
            assert code == 250
            kept[int(text.rpartition(b" ")[2])] = data

    with Daemon(tmp_path, *QUIET) as daemon:
        port = daemon.ports["mail"]
        threads = [threading.Thread(target=load, args=(port, n)) for n in range(5)]
        for thread in threads:
            thread.start()
        while len(kept) < 300:
            threads[0].join(0.05)
        daemon.stop(signal.SIGKILL)
        for thread in threads:
            thread.join()
    with Daemon(tmp_path, *QUIET) as daemon, Mailbox(daemon.state_dir) as mailbox:
        assert {mail_id: mailbox.source(mail_id) for mail_id in kept} == kept


def test_the_inbox_in_scripts(tmp_path: Path) -> None:
    """wait, rm and personality against a running daemon, as a script would use them."""
    with Daemon(tmp_path, *QUIET) as daemon:
        where = f"--state-dir={daemon.state_dir}"

        def inbox(*words: str) -> tuple[str, int]:
            return run(str(NETLAB), "inbox", words[0], where, *words[1:])

        assert inbox("wait", "--timeout", "0.2") == ("Error: no such mail within 0.2 s\n", 1)
        waiting = subprocess.Popen(
            [NETLAB, "inbox", "wait", where, "--to", "BOB@lab", "--subject-has", "Hel"],
            stdout=subprocess.PIPE,
            text=True,
        )
        with smtplib.SMTP("127.0.0.1", daemon.ports["mail"]) as client:
            client.sendmail("a@b", ["bob@lab"], "Subject: hello\r\n\r\nhi\r\n")
            assert waiting.communicate(timeout=20)[0] == "1\n"
            assert inbox("wait", "--to", "bob@lab", "--after", "1", "--timeout", "0")[1] == 1
            ctl = (str(NETLAB), "ctl", f"--control={daemon.control}", "mail", "personality")
            assert run(*ctl, "mailbox-full")[0].startswith("mailbox-full   (configured: open)")
            client.mail("a@b")
            assert client.rcpt("bob@lab")[0] == 452
            assert run(*ctl, "--reset")[0].startswith("open\n")
        assert inbox("rm", "1") == ("1 removed\n", 0)
        assert "there is no mail 1" in inbox("show", "1")[0]
