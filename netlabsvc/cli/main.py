"""The `netlab` command: a table of commands, each loaded when it is called."""

from __future__ import annotations

import io
import sys
from importlib import import_module

import click

from netlabsvc import __version__

#: Command, and its line in `netlab --help`. The module of the same name holds `command`.
COMMANDS = {
    "chat": "Talk in a chat room.",
    "ping": "Send numbered UDP probes and say what came back.",
    "get": "Fetch a URL.",
    "mail": "Send a mail and watch the dialogue.",
    "sendmail": "Take the place of /usr/sbin/sendmail.",
    "queue": "Look at the mail that waits to be delivered.",
    "inbox": "Look at the mail that the sandbox took.",
    "ctl": "Look at a running daemon, and tell it what to do.",
    "operator": "The console of a running daemon.",
    "completion": "Print the script that lets a shell complete all this.",
}


class Commands(click.Group):
    """Loads a command's module only when that command is asked for: help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"netlabsvc.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="netlab")
def main() -> None:
    """The client to each service of a netlab daemon, and to any other server.

    \b
    Examples:
      netlab chat 127.0.0.1:12000 --name ada
      netlab ping 127.0.0.1:12000
      netlab get http://127.0.0.1:8080/
      echo hello | netlab mail --from ada@lab --to bob@lab --subject Hi
      netlab inbox list
      netlab ctl status
      netlab operator
    """
    # What a terminal's encoding lacks is shown as an escape: no text of others ends a command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
