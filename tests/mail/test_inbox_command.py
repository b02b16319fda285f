"""`netlab inbox` where something is wrong: one line that says what, and a status."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mail.keeping import REFUSED, fill, mail
from netlabsvc.cli.inbox import command
from netlabsvc.mail import accounts
from netlabsvc.mail.mailbox import Mailbox


def inbox(directory: Path, *words: str, stdin: str = "") -> tuple[int, str]:
    """Status and output of a command."""
    where = [] if words[0] == "passwd" else [f"--state-dir={directory}"]
    done = CliRunner().invoke(command, [words[0], *where, *words[1:]], input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("rm",), 2, "give the numbers of mails, or --all"),
        (("rm", "--all", "1"), 2, "give the numbers of mails, or --all"),
        (("rm", "x"), 2, "'x' is not a valid integer"),
        (("rm", "0"), 2, "0 is not in the range"),
        (("rm", "1", "9"), 1, "Error: there is no mail 9; see: netlab inbox list\n"),
        (("show", "9"), 1, "Error: there is no mail 9; see: netlab inbox list\n"),
        (("source", "2"), 1, "Error: there is no mail 2; see: netlab inbox list\n"),
        (("wait", "--timeout", "-1"), 2, "-1.0 is not in the range"),
        (("wait", "--to", "eve@lab", "--timeout", "0"), 1, "Error: no such mail within 0 s\n"),
        (("wait", "--subject-has", "nix", "--timeout", "0"), 1, "no such mail within 0 s"),
        (("wait", "--after", "1", "--timeout", "0"), 1, "no such mail within 0 s"),
    ],
)
def test_what_is_wrong_is_told(
    words: tuple[str, ...], status: int, told: str, tmp_path: Path
) -> None:
    """Usage is 2, anything else 1; and no mail is taken out by a command that failed."""
    fill(tmp_path, mail(b"Subject: Hello\r\n\r\nhi\r\n"), mail(None, REFUSED))
    got, output = inbox(tmp_path, *words)
    assert (got, told in output) == (status, True), output
    with Mailbox(tmp_path) as mailbox:
        assert mailbox.counts().mails == 2


def test_where_there_is_no_mail_yet(tmp_path: Path) -> None:
    """A list is empty, and says where it looked; the others fail; a file of others is named."""
    nothing = f"no mail yet in {tmp_path}\n"
    assert inbox(tmp_path, "list") == (0, nothing)
    assert inbox(tmp_path, "list", "--json") == (0, "[]\n")
    assert inbox(tmp_path, "rm", "--all") == (1, f"Error: {nothing}")
    assert inbox(tmp_path, "wait", "--timeout", "0") == (1, "Error: no such mail within 0 s\n")
    (tmp_path / "mail.sqlite3").write_text("x" * 5000)
    status, output = inbox(tmp_path, "list")
    assert (status, output.startswith(f"Error: {tmp_path / 'mail.sqlite3'}: ")) == (1, True)


def test_wait_finds_what_is_there_already(tmp_path: Path) -> None:
    """By recipient and sender in any case; of several the newest; a refused attempt is no mail."""
    fill(tmp_path, *[mail(b"Subject: Hello\r\n\r\nhi\r\n")] * 2, mail(None, REFUSED))
    for words in (("--to", "BOB@lab"), ("--from", "ADA@lab"), ("--subject-has", "hELLO"), ()):
        assert inbox(tmp_path, "wait", *words, "--timeout", "0") == (0, "2\n"), words


def test_rm_all(tmp_path: Path) -> None:
    """Refused attempts, too."""
    fill(tmp_path, mail(b"hi\r\n"), mail(None, REFUSED))
    assert inbox(tmp_path, "rm", "--all") == (0, "2 removed\n")
    assert inbox(tmp_path, "list") == (0, f"no mail yet in {tmp_path}\n")


def test_passwd_writes_a_line_that_fits(tmp_path: Path) -> None:
    """Another salt each time; the password is in none; a name that cannot be one is told."""
    (_, first), (_, second) = (inbox(tmp_path, "passwd", "ada", stdin="小马 x\n") for _ in "12")
    assert first != second
    assert "小马" not in first
    assert accounts.check(first, "ada", "小马 x")
    assert not accounts.check(first, "ada", "小马")
    status, output = inbox(tmp_path, "passwd", "#ada", stdin="x\n")
    assert (status, "'#ada' cannot be a name" in output) == (1, True)
