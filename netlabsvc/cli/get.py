"""`netlab get`: fetch a URL, with curl's habits and exit statuses."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from netlabsvc.cli.run import run
from netlabsvc.web import client, url
from netlabsvc.web.printable import Printable, charset
from netlabsvc.web.response import Body, End, Event, Head


@click.command()
@click.argument("address", metavar="URL")
@click.option("-o", "--output", metavar="FILE", help="Write the body to FILE; - is stdout.")
@click.option("-i", "--include", is_flag=True, help="Show the status line and the headers too.")
@click.option(
    "-m",
    "--max-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long in all.",
)
def command(address: str, output: str | None, include: bool, max_time: float | None) -> None:
    """Fetch a URL over HTTP/1.1 and write what it holds to stdout.

    \b
    Examples:
      netlab get http://127.0.0.1:8080/
      netlab get -i 127.0.0.1:8080/helloWorld.html
      netlab get -o page.html https://www.example.org/

    An error page is a page: 4xx and 5xx end with status 0. FILE is opened when the answer begins,
    so a server that is down does not empty it; what came before a failure stays in it.

    \b
    Exit status, as curl's:
       1  neither http nor https       28  it took too long
       3  no URL                       35  TLS could not be agreed on
       6  the name cannot be resolved  52  the server closed without an answer
       7  no connection                56  the connection broke
       8  what came is no HTTP         60  the TLS certificate is not good
      18  not all of it came           23  it could not be written
    """

    async def main(reactor: Any) -> int:
        try:
            with ExitStack() as stack:
                sink = Sink(None if output == "-" else output, include, stack)
                await client.fetch(reactor, url.parse(address), sink.take, max_time_s=max_time)
        except BrokenPipeError:
            # Whoever read us has enough. Python would complain of it once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return client.WRITE_ERROR
        except (url.UnknownScheme, url.Malformed, client.Failed, OSError) as error:
            click.echo(f"Error: {error}", err=True)
            return exit_status(error)
        return 0

    run(main)


def exit_status(error: Exception) -> int:
    """What curl would end with."""
    if isinstance(error, client.Failed):
        return error.status
    if isinstance(error, url.UnknownScheme):
        return client.UNSUPPORTED_SCHEME
    return client.MALFORMED_URL if isinstance(error, url.Malformed) else client.WRITE_ERROR


class Sink:
    """Where a response goes: bytes as they are, but a terminal gets nothing that drives it."""

    def __init__(self, path: str | None, include: bool, stack: ExitStack) -> None:
        self._path = path
        self._include = include
        self._stack = stack
        self._file: Any = None
        self._printable: Printable | None = None

    def take(self, event: Event) -> None:
        """Write one event of a response."""
        if isinstance(event, Head):
            self._open()
            if self._include:
                self._write(event.raw)
            if self._printable:
                self._printable = Printable(charset(b";".join(event.values(b"content-type"))))
        elif isinstance(event, Body):
            self._write(event.data)
        elif isinstance(event, End) and self._printable:
            self._write(b"", final=True)

    def _open(self) -> None:
        if self._file is not None:
            return
        if self._path is not None:
            file = Path(self._path).open("wb")  # noqa: SIM115 - closed by the stack
            self._file = self._stack.enter_context(file)
        else:
            self._file = sys.stdout.buffer
            self._printable = Printable() if sys.stdout.isatty() else None

    def _write(self, data: bytes, *, final: bool = False) -> None:
        if self._printable:
            data = self._printable.feed(data, final=final).encode("utf-8", "replace")
        self._file.write(data)
        self._file.flush()
