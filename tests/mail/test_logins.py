"""Logins looked up in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.defer import Deferred, execute

from netlabsvc.mail import accounts
from netlabsvc.mail.login import Claim
from netlabsvc.mail.logins import Logins
from netlabsvc.mail.settings import Sandbox


def answers(logins: Logins, *claims: tuple[str, str]) -> list[bool]:
    """Whether each name with its password is right."""
    told: list[bool] = []
    for name, password in claims:
        logins.check("users", Claim("PLAIN", name, password)).addCallback(told.append)
    return told


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    """A new password, a new name and one taken out, without a reload."""
    logins, users = Logins(execute, tmp_path), tmp_path / "users"
    users.write_text(accounts.line("ada", "horse", b"salt"))
    assert answers(logins, ("ada", "horse"), ("ada", "cow"), ("bob", "horse")) == [
        *(True, False, False),
    ]
    users.write_text(accounts.line("bob", "cow", b"salt"))
    assert answers(logins, ("ada", "horse"), ("bob", "cow")) == [False, True]


@pytest.mark.parametrize("text", [None, "ada:secret\n", "\udcff"])
def test_a_file_that_cannot_be_read_lets_nobody_in(text: str | None, tmp_path: Path) -> None:
    """Missing, wrong, or not UTF-8: nobody, instead of an error or everybody."""
    if text is not None:
        (tmp_path / "users").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert answers(Logins(execute, tmp_path), ("ada", "secret"), ("", "")) == [False, False]


def test_one_at_a_time(tmp_path: Path) -> None:
    """A hundred logins at once take one thread, and the mail has the others."""
    (tmp_path / "users").write_text(accounts.line("ada", "horse", b"salt"))
    begun: list[Deferred[bool]] = []

    def in_thread(look_up: Callable[[], bool]) -> Deferred[bool]:
        begun.append(Deferred())
        return begun[-1]

    logins = Logins(in_thread, tmp_path)
    told = answers(logins, *[("ada", "horse")] * 3)
    for count in (1, 2, 3):
        assert len(begun) == count
        begun[-1].callback(True)
    assert told == [True, True, True]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (Sandbox(), ""),
        (Sandbox(auth="required"), ""),
        (Sandbox(auth="users"), 'is empty; auth = "users" needs one'),
        (Sandbox(users_file="users"), ""),
        (Sandbox(users_file="none"), "none cannot be read: No such file or directory"),
        (Sandbox(users_file="wrong"), "wrong: line 2 is no account"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_at_the_start(
    settings: Sandbox, problem: str, tmp_path: Path
) -> None:
    """By its name and line, before somebody cannot log in."""
    (tmp_path / "users").write_text(accounts.line("ada", "horse", b"salt"))
    (tmp_path / "wrong").write_text("# who may\nada:secret\n")
    told = Logins(execute, tmp_path).problem(settings)
    assert problem in told
    assert bool(problem) == bool(told)
