"""`netlab mail` through a full Postfix submission service with SASL, configured for the test."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.outside import need
from system.outgoing import PASSWORD, free_port, netlab, wait_for_port

MAIN = """\
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
mail_owner = postfix
setgid_group = postdrop
myhostname = localhost
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination = lab.example
local_recipient_maps =
local_transport = discard
default_transport = discard
alias_maps =
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = {top}/sasl
import_environment = SASL_CONF_PATH={top}/sasl
smtpd_sasl_local_domain = lab.example
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = {certificate}
smtpd_tls_key_file = {key}
smtpd_sender_login_maps = inline:{{ada@lab.example=ada@lab.example}}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
maillog_file = {top}/log
maillog_file_prefixes = /
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
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
discard unix - - n - - discard
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
"""
SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {top}/sasldb2
mech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256
"""


@pytest.fixture
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port, and the file of the authority that signed its certificate."""
    postfix = need("postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix starts as root only")
    top, port = tmp_path_factory.mktemp("postfix"), free_port()
    for parent in (top, top.parent, top.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o055)
    authority = Authority(top)
    key, certificate = authority.sign("localhost")
    for name in ("queue", "data", "sasl", "etc"):
        (top / name).mkdir()
    subprocess.run(["chown", "postfix", str(top / "data")], check=True)
    values = {"top": top, "port": port, "key": key, "certificate": certificate}
    (top / "etc/main.cf").write_text(MAIN.format(**values))
    (top / "etc/master.cf").write_text(MASTER.format(**values))
    (top / "sasl/smtpd.conf").write_text(SASL.format(**values))
    command = [need("saslpasswd2"), "-c", "-p", "-f", str(top / "sasldb2"), "-u", "lab.example"]
    subprocess.run([*command, "ada"], input=PASSWORD, encoding="ascii", check=True)
    subprocess.run(["chown", "postfix", str(top / "sasldb2")], check=True)
    started = subprocess.run([postfix, "-c", str(top / "etc"), "start"], capture_output=True)
    assert started.returncode == 0, (started.stderr, (top / "log").exists())
    try:
        wait_for_port(port)
        yield port, authority.file
    finally:
        subprocess.run([postfix, "-c", str(top / "etc"), "stop"], capture_output=True, check=True)


def test_a_submission_service(submission: tuple[int, Path]) -> None:
    """Each mechanism logs in through STARTTLS; a spoofed sender gets 553; no login, no mail."""
    port, ca = submission
    server = ("--server", f"localhost:{port}", "--ca", str(ca), "--tls", "starttls")
    login = (*server, "--user", "ada@lab.example", "--json")
    mail = ("--to", "bob@lab.example", "--body", "hello")
    secret = {"NETLAB_MAIL_PASSWORD": PASSWORD}
    for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"):
        own = ("--from", "ada@lab.example", "--auth", mechanism)
        ended = netlab("mail", *login, *own, *mail, **secret)
        assert (ended.status, ended.json["mechanism"]) == (0, mechanism), ended
        assert ended.json["tls"] == "TLSv1.3"
    spoofed = netlab("mail", *login, "--from", "eve@lab.example", *mail, **secret)
    assert (spoofed.status, spoofed.json["recipients"][0]["code"]) == (67, 553), spoofed
    wrong = netlab("mail", *login, "--from", "a@b", *mail, NETLAB_MAIL_PASSWORD="wrong-horse")
    assert (wrong.status, "535" in wrong.out) == (77, True), wrong
    nobody = netlab("mail", *server, "--from", "ada@lab.example", *mail)
    assert nobody.status in (67, 69), nobody
