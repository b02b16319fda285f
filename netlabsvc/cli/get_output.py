"""Where the events of a fetch go: a file, a pipe or a terminal, and stderr."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Protocol

from netlabsvc.cli import get_trace
from netlabsvc.web.charset import declared
from netlabsvc.web.client import Fact, Sent
from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.inflate import Chain
from netlabsvc.web.journey import Redirect
from netlabsvc.web.printable import Printable, binary
from netlabsvc.web.response import Body, End, Head, Remark, Trailer


class Place(Protocol):
    """What can be written to; each method raises `Failed` or OSError."""

    def header(self, raw: bytes) -> None:
        """Headers, for -i and -I."""

    def open(self, head: Head) -> None:
        """The response begins."""

    def write(self, data: bytes) -> None:
        """Some of the body."""

    def finish(self) -> None:
        """The body is complete."""


class Pipe:
    """Stdout where a program reads: bytes as they are."""

    def header(self, raw: bytes) -> None:
        self.write(raw)

    def open(self, head: Head) -> None:
        """Bytes need no preparation."""

    def write(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """Nothing is held back."""


class Terminal:
    """Stdout where a person reads: text, and nothing that drives the terminal."""

    def __init__(self, *, any_bytes: bool) -> None:
        """:param any_bytes: show what is not for people, too."""
        self._any_bytes = any_bytes
        self._encoding: str | None = None
        self._printable = Printable()
        self._begun = False

    def header(self, raw: bytes) -> None:
        self._show(Printable("utf-8").feed(raw, final=True))

    def open(self, head: Head) -> None:
        self._encoding = declared(b";" + b";".join(head.values(b"content-type")))
        self._printable = Printable(self._encoding)

    def write(self, data: bytes) -> None:
        if not (self._begun or self._any_bytes) and binary(data, self._encoding):
            why = "the body is binary; -o FILE keeps it, -o - shows it, | hexdump -C too"
            raise Failed(Status.WRITE_ERROR, why)
        self._begun = True
        self._show(self._printable.feed(data))

    def finish(self) -> None:
        self._show(self._printable.feed(b"", final=True))
        decoder = self._printable.decoder
        if decoder.found_out and decoder.encoding == "gb18030":
            get_trace.warning("the page names no charset; it is no UTF-8, and is shown as GB18030")

    def _show(self, text: str) -> None:
        sys.stdout.buffer.write(text.encode(sys.stdout.encoding, "backslashreplace"))
        sys.stdout.buffer.flush()


@dataclass(frozen=True)
class Wishes:
    """What the options say of the output."""

    include: bool = False
    verbose: bool = False
    fail: bool = False
    compressed: bool = False
    body: bool = True


class Output:
    """Takes the events of a fetch."""

    def __init__(self, place: Place, wishes: Wishes) -> None:
        self._place = place
        self._wishes = wishes
        self._chain: Chain | None = None

    def take(self, event: Any) -> None:
        """Treat one event.

        :raises Failed: it cannot be written, or is an error page where -f is given.
        """
        if isinstance(event, Body):
            for piece in self._chain.feed(event.data) if self._chain else (event.data,):
                self._place.write(piece)
        elif isinstance(event, Redirect):
            self._show(event.head)
        elif isinstance(event, Head):
            self._begin(event)
        elif isinstance(event, End):
            if self._chain:
                self._chain.end()
            self._place.finish()
        elif isinstance(event, Remark):
            get_trace.warning(event.text)
        elif self._wishes.verbose:
            _trace(event)

    def _begin(self, head: Head) -> None:
        if head.status >= 400 and self._wishes.fail:
            if self._wishes.verbose:
                get_trace.wire("<", head.raw)
            why = f"the server says {head.status} {head.reason.decode('utf-8', 'backslashreplace')}"
            raise Failed(Status.HTTP_RETURNED_ERROR, why.rstrip())
        self._show(head)
        if head.status < 200 or not self._wishes.body:
            return
        encodings = b",".join(head.values(b"content-encoding"))
        if self._wishes.compressed and encodings:
            self._chain = Chain(encodings)
        self._place.open(head)

    def _show(self, head: Head) -> None:
        if self._wishes.verbose:
            get_trace.wire("<", head.raw)
        if self._wishes.include:
            self._place.header(head.raw)


def _trace(event: Fact | Sent | Trailer) -> None:
    """What only -v shows."""
    if isinstance(event, Fact):
        get_trace.fact(event.text)
    elif isinstance(event, Sent):
        get_trace.wire(">", event.data)
    else:
        get_trace.wire("<", event.raw)
