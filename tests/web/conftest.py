"""A small site, and one who asks it in raw bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface import directlyProvides

from netlabsvc.web import site
from netlabsvc.web.settings import Settings

NOW = 1_800_000_000
STRANGER = IPv4Address("TCP", "192.0.2.1", 50000)
CHANGED = 1_700_000_000
DIGITS = b"0123456789" * 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with one of everything that a site may hold, and a secret beside it."""
    (tmp_path / "secret.txt").write_bytes(b"SECRET")
    root = tmp_path / "www"
    for directory in ("empty", "sub", "home", ".git", ".well-known", "evil.example", "x:y"):
        (root / directory).mkdir(parents=True)
    (root / "digits.txt").write_bytes(DIGITS)
    os.utime(root / "digits.txt", (CHANGED, CHANGED))
    (root / "home" / "index.html").write_bytes(b"<h1>home</h1>")
    (root / "sub" / "page.html").write_bytes(b"page")
    (root / ".git" / "config").write_bytes(b"SECRET")
    (root / ".well-known" / "ok").write_bytes(b"known")
    for name in (b"unknown", b"odd.xyz", b"a.tar.gz", b"nothing.txt", b"a b%.txt", b"\xff.txt"):
        (root / os.fsdecode(name)).write_bytes(b"" if name == b"nothing.txt" else b"data")
    os.mkfifo(root / "fifo")
    (root / "link-out").symlink_to("../secret.txt")
    (root / "link-in").symlink_to("digits.txt")
    (root / "dir-out").symlink_to("..")
    return root


class Written(BytesIO):
    """What was written, in the place of the socket that http.client reads from."""

    def makefile(self, mode: str) -> BytesIO:
        return self


class Visitor:
    """A connection to a site, made of memory; time passes when it is told to."""

    def __init__(
        self, factory: site.Site, clock: Clock, peer: Any = STRANGER, *, secure: bool = False
    ) -> None:
        self.transport = StringTransport()
        if secure:
            directlyProvides(self.transport, ISSLTransport)
            self.transport.setTcpNoDelay = lambda enabled: None  # type: ignore[attr-defined]
        self.clock = clock
        self.channel: Any = factory.buildProtocol(peer)
        self.transport.peerAddr = peer
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.channel.dataReceived(data)

    def ask(self, request: bytes) -> HTTPResponse:
        """Send a request and read its response, whose body is in `.body`."""
        self.transport.clear()
        self.send(request)
        return self.response(request.partition(b" ")[0].decode("latin-1"))

    def response(self, method: str = "GET") -> HTTPResponse:
        response = HTTPResponse(Written(self.transport.value()), method=method)  # type: ignore[arg-type]
        response.begin()
        response.body = response.read()  # type: ignore[attr-defined]
        return response


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.advance(NOW)
    return clock


@pytest.fixture
def factory(root: Path, clock: Clock) -> site.Site:
    return site.build(root, Settings(max_connections=3), {}, clock)


@pytest.fixture
def visit(factory: site.Site, clock: Clock) -> Callable[..., Visitor]:
    """A new connection to the site of this test, or to another, from a stranger or someone else."""
    return lambda to=factory, peer=STRANGER, secure=False: Visitor(to, clock, peer, secure=secure)
