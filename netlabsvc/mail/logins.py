"""Logins looked up in a file, which is read anew each time: a changed password counts at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from netlabsvc.mail import accounts
from netlabsvc.mail.login import Claim
from netlabsvc.mail.settings import Sandbox


class Logins:
    """Who may log in.

    One at a time: a check takes long on purpose, and threads are there for the mail, too.
    """

    _log = Logger()

    def __init__(
        self, in_thread: Callable[[Callable[[], bool]], Deferred[bool]], directory: Path
    ) -> None:
        """:param in_thread: as for `Store`; :param directory: where relative paths begin."""
        self._in_thread = in_thread
        self._directory = directory
        self._lock = DeferredLock()

    def problem(self, settings: Sandbox) -> str:
        """What is wrong with the file of accounts, if one is needed; "" for nothing."""
        if not settings.users_file:
            return 'is empty; auth = "users" needs one' * (settings.auth == "users")
        path = self._directory / settings.users_file
        try:
            list(accounts.read(path.read_text("utf-8")))
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        except ValueError as error:
            return f"{path}: {error}"
        return ""

    def check(self, users_file: str, claim: Claim) -> Deferred[bool]:
        """Fires with whether the claim is right; a file that cannot be read lets nobody in."""

        path = self._directory / users_file

        def look_up() -> bool:
            return accounts.check(path.read_text("utf-8"), claim.user, claim.password)

        looked_up: Deferred[bool] = self._lock.run(self._in_thread, look_up)
        return looked_up.addErrback(self._nobody, path)

    def _nobody(self, failure: Failure, path: Path) -> bool:
        failure.trap(OSError, ValueError)
        why = failure.getErrorMessage()
        self._log.error("mail: nobody can log in: {path}: {why}", path=str(path), why=why)
        return False
