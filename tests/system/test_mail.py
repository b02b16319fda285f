"""A real daemon's mail sandbox, with clients that nobody here wrote."""

from __future__ import annotations

import re
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
from system.outgoing import netlab

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


def test_msmtp_with_starttls_and_a_login(tmp_path: Path) -> None:
    """The certificate is checked by the fingerprint that the daemon told; users_file decides."""
    msmtp = need("msmtp")
    line, _ = run(str(NETLAB), "inbox", "passwd", "ada", stdin="horse\n")
    (tmp_path / "users").write_text(line)
    (tmp_path / "netlab.toml").write_text(
        '[mail.sandbox]\nauth = "required"\nusers_file = "users"\n'
    )
    with Daemon(tmp_path, *QUIET, "--config=netlab.toml") as daemon:
        fingerprint = re.findall("(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", "\n".join(daemon.lines))[0]
        common = ["--host=127.0.0.1", f"--port={daemon.ports['mail']}", "--tls", "--from=a@b"]
        common += [f"--tls-fingerprint={fingerprint}", "--auth=plain", "--user=ada"]
        mail = "Subject: y\n\n.hi\n"
        told, status = run(msmtp, *common, "--passwordeval=echo horse", "bob@lab", stdin=mail)
        assert status == 0, told
        told, status = run(msmtp, *common, "--passwordeval=echo cow", "bob@lab", stdin=mail)
        assert (status, "535" in told) == (77, True), told
        while len(got := records(daemon)) < 2:  # an attempt is written down behind the reply
            assert daemon.process.poll() is None
        kept, refused = got
        assert (kept.verdict, kept.facts.auth_user, refused.verdict) == ("kept", "ada", "refused")
        assert kept.facts.tls == "TLSv1.3"
        with Mailbox(daemon.state_dir) as mailbox:
            assert mailbox.source(1).endswith(b"\r\n\r\n.hi\r\n")


@pytest.mark.parametrize(
    ("options", "tls", "user"),
    [
        ((), False, ""),
        (("--tls", "starttls", "--tls-insecure"), True, ""),
        (("--tls", "starttls", "--tls-insecure", "--user", "ada"), True, "ada"),
        (("--tls", "off", "--user", "ada", "--auth", "CRAM-MD5"), False, "ada"),
    ],
)
def test_netlab_mail(options: tuple[str, ...], tls: bool, user: str, tmp_path: Path) -> None:
    """Our own client, in clear, in TLS, logged in, and by a digest; SMTPUTF8 in each."""
    with Daemon(tmp_path, *QUIET) as daemon:
        ended = netlab(
            *("mail", "--server", f"127.0.0.1:{daemon.ports['mail']}", "--json", *options),
            *("--from", "小明@lab", "--to", "bob@lab", "--subject", "你好", "--body", "..\n.\n"),
            NETLAB_MAIL_PASSWORD="horse",
        )
        assert ended.status == 0, ended
        (record,) = records(daemon)
        assert (record.verdict, record.mail_from) == ("kept", "小明@lab")
        assert (bool(record.facts.tls), record.facts.auth_user) == (tls, user)
        assert record.smtputf8
        assert "horse" not in repr(record)
        told, status = run(str(NETLAB), "inbox", "show", "1", f"--state-dir={daemon.state_dir}")
        assert (status, "Subject: 你好" in told) == (0, True), told


def test_smtplib_with_starttls_login_and_many_mails(tmp_path: Path) -> None:
    """What teachers use: one connection, several mails, one refused recipient among others."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with Daemon(tmp_path, *QUIET) as daemon:
        with smtplib.SMTP("localhost", daemon.ports["mail"], timeout=20) as client:
            client.starttls(context=context)
            client.login("ada", "horse")
            for number in range(20):
                to = ["bob@lab", "reject-550@lab"]
                refused = client.sendmail("ada@lab", to, f"Subject: {number}\n\n.\n..\n")
                assert {name: code for name, (code, _) in refused.items()} == {to[1]: 550}
            assert client.noop()[0] == 250
        got = records(daemon)
        assert [(one.verdict, one.rcpt_to) for one in got] == [("kept", ("bob@lab",))] * 20
        with Mailbox(daemon.state_dir) as mailbox:
            assert mailbox.source(7) == b"Subject: 6\r\n\r\n.\r\n..\r\n"


@pytest.mark.parametrize("options", [("-N",), ("-q", "-1")])
def test_a_mail_in_one_packet_through_nc(options: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing waits for a reply; -N closes its side at once and still hears all of them."""
    nc = need("nc")
    said = "HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhi\r\n.\r\n"
    said += "QUIT\r\n" if "-N" not in options else ""
    with Daemon(tmp_path, *QUIET) as daemon:
        told, _ = run(nc, *options, "127.0.0.1", str(daemon.ports["mail"]), stdin=said)
        assert "250 2.0.0 kept as 1\n" in told
        (record,) = records(daemon)
        assert (record.verdict, record.size_bytes) == ("kept", 4)
