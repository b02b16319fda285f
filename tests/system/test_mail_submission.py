"""`netlab mail` through a full Postfix submission service with SASL, configured for the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.certificates import Authority
from support.outside import need
from system.dovecot_auth import authentication
from system.outgoing import PASSWORD, USER, Ended, free_port, netlab, wait_for_port

MAIN = """\
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
alias_maps =
default_transport = discard
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{auth_port}
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_sender_login_maps = inline:{{ {user}={user}, eve@lab.example=eve@lab.example }}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
maillog_file = {top}/log
maillog_file_prefixes = {top}
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
"""


@contextmanager
def postfix(top: Path, **values: object) -> Iterator[Path]:
    """Postfix with a configuration, a queue and a log of its own; gives the log."""
    program = need("postfix")
    for parent in (top, *top.parents[:2]):
        parent.chmod(parent.stat().st_mode | 0o055)  # Postfix's own user has to come in
    for name in ("queue", "data", "etc"):
        (top / name).mkdir()
    subprocess.run(["chown", "postfix", str(top / "data")], check=True)
    for name, text in (("main.cf", MAIN), ("master.cf", MASTER)):
        (top / "etc" / name).write_text(text.format(top=top, **values))
    command = [program, "-c", str(top / "etc")]
    started = subprocess.run([*command, "start"], capture_output=True, encoding="utf-8")
    assert started.returncode == 0, started
    try:
        yield top / "log"
    finally:
        subprocess.run([*command, "stop"], capture_output=True, check=True)


class Submission:
    """The service, as `netlab mail` is pointed to it."""

    def __init__(self, port: int, ca: Path, log: Path) -> None:
        self._server = ("--server", f"localhost:{port}", "--ca", str(ca), "--tls", "starttls")
        self.log = log

    def mail(self, sender: str, *options: str, password: str = PASSWORD) -> Ended:
        mail = ("--from", sender, "--to", "bob@lab.example", "--body", "hello", "--json")
        return netlab("mail", *self._server, *mail, *options, NETLAB_MAIL_PASSWORD=password)


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Submission]:
    if os.getuid() != 0:
        pytest.skip("needs root: Postfix's master starts as nobody else")
    top, port = tmp_path_factory.mktemp("postfix"), free_port()
    authority = Authority(top)
    key, certificate = authority.sign("localhost")
    with authentication(USER, PASSWORD) as auth_port:
        files = {"key": key, "certificate": certificate}
        with postfix(top, port=port, auth_port=auth_port, user=USER, **files) as log:
            wait_for_port(port)
            yield Submission(port, authority.file, log)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
def test_who_logs_in_sends(submission: Submission, mechanism: str) -> None:
    """STARTTLS, the mechanism, and the mail is in Postfix's queue."""
    ended = submission.mail(USER, "--user", USER, "--auth", mechanism)
    assert (ended.status, ended.json["mechanism"]) == (0, mechanism), ended
    assert ended.json["tls"] == "TLSv1.3"
    assert "queued as" in ended.json["cause"]
    assert f"sasl_method={mechanism}, sasl_username={USER}" in submission.log.read_text("utf-8")


@pytest.mark.parametrize("pipelining", ["--no-pipelining", "--pipelining"])
def test_a_spoofed_sender_gets_553(submission: Submission, pipelining: str) -> None:
    """Postfix says so to RCPT: the recipient is refused, and the reason is the server's own."""
    ended = submission.mail("eve@lab.example", "--user", USER, pipelining)
    (recipient,) = ended.json["recipients"]
    assert (ended.status, recipient["fate"], recipient["code"]) == (67, "refused", 553), ended
    assert f"not owned by user {USER}" in recipient["text"]


def test_a_wrong_password_and_none(submission: Submission) -> None:
    """535 for every mechanism is 77; without a login there is no relaying."""
    wrong = submission.mail(USER, "--user", USER, password="wrong-horse")
    assert (wrong.status, wrong.json["cause"].count("535")) == (77, 4), wrong
    assert "wrong-horse" not in wrong.out + wrong.err
    nobody = submission.mail("mia@lab.example")
    assert (nobody.status, nobody.json["recipients"][0]["code"]) == (67, 554), nobody


def test_many_mails_through_it(submission: Submission) -> None:
    """Envelopes said behind the message before them: each of 50 mails is queued once."""
    ended = submission.mail(USER, "--user", USER, "--count", "50", "--connections", "2")
    assert (ended.status, ended.json["delivered"]) == (0, 50), ended
