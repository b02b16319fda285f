"""Writes the manual pages from the tables of options: netlab(1) and netlabd(8).

    python docs/man.py netlab > netlab.1
    python docs/man.py netlabd > netlabd.8

What it writes is roff for the macros of man(7).
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap

import click

from netlabsvc import __version__, activation, config, tap
from netlabsvc.cli.main import main

_ESCAPES = str.maketrans(
    {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
)
# roff itself reads Latin-1; other characters have names (groff_char(7)).
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")


def escaped(text: str) -> str:
    """A text whose characters roff shows as they are, also at the begin of a line."""
    text = text.translate(_ESCAPES)
    text = _BEYOND_ASCII.sub(lambda match: rf"\[u{ord(match[0]):04X}]", text)
    return rf"\&{text}" if text.startswith(".") else text


class Page:
    """A page that is being written."""

    def __init__(self, name: str, section: int, about: str) -> None:
        self._lines = [
            rf".TH {name.upper()} {section} \& netlab\~{escaped(__version__)} netlab",
            ".SH NAME",
            rf"{name} \- {escaped(about)}",
        ]

    def section(self, title: str) -> None:
        self._lines.append(f".SH {title.upper()}")

    def subsection(self, title: str) -> None:
        self._lines.append(f'.SS "{escaped(title)}"')

    def command(self, line: str) -> None:
        """How a command is called, a line of its own."""
        self._lines += [".nh", ".PP", f".B {escaped(line)}", ".hy"]

    def paragraph(self, text: str) -> None:
        self._lines += [".PP", *_wrapped(text)]

    def item(self, tag: str, text: str) -> None:
        """A line in bold, and what it means below it, indented."""
        self._lines += [".TP", f".B {escaped(tag)}", *_wrapped(text)]

    def example(self, text: str) -> None:
        """Lines that stay as they are."""
        self._lines += [".PP", ".EX", *(escaped(line) for line in text.splitlines()), ".EE"]

    def text(self, text: str) -> None:
        """The help of a command: paragraphs, and after click's \\b lines as they are."""
        for part in inspect.cleandoc(text).split("\n\n"):
            if part.startswith("\b\n"):
                self.example(part.removeprefix("\b\n"))
            else:
                self.paragraph(part)

    def __str__(self) -> str:
        return "\n".join(self._lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return [escaped(line) for line in textwrap.wrap(text, 90, break_on_hyphens=False)]


def netlab() -> Page:
    """The command: every subcommand with its options."""
    page = Page("netlab", 1, "the client to each service of a network lab")
    page.section("synopsis")
    page.command("netlab COMMAND [OPTIONS] [ARGUMENTS]")
    page.section("description")
    page.text(main.help or "")
    page.section("commands")
    context = click.Context(main, info_name="netlab")
    for name in main.list_commands(context):
        _command(page, context, name)
    _end(page, "netlabd(8)")
    return page


def _command(page: Page, above: click.Context, name: str) -> None:
    """One command, and those below it."""
    assert isinstance(above.command, click.Group)
    command = above.command.get_command(above, name)
    assert command is not None
    context = click.Context(command, info_name=name, parent=above)
    page.subsection(context.command_path)
    page.command(f"{context.command_path} {' '.join(command.collect_usage_pieces(context))}")
    page.text(command.help or "")
    for parameter in command.get_params(context):
        if record := parameter.get_help_record(context):
            page.item(*record)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            _command(page, context, below)


def netlabd() -> Page:
    """The daemon: options, and every key of the configuration."""
    page = Page("netlabd", 8, "a network lab: chat hub, UDP reflector, web site, mail sandbox")
    page.section("synopsis")
    page.command("netlabd [OPTIONS]")
    page.command("twistd -n --pidfile= netlab [OPTIONS]")
    page.section("description")
    page.paragraph("netlabd is twistd(1) with the plugin netlab, in the foreground.")
    page.paragraph(tap.Options.longdesc)
    page.section("options")
    keys = {k.flag for k in config.KEYS.values()}
    for name, _, _, about in tap.Options.optParameters:
        if name not in keys:
            page.item(f"--{name} {name.upper()}", about)
    for name, _, about in tap.Options.optFlags:
        page.item(f"--{name}", about)
    page.item("--version", "print the version")
    page.item("--help", "print every option")
    page.section("configuration")
    page.paragraph(
        "Every key, with the option and the environment variable that set it. A file begins with "
        "the keys without a dot; the others stand in tables: chat.port is port in [chat]."
    )
    for k in config.KEYS.values():
        option = f"  --{k.flag}" if k.flag else ""
        plain = k.read is not None or not (k.bounds or k.one_of or k.optional)
        accepts = "" if plain else f"; {k.accepts()}"
        page.item(f"{k.path}{option}  ${k.variable}", k.help_with_default() + accepts)
    _around(page)
    _end(page, "netlab(1), twistd(1), systemd.socket(5)")
    return page


def _around(page: Page) -> None:
    """What the daemon meets outside of its options."""
    page.section("signals")
    page.item("SIGTERM, SIGINT", "end: say goodbye, let transfers go on for shutdown_grace_s")
    page.item("the same again", "end at once")
    page.item("SIGHUP", "read the configuration again; the log says what changes and what cannot")
    page.item("SIGUSR1", "begin a new log file, where twistd --logfile names one")
    page.section("environment")
    page.item("STATE_DIRECTORY, XDG_STATE_HOME", "where state_dir is, unless it is set")
    page.item("NOTIFY_SOCKET, WATCHDOG_USEC", "sd_notify(3): told of the start, the end, and life")
    names = ", ".join(activation.NAMES)
    page.item(
        "LISTEN_FDS, LISTEN_FDNAMES",
        f"sockets of a service manager take the place of host and port by their names: {names}",
    )
    page.section("files")
    page.item("/etc/netlab.toml", "what the system service reads; every key, with its default")
    page.section("exit status")
    page.paragraph("0 after an orderly end, 1 with one line on stderr where it cannot start.")


def _end(page: Page, other: str) -> None:
    page.section("see also")
    page.paragraph(f"{other}, and the documentation that comes with the source.")


PAGES = {"netlab": netlab, "netlabd": netlabd}

if __name__ == "__main__":
    if sys.argv[1:] not in [[name] for name in PAGES]:
        sys.exit(f"usage: man.py {'|'.join(PAGES)}")
    sys.stdout.write(str(PAGES[sys.argv[1]]()))
