"""netlab inbox, over a store that a sandbox might have left."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mail.keeping import fill, mail
from netlabsvc.cli.inbox import command
from netlabsvc.mail.record import Answered
from netlabsvc.mail.schema import FILE

DATA = b"Subject: =?utf-8?b?5L2g5aW9?=\r\n\r\nhi \x1b[2J\r\n"


def inbox(*arguments: object, **environment: str) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments], env=environment)


def kept(directory: Path, count: int) -> Path:
    """A state directory with mails."""
    to = (Answered("bob@lab", 250, ""), Answered("eve@lab", 250, ""))
    times = (1_700_000_000.5 + number for number in range(count))
    fill(directory, *(mail(DATA, time_s=time_s, recipients=to) for time_s in times))
    return directory


def test_the_list_as_json(tmp_path: Path) -> None:
    """Programs get objects, the newest first, as many as they asked for."""
    result = inbox("list", "--json", "--limit", 2, "--state-dir", kept(tmp_path, 3))
    assert [one["id"] for one in json.loads(result.stdout)] == [3, 2]
    assert json.loads(result.stdout)[1] == {
        "id": 2,
        "time": "2023-11-14T22:13:21.500Z",
        "mail_from": "ada@lab",
        "rcpt_to": ["bob@lab", "eve@lab"],
        "subject": "你好",
        "size": len(DATA),
        "verdict": "kept",
    }


def test_the_list_and_a_mail_for_people(tmp_path: Path) -> None:
    """One line for each mail; a mail with its envelope, and no control character."""
    kept(tmp_path, 2)
    rows = inbox("list", NETLAB_STATE_DIR=str(tmp_path)).stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["2", "1"]
    assert all("<ada@lab> to bob@lab, eve@lab  你好" in row for row in rows)
    shown = inbox("show", 1, NETLAB_STATE_DIR=str(tmp_path)).stdout
    for line in ("Envelope from: <ada@lab>", "Subject: 你好", r"hi \x1b[2J"):
        assert line in shown.splitlines()


def test_the_source_is_what_was_received(tmp_path: Path) -> None:
    """Not one byte more or less."""
    assert inbox("source", 1, "--state-dir", kept(tmp_path, 1)).stdout_bytes == DATA


def test_nothing_there_yet(tmp_path: Path) -> None:
    """An empty list is no mistake; a mail that is not there is one."""
    assert inbox("list", "--state-dir", tmp_path).stdout == f"no mail yet in {tmp_path}\n"
    assert inbox("list", "--json", "--state-dir", tmp_path).stdout == "[]\n"
    missing = inbox("show", 7, "--state-dir", tmp_path)
    assert (missing.exit_code, missing.stderr) == (1, f"Error: no mail yet in {tmp_path}\n")
    missing = inbox("source", 7, "--state-dir", kept(tmp_path, 1))
    assert missing.stderr == "Error: there is no mail 7; see: netlab inbox list\n"


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    """One line that names the file."""
    (tmp_path / FILE).write_bytes(b"something else" * 100)
    result = inbox("list", "--state-dir", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == f"Error: {tmp_path / FILE}: file is not a database\n"
