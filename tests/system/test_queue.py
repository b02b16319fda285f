"""`netlab mail --queue` and `netlab queue`: a daemon that delivers, through servers of others."""

from __future__ import annotations

import email
import email.policy
import os
import signal
import socket
import socketserver
import threading
import time
from base64 import b64encode
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.names import dns

from netlabsvc.control.client import Control
from netlabsvc.mail.mailbox import Mailbox
from support.certificates import Authority
from support.daemon import PATIENCE_S, Daemon
from system.counting import counting
from system.outgoing import PASSWORD, USER, Ended, aiosmtpd, free_port, netlab, smtp_sink

MAIL = ("--from", "ada@lab.example", "--to", "bob@lab", "--body", "hello")
QUICK = "retry_min_s = 0.1\nretry_max_s = 0.2\n"


def lab(directory: Path, keys: str) -> Daemon:
    """A daemon with these keys of [mail.queue]."""
    file = directory / "netlab.toml"
    file.write_text(f"[mail.queue]\n{keys}\n{QUICK}", "utf-8")
    return Daemon(directory, "--services=mail", f"--config={file}")


def through(port: int, host: str = "127.0.0.1") -> str:
    return f'smarthost = "{host}:{port}"'


def queue(daemon: Daemon, *options: str) -> Ended:
    return netlab("mail", *MAIL, *options, "--queue", "--control", str(daemon.control))


def ask(daemon: Daemon, mail_id: int = 1) -> Any:
    return Control([str(daemon.control)]).ask("GET", f"/v1/mail/queue/{mail_id}")


def wait_for(daemon: Daemon, state: str, attempts: int = 1, place: int = 0) -> dict[str, Any]:
    """A recipient of mail 1, once it is in this state after so many attempts."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        one: dict[str, Any] = ask(daemon)["recipients"][place]
        if one["state"] == state and one["attempts"] >= attempts and not one["under_way"]:
            return one
        time.sleep(0.02)
    raise AssertionError(ask(daemon))


def report(daemon: Daemon) -> EmailMessage:
    """The one mail in the sandbox, as soon as it is there."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with Mailbox(daemon.state_dir) as mailbox:
            if entries := mailbox.page(limit=10):
                assert (len(entries), entries[0].mail_from) == (1, "")
                assert entries[0].rcpt_to == ("ada@lab.example",)
                return email.message_from_bytes(
                    mailbox.source(entries[0].id), policy=email.policy.SMTPUTF8
                )
        time.sleep(0.02)
    raise AssertionError("no report")


def test_queued_listed_and_delivered(tmp_path: Path) -> None:
    """`queued as 1`; the bytes arrive under the Message-ID that was told; then nothing waits."""
    with aiosmtpd() as (port, kept), lab(tmp_path, through(port)) as daemon:
        assert queue(daemon) == (0, "queued as 1\n", "")
        assert wait_for(daemon, "delivered")["text"] == "kept"
        control = ("--control", str(daemon.control))
        assert netlab("queue", *control, "list").out == "the queue is empty\n"
        shown = netlab("queue", *control, "show", "1").out
        assert "<bob@lab>: delivered after 1 attempt(s)" in shown
        (envelope,) = kept.envelopes
        told = netlab("queue", *control, "list", "--done", "--json").out
    assert (envelope.mail_from, envelope.rcpt_tos) == ("ada@lab.example", ["bob@lab"])
    assert email.message_from_bytes(envelope.content)["Message-ID"] in told


def test_a_5xx_is_reported_to_the_sender(tmp_path: Path) -> None:
    """In the sandbox, from the null path: plain words, a delivery status, the headers."""
    refusing = ("-f", "RCPT", "-B", "550 5.1.1 nobody of that name")
    with smtp_sink(*refusing) as port, lab(tmp_path, through(port)) as daemon:
        assert queue(daemon, "--to", "eve@lab").status == 0
        assert wait_for(daemon, "bounced")["code"] == 550
        told = report(daemon)
        assert wait_for(daemon, "bounced", place=1)["next"] is None
    words, status, headers = told.iter_parts()
    assert "not delivered to these 2 recipients" in words.get_content()
    assert "  bob@lab\r\n    550 5.1.1 nobody of that name\r\n" in words.get_content()
    assert status.get_content_type() == "message/delivery-status"
    assert "Final-Recipient: rfc822; eve@lab" in status.as_string()
    assert "Status: 5.1.1" in status.as_string()
    assert "To: bob@lab, eve@lab" in headers.get_content()


@pytest.mark.parametrize("options", [("-r", "RCPT"), ("-r", "MAIL"), ("-Q", "DATA"), ("-r", ".")])
def test_a_4xx_waits_and_is_tried_again(tmp_path: Path, options: tuple[str, ...]) -> None:
    """By itself, until a server takes it; a reload says which."""
    with smtp_sink(*options) as port, lab(tmp_path, through(port)) as daemon:
        queue(daemon)
        one = wait_for(daemon, "deferred", attempts=3)
        assert (400 <= one["code"] < 500, one["maybe_delivered"]) == (True, False)
        with aiosmtpd() as (better, kept):
            file = tmp_path / "netlab.toml"
            file.write_text(file.read_text("utf-8").replace(str(port), str(better)))
            os.kill(daemon.process.pid, signal.SIGHUP)
            wait_for(daemon, "delivered")
            assert len(kept.envelopes) == 1


def test_unknown_is_marked_and_tried_again_as_the_same_mail(tmp_path: Path) -> None:
    """A server that hangs up after the dot: state unknown, and the mark stays."""
    with smtp_sink("-q", ".") as port, lab(tmp_path, through(port)) as daemon:
        queue(daemon)
        one = wait_for(daemon, "unknown", attempts=2)
        assert one["maybe_delivered"]
        control = ("--control", str(daemon.control))
        shown = netlab("queue", *control, "show", "1").out
        assert "may have arrived already" in shown
        assert netlab("queue", *control, "drop", "1").out == "1 is dropped\n"
        ended = netlab("queue", *control, "show", "1")
        assert (ended.status, ended.err) == (1, "Error: there is no mail 1 in the queue\n")


def test_patience_ends(tmp_path: Path) -> None:
    """After expire_s the sender reads that it was not delivered, and why."""
    keys = f"{through(free_port())}\nexpire_s = 0.5"
    with lab(tmp_path, keys) as daemon:
        queue(daemon)
        wait_for(daemon, "bounced", attempts=2)
        (words, *_) = report(daemon).iter_parts()
    text = " ".join(words.get_content().split())
    assert "not delivered in 0.5 s; the last answer: cannot connect" in text


def test_a_login_through_starttls_and_no_secret_anywhere(tmp_path: Path) -> None:
    """TLS by an authority of the configuration, the password of a file; it stands nowhere."""
    authority, secret = Authority(tmp_path), tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    with aiosmtpd(authority.sign("localhost"), auth_require_tls=True) as (port, kept):
        keys = f'tls = "starttls"\nca_file = "{authority.file}"\nuser = "{USER}"\n'
        keys += f'password_file = "{secret}"\n{through(port, "localhost")}'
        with lab(tmp_path, keys) as daemon:
            queue(daemon)
            wait_for(daemon, "delivered")
            assert len(kept.envelopes) == 1
            secret.write_text("wrong-horse\n")
            time.sleep(2.5)  # the connection that was kept goes
            queue(daemon)
            told = netlab("queue", "--control", str(daemon.control), "show", "2", "--json")
            daemon.wait_for("queued mail 2 to .*: deferred: .*refused")
    everything = "\n".join(daemon.lines).encode() + told.out.encode()
    everything += b"".join(path.read_bytes() for path in daemon.state_dir.glob("queue.sqlite3*"))
    for word in (PASSWORD, "wrong-horse"):
        assert word.encode() not in everything


def test_connections_are_reused_and_bounded(tmp_path: Path) -> None:
    """Forty mails at once go over no more connections than concurrency says."""
    keys = "concurrency = 2\n"
    with counting(Random(1), 0.01) as sink, lab(tmp_path, keys + through(sink.port)) as daemon:
        control = Control([str(daemon.control)])
        mail = {"mail_from": "ada@lab", "rcpt_to": ["bob@lab"]}
        for number in range(40):
            text = f"Subject: {number}\n\nhello\n".encode()
            control.ask("POST", "/v1/mail/queue", {**mail, "message": b64encode(text).decode()})
        until_s = time.monotonic() + PATIENCE_S
        while control.ask("GET", "/v1/mail/queue") and time.monotonic() < until_s:
            time.sleep(0.02)
    assert len(sink.copies) == 40
    assert all(len(names) == 1 for names in sink.copies.values())
    assert sink.connections <= 4  # one that idled for 2 s on a slow machine is made anew


def test_a_polite_end_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """A delivery under way ends within the grace period, and the next start has nothing to do."""
    with smtp_sink("-W", ".:1") as port:
        with lab(tmp_path, through(port)) as daemon:
            queue(daemon)
            daemon.wait_for("queued mail 1 taken")
            time.sleep(0.3)
        daemon.wait_for("queued mail 1 to bob@lab: delivered")
        with lab(tmp_path, through(port)) as daemon:
            one = wait_for(daemon, "delivered")
    assert (one["attempts"], one["maybe_delivered"]) == (1, False)


@pytest.mark.parametrize(("slow", "state", "attempts"), [("-w", "queued", 0), ("-W", "unknown", 1)])
def test_an_end_without_patience(tmp_path: Path, slow: str, state: str, attempts: int) -> None:
    """What is cut before the dot stays queued; after it, it is unknown."""
    options = ("-w", "9") if slow == "-w" else ("-W", ".:9")
    with smtp_sink(*options) as port:
        with lab(tmp_path, through(port)) as daemon:
            pass
        file = tmp_path / "netlab.toml"
        file.write_text("shutdown_grace_s = 0.1\n" + file.read_text("utf-8"))
        with Daemon(tmp_path, "--services=mail", f"--config={file}") as daemon:
            queue(daemon)
            time.sleep(0.5)
    with lab(tmp_path, "mx = false") as daemon:
        one = ask(daemon)["recipients"][0]
        daemon.wait_for("1 mails queued, and neither")
    assert (one["state"], one["attempts"], one["under_way"]) == (state, attempts, False)


def test_an_end_without_an_answer_from_the_dns(tmp_path: Path) -> None:
    """The end does not wait for a resolver that says nothing; the mail stays queued."""
    with socket.socket(type=socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        names = f'mx = true\nresolver = "127.0.0.1:{mute.getsockname()[1]}"'
        with lab(tmp_path, names) as daemon:
            pass
        file = tmp_path / "netlab.toml"
        file.write_text("shutdown_grace_s = 0.1\n" + file.read_text("utf-8"))
        with Daemon(tmp_path, "--services=mail", f"--config={file}") as daemon:
            queue(daemon)
            mute.settimeout(PATIENCE_S)
            assert b"\x03lab" in mute.recv(512)
            begun_s = time.monotonic()
            daemon.stop()
            assert time.monotonic() - begun_s < 5
    with lab(tmp_path, "mx = false") as daemon:
        one = ask(daemon)["recipients"][0]
    assert (one["state"], one["attempts"], one["under_way"]) == ("queued", 0, False)


def test_no_way_out_and_no_daemon(tmp_path: Path) -> None:
    """One line and a status: 78 where nothing is configured, 69 where nobody answers."""
    with lab(tmp_path, "") as daemon:
        ended = queue(daemon)
        assert (ended.status, "set smarthost, or mx = true" in ended.err) == (78, True), ended
    assert queue(daemon).status == 69


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ('smarthost = "localhost"', 'takes "HOST:PORT"'),
        ('smarthost = "lab.example:25"\nuser = "ada"', "password_file: user is ada, and no file"),
        (
            'smarthost = "lab.example:25"\nuser = "a"\npassword_file = "no"\ntls = "off"',
            "tls: the login of a could be read on the way",
        ),
        ('smarthost = "127.0.0.1:1"\nuser = "a"\npassword_file = "no"', "No such file"),
    ],
)
def test_a_configuration_that_cannot_be(tmp_path: Path, keys: str, why: str) -> None:
    """The daemon says which key, and does not start."""
    with pytest.raises(AssertionError, match=why), lab(tmp_path, keys):
        pass


def test_the_spool_is_for_its_owner_alone(tmp_path: Path) -> None:
    """Mode 0600, also of the log beside it."""
    with smtp_sink("-r", "MAIL") as port, lab(tmp_path, through(port)) as daemon:
        queue(daemon)
        files = list(daemon.state_dir.glob("queue.sqlite3*"))
        assert len(files) == 3
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_large_message_fits_through_the_control_api(tmp_path: Path) -> None:
    """Ten megabytes arrive whole; a body that is too long for any other route is refused there."""
    line = b"0123456789abcdef" * 4 + b"\r\n"
    message = b"Subject: large\r\n\r\n" + line * 150_000
    with aiosmtpd(data_size_limit=1 << 25) as (port, kept), lab(tmp_path, through(port)) as daemon:
        control = Control([str(daemon.control)], PATIENCE_S)
        mail = {"mail_from": "", "rcpt_to": ["bob@lab"], "message": b64encode(message).decode()}
        control.ask("POST", "/v1/mail/queue", mail)
        wait_for(daemon, "delivered")
    assert kept.envelopes[0].content.endswith(message.partition(b"\r\n\r\n")[2])


class Names(socketserver.BaseRequestHandler):
    """A DNS server for which every domain has two exchangers, the first of which is not there."""

    def handle(self) -> None:
        data, sock = self.request
        message = dns.Message()
        message.fromStr(data)
        message.answer = True
        if message.queries[0].type == dns.MX:
            name = message.queries[0].name.name
            for preference, host in ((10, "127.0.0.2"), (20, "127.0.0.1")):
                record = dns.Record_MX(preference, host)
                message.answers.append(dns.RRHeader(name, dns.MX, dns.IN, 60, record))
        sock.sendto(message.toStr(), self.client_address)


def test_each_domain_by_its_own_exchangers(tmp_path: Path) -> None:
    """Recipients of one domain share a dialogue, with the first host that answers."""
    with (
        socketserver.UDPServer(("127.0.0.1", 0), Names) as server,
        aiosmtpd() as (port, kept),
    ):
        threading.Thread(target=server.serve_forever, args=(0.02,)).start()
        names = f'resolver = "127.0.0.1:{server.server_address[1]}"'
        with lab(tmp_path, f"mx = true\nmx_port = {port}\n{names}") as daemon:
            assert queue(daemon, "--to", "eve@lab,joe@other.example").status == 0
            for place in range(3):
                wait_for(daemon, "delivered", place=place)
        server.shutdown()
    recipients = sorted(envelope.rcpt_tos for envelope in kept.envelopes)
    assert recipients == [["bob@lab", "eve@lab"], ["joe@other.example"]]


@pytest.mark.parametrize(
    "options", [("--server", "lab:25"), ("--user", "ada"), ("-v",), ("--count", "2"), ("--mx",)]
)
def test_the_daemon_knows_the_way(options: tuple[str, ...]) -> None:
    """What says how to send, or wants to watch, does not go with --queue: status 64."""
    ended = netlab("mail", *MAIL, "--queue", *options)
    assert (ended.status, "--queue: " in ended.err) == (64, True), ended
