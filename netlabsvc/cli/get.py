"""`netlab get`: fetch a URL, with curl's habits and exit statuses."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

import click

import netlabsvc
from netlabsvc.cli import get_trace
from netlabsvc.cli.get_file import File
from netlabsvc.cli.get_output import Output, Pipe, Place, Terminal, Wishes
from netlabsvc.cli.get_progress import Progress
from netlabsvc.cli.run import run
from netlabsvc.web import asking, url
from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.inflate import ACCEPTED
from netlabsvc.web.journey import travel
from netlabsvc.web.trust import Trust


@dataclass(frozen=True)
class Options:
    """The command line, by the names of its options."""

    address: str
    output: str | None
    resume: str | None
    include: bool
    head: bool
    verbose: bool
    header: tuple[asking.Edit, ...]
    follow: bool
    max_redirs: int
    fail: bool
    compressed: bool
    cacert: str | None
    insecure: bool
    max_time: float | None

    def check(self) -> None:
        """:raises click.UsageError: options that cannot go together."""
        if self.resume and self.output in (None, "-"):
            raise click.UsageError("-C - goes on with a file: name it with -o FILE")
        if self.resume and (self.include or self.head or self.compressed):
            raise click.UsageError(
                "-C - goes on with the bytes of a body: not with -i, -I or --compressed"
            )
        if self.max_time is not None and isnan(self.max_time):
            raise click.UsageError("-m nan is no number of seconds")


def edit(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> Any:
    """Read what -H says."""
    try:
        return tuple(map(asking.edit, texts))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("address", metavar="URL")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Write the body to FILE; - is stdout, whatever the body holds.",
)
@click.option(
    "-C",
    "--continue-at",
    "resume",
    type=click.Choice(["-"]),
    metavar="-",
    help="Go on with the partial FILE of -o, unless it has changed.",
)
@click.option("-i", "--include", is_flag=True, help="Show the status line and the headers too.")
@click.option("-I", "--head", is_flag=True, help="Ask for the headers alone (HEAD).")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Show the connection (*), the request (>) and the response (<) on stderr.",
)
@click.option(
    "-H",
    "--header",
    multiple=True,
    metavar="LINE",
    callback=edit,
    help="'Name: value' adds or replaces a header, 'Name:' removes it, 'Name;' sends it empty.",
)
@click.option("-L", "--location", "follow", is_flag=True, help="Go where redirects lead.")
@click.option(
    "--max-redirs",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    metavar="COUNT",
    help="How many redirects to follow with -L.",
)
@click.option("-f", "--fail", is_flag=True, help="4xx and 5xx are failures, and write nothing.")
@click.option("--compressed", is_flag=True, help=f"Ask for {ACCEPTED}, and unpack.")
@click.option("--cacert", metavar="FILE", help="Trust the certificates in FILE (PEM) alone.")
@click.option("-k", "--insecure", is_flag=True, help="Do not ask who the TLS server is.")
@click.option(
    "-m",
    "--max-time",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Give up after so long in all.",
)
def command(**options: Any) -> None:
    """Fetch a URL over HTTP/1.1 and write what it holds to stdout.

    \b
    Examples:
      netlab get http://127.0.0.1:8080/
      netlab get -v 127.0.0.1:8080/helloWorld.html      what went over the wire, and when
      netlab get -L -o page.html https://www.example.org/
      netlab get -C - -o big.iso http://lab/big.iso     once more, after it broke off
      netlab get -H 'Accept: application/json' -H 'User-Agent:' http://lab/list

    An error page is a page: without -f, 4xx and 5xx end with status 0. FILE is opened when the
    answer begins, so a server that is down does not empty it; what came before a failure stays
    in it. FILE.resume beside it says, until all has come, of which version it is a part; without
    it -C - fetches all of it again, for nobody knows whether the two would fit.

    A terminal gets text: control characters are shown as \\xNN, and a page that names no charset
    and is no UTF-8 is read as GB18030. A pipe and a FILE get the bytes that came. A server that
    sends nothing for 60 s is given up, unless -m says how long to wait.

    \b
    Exit status, as curl's:
       1  no HTTP, here or there         28  it took too long
       3  no URL                         33  the partial file cannot be gone on with
       6  the name cannot be resolved    35  TLS could not be agreed on
       7  no connection                  47  too many redirects
       8  headers that make no sense     52  the server closed without an answer
      18  not all of it came             56  the connection broke, or chunks are wrong
      22  4xx or 5xx, with -f            60  the TLS certificate is not good
      23  it could not be written        61  it could not be unpacked
                                         77  --cacert holds no certificate
    """
    wanted = Options(**options)
    wanted.check()
    # As curl: what came is in the file, and whoever called sees that it was interrupted.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run(lambda reactor: get(reactor, wanted))


async def get(reactor: Any, options: Options) -> int:
    """Fetch what the options name; returns the exit status."""
    file: File | None = None
    try:
        address = url.parse(options.address)
        place: Place
        if options.output not in (None, "-"):
            bar = sys.stderr.isatty() and not options.verbose
            progress = Progress(sys.stderr, reactor.seconds) if bar else None
            place = file = File(str(options.output), str(address), progress)
        elif sys.stdout.isatty():
            place = Terminal(any_bytes=options.output == "-")
        else:
            place = Pipe()
        await exchange(reactor, options, address, place, file)
    except BrokenPipeError:
        # Whoever read us has enough. Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Status.WRITE_ERROR
    except (Failed, OSError) as error:
        if file is not None:
            file.close()
        get_trace.error(f"{error}{file.hint() if file else ''}")
        return error.status if isinstance(error, Failed) else Status.WRITE_ERROR
    return 0


async def exchange(
    reactor: Any, options: Options, address: url.Url, place: Place, file: File | None
) -> None:
    """Ask, and write the answer."""
    headers = (("User-Agent", f"netlab/{netlabsvc.__version__}"), ("Accept", "*/*"))
    if options.compressed:
        headers += (("Accept-Encoding", ACCEPTED),)  # type: ignore[assignment]
    if file is not None and options.resume:
        headers += file.rest()  # type: ignore[assignment]
    method = "HEAD" if options.head else "GET"
    wishes = Wishes(
        include=options.include or options.head,
        verbose=options.verbose,
        fail=options.fail,
        compressed=options.compressed,
        body=not options.head,
    )
    await travel(
        reactor,
        asking.Request(address, method, headers, options.header),
        Output(place, wishes).take,
        trusted=Trust(_read(options.cacert), options.insecure),
        max_time_s=options.max_time,
        redirects=options.max_redirs if options.follow else None,
    )


def _read(cacert: str | None) -> str | None:
    """The certificates of --cacert."""
    try:
        return None if cacert is None else Path(cacert).read_text("ascii", "replace")
    except OSError as error:
        why = f"cannot read {cacert}: {error.strerror}"
        raise Failed(Status.SSL_CACERT_BADFILE, why) from None
