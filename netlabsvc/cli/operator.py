"""`netlab operator`: the console of a daemon that has no terminal of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading

import click

from netlabsvc.cli.ctl_options import UNREACHABLE, fail
from netlabsvc.cli.operator_session import Session
from netlabsvc.control.client import Control, Refused, Unreachable
from netlabsvc.state import control_sockets


@click.command("operator")
@click.option(
    "--control",
    "path",
    type=click.Path(),
    help="The daemon's control socket, if it was told another than the usual one.",
)
def command(path: str | None) -> None:
    """The console of a running daemon: what clients say is printed, what you type is said to them.

    A line whose first word is a command is done instead: to 3, p2p 3, next, reply, who, kick 3,
    mode, impair, shutdown REASON, ...; help lists them. On a terminal the line being typed stays
    whole, Tab completes commands and names, and Ctrl-D leaves; the daemon goes on. In a pipe the
    input is obeyed line by line, and the command ends once the answers of the last second are
    there.

    \b
    Examples:
      netlab operator
      netlab operator --control /run/netlab/control.sock
      echo who | netlab operator
      (echo mode operator; echo all five minutes left) | netlab operator
    """
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        control = Control([path] if path else control_sockets(os.environ))
        session = Session(control, _show, terminal=terminal)
    except Unreachable as error:
        fail(str(error), UNREACHABLE)
    except Refused as error:
        fail(str(error), 1)
    if terminal:
        # A pipe need not wait until the line editor is loaded.
        from netlabsvc.cli.operator_terminal import converse

        converse(session)
    else:
        _obey_a_pipe(session)


def _show(lines: str) -> None:
    print(lines, flush=True)


def _obey_a_pipe(session: Session) -> None:
    # A signal ends this as it ends other tools.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_read, args=(session,), daemon=True).start()
    session.run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _read(session: Session) -> None:
    """Standard input, line by line.

    Not by way of sys.stdin: Python cannot end while a thread holds its lock.
    """
    rest = b""
    while data := os.read(sys.stdin.fileno(), 65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            session.feed(line.decode("utf-8", "backslashreplace"))
    if rest:
        session.feed(rest.decode("utf-8", "backslashreplace"))
    session.finish()
