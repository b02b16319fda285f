"""SIGHUP: the keys of [mail.sandbox] that a running daemon takes from its file."""

from __future__ import annotations

import re
import signal
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netlabsvc.mail import accounts
from netlabsvc.mail.mailbox import Mailbox
from support.daemon import Daemon

DONE = "(reloaded: .* changed|reload: nothing has changed)"


class Sandbox(Daemon):
    """A daemon with a file."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "lab.toml"
        self.file.write_text("")
        super().__init__(directory, "--services=mail", "--config=lab.toml")

    def reload(self, *keys: str) -> str:
        """Let these keys be in the file, the others gone; returns what the daemon says."""
        self.file.write_text("\n".join(["[mail.sandbox]", *keys]))
        start = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(DONE, start)
        return "\n".join(self.lines[start:])

    @contextmanager
    def client(self) -> Iterator[smtplib.SMTP]:
        with smtplib.SMTP("127.0.0.1", self.ports["mail"], timeout=20) as client:
            client.ehlo("me")
            yield client

    def send(self, text: str = "Subject: x\r\n\r\n") -> None:
        with self.client() as client:
            client.sendmail("a@b", ["c@d"], text)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox(tmp_path) as sandbox:
        yield sandbox


def test_the_personality(sandbox: Sandbox) -> None:
    """For who is connected, too; back at its default when the key is gone."""
    with sandbox.client() as client:
        assert "personality" in sandbox.reload('personality = "mailbox-full"')
        client.mail("a@b")
        assert client.rcpt("c@d")[0] == 452
        sandbox.reload()
        assert client.rcpt("c@d")[0] == 250


def test_who_may_log_in(sandbox: Sandbox, tmp_path: Path) -> None:
    """From everybody to a file, and to nobody without a login; a file that is missing is told."""
    told = sandbox.reload('auth = "users"')
    assert re.search(r"ERROR: .*mail\.sandbox\.users_file.* is empty", told), told
    (tmp_path / "users").write_text(accounts.line("ada", "horse", b"salt"))
    told = sandbox.reload('auth = "users"', 'users_file = "none"')
    assert re.search("ERROR: .*none cannot be read", told), told
    with sandbox.client() as client:
        assert client.login("anyone", "at all")[0] == 235
    sandbox.reload('auth = "required"', 'users_file = "users"')
    with sandbox.client() as client:
        assert client.mail("a@b")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("ada", "cow")
        assert client.login("ada", "horse")[0] == 235
        assert client.mail("a@b")[0] == 250


def test_how_much_is_kept(sandbox: Sandbox) -> None:
    """By bytes and by number; what is above goes with the next mail."""
    for _ in range(5):
        sandbox.send("Subject: x\r\n\r\n" + f"{'x' * 60}\r\n" * 4000)

    def left() -> list[int]:
        with Mailbox(sandbox.state_dir) as mailbox:
            return [entry.id for entry in mailbox.page()]

    assert left() == [5, 4, 3, 2, 1]
    sandbox.reload("keep_bytes = 1048576")
    sandbox.send()
    assert left() == [6, 5, 4, 3]
    sandbox.reload("keep_mails = 3")
    sandbox.send()
    assert left() == [7, 6, 5]


def test_how_many_and_for_how_long(sandbox: Sandbox) -> None:
    """One connection too many gets a 421, and who is silent another; both can be lifted."""
    with sandbox.client() as client:
        sandbox.reload("max_connections = 1", "idle_s = 1.0")
        address = ("127.0.0.1", sandbox.ports["mail"])
        with socket.create_connection(address, 20) as other:
            assert other.recv(100).startswith(b"421 4.3.2 ")
        assert client.getreply() == (421, _silent(client))
        sandbox.reload()
        sandbox.send()


def _silent(client: smtplib.SMTP) -> bytes:
    name = (client.ehlo_resp or b"").split(b" ")[0]
    return b"4.4.2 " + name + b" silent for too long"
