"""What `netlab mail` shows: the dialogue while it goes on, and what became of the mail."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from netlabsvc.mail.delivery import Ending, Fate, Result, together
from netlabsvc.mail.transcript import Line

#: What a line means, in plain words; "" says nothing.
Explain = Callable[[Line], str]


class Dialogue:
    """Gets each line: onto stderr, with its meaning when asked for, and into a file."""

    def __init__(self, *, verbose: bool, explain: Explain | None) -> None:
        self._verbose = verbose
        self._explain = explain
        self._file: Any = None
        self._path = Path()

    def write_to(self, path: Path, stack: ExitStack) -> None:
        """:raises OSError: when the file cannot be opened."""
        self._file, self._path = path.open("w", encoding="utf-8"), path
        stack.callback(self._write, self._file.close)

    def take(self, line: Line) -> None:
        if self._verbose:
            click.echo(str(line), err=True)
            if self._explain and (meaning := self._explain(line)):
                click.echo(f"     {meaning}", err=True)
        if self._file:
            at_s = round(line.at_s, 6)
            told = {"at_s": at_s, "side": line.side, "text": line.text, "tls": line.tls}
            self._write(self._file.write, json.dumps(told, ensure_ascii=False) + "\n")

    def _write(self, write: Callable[..., object], *data: str) -> None:
        """What cannot be written is no reason to end a dialogue; it is said, once."""
        try:
            write(*data)
        except OSError as error:
            if self._file:
                self._file = None
                click.echo(f"{self._path}: {error.strerror}; it is not whole", err=True)


class Enter:
    """Waits for Enter on the terminal, whatever stdin is."""

    def __init__(self, reactor: Any, stack: ExitStack) -> None:
        """:raises OSError: when there is no terminal."""
        self._tty = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        stack.callback(os.close, self._tty)
        self._reactor = reactor
        self._pressed: Deferred[None] | None = None

    def pause(self) -> Deferred[None]:
        """Fires when Enter is pressed; fails at the end of input."""
        os.write(self._tty, b"[Enter] ")
        self._pressed = Deferred()
        self._reactor.addReader(self)
        return self._pressed

    def fileno(self) -> int:
        return self._tty

    def logPrefix(self) -> str:
        return "terminal"

    def doRead(self) -> None:
        self._reactor.removeReader(self)
        pressed, self._pressed = self._pressed, None
        assert pressed is not None
        if os.read(self._tty, 4096):
            pressed.callback(None)
        else:
            pressed.errback(EOFError())

    def connectionLost(self, reason: Any) -> None:
        """The terminal has gone; the reactor says so."""


def report(results: Sequence[Result], where: str, *, as_json: bool) -> int:
    """Say what became of one mail; gives the exit status.

    :param results: one for each server it went to.
    :param where: the server, for an error.
    """
    ending = together(results)
    if as_json:
        click.echo(json.dumps(as_object(results), ensure_ascii=False))
        return int(ending)
    for result in results:
        if result.stopped:
            click.echo(result.cause)
            continue
        told = [one.address for one in result.recipients if one.fate is Fate.DELIVERED]
        if result.ending is Ending.DELIVERED:
            click.echo(f"delivered to {', '.join(told)}: {result.cause}")
        else:
            if told:
                click.echo(f"delivered to {', '.join(told)}")
            click.echo(f"Error: {where}: {result.cause}", err=True)
    return int(ending)


def as_object(results: Sequence[Result]) -> dict[str, Any]:
    """What --json prints: how it ended, where, over what, and of each recipient its fate."""
    ending = together(results)
    last = next((result for result in results if result.ending is ending), results[-1])
    return {
        "status": int(ending),
        "ending": ending.name.lower(),
        "stage": str(last.stage),
        "cause": last.cause,
        "stopped": last.stopped,
        "tls": last.channel.tls,
        "cipher": last.channel.cipher,
        "mechanism": last.channel.mechanism,
        "recipients": [
            {"address": one.address, "fate": one.fate, "code": one.code, "text": one.text}
            for result in results
            for one in result.recipients
        ],
    }


def report_load(results: Sequence[Result], seconds: float, where: str, *, as_json: bool) -> int:
    """Say how a load went; gives the exit status."""
    ending = together(results)
    causes = Counter(result.cause for result in results if result.ending is not Ending.DELIVERED)
    delivered = sum(result.ending is Ending.DELIVERED for result in results)
    rate = len(results) / seconds if seconds else 0.0
    if as_json:
        figures: dict[str, Any] = {
            "status": int(ending),
            "mails": len(results),
            "delivered": delivered,
        }
        figures |= {"seconds": round(seconds, 6), "per_s": round(rate, 1), "causes": dict(causes)}
        click.echo(json.dumps(figures, ensure_ascii=False))
        return int(ending)
    for cause, times in causes.most_common():
        click.echo(f"Error: {where}: {times} times: {cause}", err=True)
    click.echo(f"{delivered} of {len(results)} delivered in {seconds:.3f} s, {rate:.0f} per second")
    return int(ending)
