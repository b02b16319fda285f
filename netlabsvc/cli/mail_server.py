"""Through which server a mail goes: the options of `netlab mail` and `netlab sendmail`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click
from twisted.internet.endpoints import HostnameEndpoint

from netlabsvc.cli.run import host_and_port
from netlabsvc.escape import escape
from netlabsvc.mail.address import is_loopback
from netlabsvc.mail.courier import Courier
from netlabsvc.mail.credentials import Credentials
from netlabsvc.mail.delivery import Ending, Stage
from netlabsvc.mail.mechanisms import MECHANISMS
from netlabsvc.mail.plan import Deadlines, Plan, Stop, TlsMode
from netlabsvc.mail.tls import Trust, TrustError, authorities

SANDBOX = "127.0.0.1:2525"
SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT = 25, 587, 465
PASSWORD_VARIABLE = "NETLAB_MAIL_PASSWORD"
STATUS = """\b
Ends with
  0  delivered to all             68  host not found
  3  some recipients refused      69  cannot connect, TLS failed, or refused for good
  4  lost after the final dot:    75  refused for now, or no answer: try later
     delivered or not, unknown    76  what answered is no SMTP server
 64  bad options                  77  authentication failed
 65  bad address or message       78  a password or a file of options cannot be had
 67  every recipient refused
"""


class Command(click.Command):
    """Ends with 64 (EX_USAGE) where click would end with 2."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        with _usage():
            return super().make_context(*args, **more)

    def invoke(self, ctx: click.Context) -> Any:
        with _usage():
            return super().invoke(ctx)


@contextmanager
def _usage() -> Iterator[None]:
    try:
        yield
    except click.UsageError as error:
        error.show()
        raise click.exceptions.Exit(Ending.USAGE) from None


class Failure(click.ClickException):
    """One line on stderr, and a status of sysexits.h."""

    exit_code: int  # type: ignore[misc]  # a constant of click's

    def __init__(self, ending: Ending, text: str) -> None:
        super().__init__(text)
        self.exit_code = int(ending)


@dataclass(frozen=True)
class Server:
    """What the options say of the server."""

    server: str
    tls: str | None
    ca: Path | None
    tls_insecure: bool
    auth: str | None
    user: str | None
    password_file: Path | None
    password_command: str | None
    insecure_auth: bool
    hello: str | None
    timeout: float | None
    really: bool

    def address(self) -> tuple[str, int]:
        """Host and port; the port that fits when none is named."""
        port = SUBMISSION_PORT if self.user else SMTP_PORT
        if self.tls == TlsMode.IMPLICIT:
            port = SUBMISSIONS_PORT
        return host_and_port(self.server, port)

    def mode(self, host: str) -> TlsMode:
        """TLS as asked for; else required with credentials, and taken where it is offered.

        :raises click.UsageError: where a password would go without TLS through a network.
        """
        local = is_loopback(host)
        if self.user and not local and self.tls in (TlsMode.OFF, TlsMode.OPPORTUNISTIC):
            if not self.insecure_auth:
                text = f"--tls {self.tls} and --user: the login could be read on the way to {host}"
                raise click.UsageError(f"{text}; --insecure-auth does it all the same")
        elif not self.tls:
            secured = TlsMode.STARTTLS if self.user else TlsMode.OPPORTUNISTIC
            return TlsMode.OFF if local else secured
        return TlsMode(self.tls or TlsMode.OFF)

    def plan(self, host: str, *, stop: Stop | None = None, pipelining: bool = False) -> Plan:
        """How to talk to a host.

        :raises Failure: for a password or a file that cannot be had.
        """
        mode = self.mode(host)
        if stop and stop.after in (Stage.STARTTLS, Stage.AUTH):
            self._check_stop(stop, mode)
        total = {} if self.timeout is None else {"total_s": self.timeout}
        try:
            ca = None if self.ca is None else authorities(self.ca)
            verify = not self.tls_insecure and mode is not TlsMode.OPPORTUNISTIC
            return Plan(
                hello=self.hello,
                deadlines=Deadlines(**total),
                mode=mode,
                tls=None if mode is TlsMode.OFF else Trust(host, ca=ca, verify=verify),
                credentials=self._credentials(),
                pipelining=pipelining,
                stop=stop,
            )
        except TrustError as error:
            raise Failure(Ending.CONFIG, str(error)) from None
        except ValueError as error:
            raise Failure(Ending.BAD_DATA, str(error)) from None

    def _check_stop(self, stop: Stop, mode: TlsMode) -> None:
        if stop.after is Stage.STARTTLS and mode is not TlsMode.STARTTLS:
            raise click.UsageError("to stop after starttls, say --tls starttls")
        if stop.after is Stage.AUTH and not self.user:
            raise click.UsageError("to stop after auth, say --user")

    def _credentials(self) -> Credentials | None:
        if self.user is None:
            if self.auth:
                raise click.UsageError("--auth needs --user")
            return None
        return Credentials(self.user, self._password(), self.auth, self.insecure_auth)

    def _password(self) -> str:
        """From a file, a command, the environment, or whoever sits there; never from argv."""
        if self.password_file:
            return _first_line(str(self.password_file), _read(self.password_file))
        if self.password_command:
            ran = subprocess.run(self.password_command, shell=True, stdout=subprocess.PIPE)
            if ran.returncode:
                text = f"--password-command ended with status {ran.returncode}"
                raise Failure(Ending.CONFIG, text)
            return _first_line("--password-command", ran.stdout)
        if PASSWORD_VARIABLE in os.environ:
            return os.environ[PASSWORD_VARIABLE]
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            ways = f"--password-file, --password-command or ${PASSWORD_VARIABLE}"
            raise Failure(Ending.CONFIG, f"no password, and nobody to ask; use {ways}") from None
        return str(click.prompt(f"Password of {self.user}", hide_input=True, err=True))

    def check_senders(self, host: str, senders: Iterable[str]) -> None:
        """Mail in somebody else's name leaves this machine only when that is really meant.

        :raises click.UsageError: says who is not whose.
        """
        if self.really or is_loopback(host):
            return
        for sender in filter(None, senders):
            if self.user is None or sender.casefold() != self.user.casefold():
                who = f"the sender {sender} is not --user {self.user}"
                if self.user is None:
                    who = f"nobody logs in (--user) as the sender {sender}"
                text = f"{who}, and {host} is not this machine; --really sends it"
                raise click.UsageError(text)

    def courier(self, reactor: Any, host: str, port: int, plan: Plan, **more: Any) -> Courier:
        return Courier(reactor, HostnameEndpoint(reactor, host, port), plan, **more)


def _one_line(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    """A name that a server can be told."""
    if text is not None and not text.isprintable():
        raise click.BadParameter(f"{escape(text)}: a control character cannot be part of a name")
    return text


_file = click.Path(dir_okay=False, path_type=Path)
_OPTIONS = (
    click.option(
        "--server",
        metavar="HOST[:PORT]",
        default=SANDBOX,
        show_default=True,
        envvar="NETLAB_MAIL_SERVER",
        help="Through which server; the port is 25, with --user 587, with implicit TLS 465.",
    ),
    click.option(
        "--tls",
        type=click.Choice([mode.value for mode in TlsMode]),
        help="By default required with --user, and used where offered; off on loopback.",
    ),
    click.option("--ca", type=_file, metavar="FILE", help="Trust the authorities in this PEM."),
    click.option("--tls-insecure", is_flag=True, help="Take any certificate."),
    click.option(
        "--auth",
        metavar="MECHANISM",
        type=click.Choice(list(MECHANISMS), case_sensitive=False),
        help=f"One of {', '.join(MECHANISMS)}; by default the best that is offered.",
    ),
    click.option("--user", metavar="NAME", callback=_one_line, help="Log in as NAME."),
    click.option("--password-file", type=_file, metavar="FILE", help="Its first line."),
    click.option(
        "--password-command",
        metavar="COMMAND",
        help=f"What it prints. Else ${PASSWORD_VARIABLE}, else a prompt.",
    ),
    click.option("--insecure-auth", is_flag=True, help="Show the password to who listens."),
    click.option("--hello", metavar="NAME", help="The name for EHLO; by default this host's."),
    click.option(
        "--timeout",
        type=click.FloatRange(0.001, 86400),
        metavar="SECONDS",
        help="For the whole dialogue.",
    ),
    click.option(
        "--really",
        is_flag=True,
        help="Send in a name that is not that of --user, or by --mx, beyond this machine.",
    ),
)


def server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command these options, as one argument `server`."""
    names = [field.name for field in fields(Server)]

    def command(**options: Any) -> Any:
        return function(Server(**{name: options.pop(name) for name in names}), **options)

    wrapped: Callable[..., Any] = update_wrapper(command, function)
    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(Ending.CONFIG, f"{path}: {error.strerror}") from None


def _first_line(source: str, data: bytes) -> str:
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise Failure(Ending.CONFIG, f"{source}: the password is not UTF-8") from None
    if not lines or not lines[0]:
        raise Failure(Ending.CONFIG, f"{source}: no password in its first line")
    return lines[0]
