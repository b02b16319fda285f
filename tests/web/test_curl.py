"""The site on a real socket, asked by curl and by peers that behave badly."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ClientFactory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import capturedLogs, formatEvent

from netlabsvc.web import site
from netlabsvc.web.settings import Settings
from support.outside import need

reactor: Any = _reactor
BIG = 20_000_000


@pytest_twisted.async_yield_fixture
async def port(root: Path) -> AsyncIterator[int]:
    """The port of a running site."""
    factory = site.build(root, Settings(), {}, reactor)
    listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
    yield listener.getHost().port
    await listener.stopListening()
    factory.abort()
    await factory.drain()


async def curl(*arguments: str) -> tuple[int, bytes]:
    """Exit status and output of a real curl."""
    out, _, status = await getProcessOutputAndValue(
        need("curl"), ["-s", "-m", "20", "--path-as-is", *arguments], env=dict(os.environ)
    )
    return status, out


@pytest_twisted.ensureDeferred
async def test_curl_gets_what_there_is(port: int) -> None:
    """Whole, in part, its head, by HTTP/1.0, and twice on one connection."""
    url = f"http://127.0.0.1:{port}/digits.txt"
    whole = b"0123456789" * 100
    assert await curl(url) == (0, whole)
    assert await curl("-0", url) == (0, whole)
    assert await curl("-r", "5-8", url) == (0, b"5678")
    status, head = await curl("-I", url)
    assert (status, head.count(b"Content-Length: 1000")) == (0, 1)
    out = await curl("-w", "%{num_connects}", url, url)
    assert out == (0, whole + b"1" + whole + b"0")


@pytest_twisted.ensureDeferred
async def test_curl_asks_under_conditions(port: int, root: Path, tmp_path: Path) -> None:
    """curl's own ETag and time conditions, and its resume, work."""
    url, etag, copy = f"http://127.0.0.1:{port}/digits.txt", tmp_path / "etag", tmp_path / "copy"
    await curl("--etag-save", str(etag), url)
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert await curl("--etag-compare", str(etag), *code, url) == (0, b"304")
    assert await curl("-z", str(root / "digits.txt"), *code, url) == (0, b"304")
    copy.write_bytes(b"01234")
    assert (await curl("-C", "-", "-o", str(copy), url))[0] == 0
    assert copy.read_bytes() == b"0123456789" * 100


@pytest_twisted.ensureDeferred
async def test_a_fifo_freezes_nothing(port: int) -> None:
    """Asked for a FIFO, the site says no and goes on."""
    url = f"http://127.0.0.1:{port}"
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert await curl(*code, f"{url}/fifo") == (0, b"403")
    assert await curl(*code, f"{url}/digits.txt") == (0, b"200")


@pytest_twisted.ensureDeferred
async def test_one_who_half_closes_gets_every_answer(port: int, root: Path) -> None:
    """Requests followed at once by a shutdown are answered in full, as `nc -N` expects it."""
    (root / "big").write_bytes(bytes(BIG))

    def converse() -> int:
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            for path in (b"/big", b"/digits.txt"):
                peer.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: lab\r\n\r\n")
            peer.shutdown(socket.SHUT_WR)
            return sum(len(data) for data in iter(lambda: peer.recv(1 << 16), b""))

    count = await deferToThread(converse)
    assert BIG + 1000 < count < BIG + 2000


@pytest_twisted.ensureDeferred
async def test_one_too_many_hears_it(root: Path) -> None:
    """Over a real socket the 503 arrives, and is not lost in a reset."""
    factory = site.build(root, Settings(max_connections=1), {}, reactor)
    listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
    number = listener.getHost().port
    with socket.create_connection(("127.0.0.1", number)):
        url = f"http://127.0.0.1:{number}/digits.txt"
        for _ in range(5):
            assert await curl("-o", "/dev/null", "-w", "%{http_code}", url) == (0, b"503")
    await listener.stopListening()
    factory.abort()
    await factory.drain()


@pytest_twisted.ensureDeferred
async def test_a_refusal_is_not_lost_in_a_reset(port: int) -> None:
    """A peer that is refused in the middle of its body can send on, and read why."""

    def post() -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            peer.sendall(b"POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 9000000\r\n\r\n")
            peer.sendall(bytes(9_000_000))
            return peer.recv(12)

    assert await deferToThread(post) == b"HTTP/1.1 413"


@pytest_twisted.ensureDeferred
async def test_a_download_survives_the_drain(root: Path) -> None:
    """Told to drain, the site lets a download under way finish, and then is empty."""
    (root / "big").write_bytes(bytes(BIG))
    factory = site.build(root, Settings(), {}, reactor)
    listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
    reader = await connect(listener.getHost().port)
    drained = factory.drain()
    assert not drained.called
    reader.transport.resumeProducing()  # type: ignore[union-attr]
    assert await reader.lost > BIG
    await drained
    await listener.stopListening()


class Reader(Protocol):
    """Asks for the big file and stops reading when the first of its body has come."""

    def __init__(self) -> None:
        self.started: Deferred[None] = Deferred()
        self.lost: Deferred[int] = Deferred()
        self.count = 0

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(b"GET /big HTTP/1.0\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        self.count += len(data)
        if self.count > 1000 and not self.started.called:
            transport.pauseProducing()
            self.started.callback(None)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(self.count)


async def connect(port: int) -> Reader:
    reader = Reader()
    factory = ClientFactory.forProtocol(lambda: reader)
    factory.noisy = False
    reactor.connectTCP("127.0.0.1", port, factory)
    await reader.started
    return reader


@pytest_twisted.ensureDeferred
async def test_a_big_file_comes_whole(port: int, root: Path) -> None:
    """20 MB pass through a reader that pauses, byte for byte in number."""
    (root / "big").write_bytes(bytes(BIG))
    reader = await connect(port)
    reader.transport.resumeProducing()  # type: ignore[union-attr]
    assert await reader.lost > BIG


@pytest_twisted.ensureDeferred
async def test_a_file_that_shrinks_cuts_the_connection(port: int, root: Path) -> None:
    """A file truncated while it is served ends in a cut and one line in the log."""
    (root / "big").write_bytes(bytes(BIG))
    with capturedLogs() as events:
        reader = await connect(port)
        os.truncate(root / "big", 100)
        reader.transport.resumeProducing()  # type: ignore[union-attr]
        assert await reader.lost < BIG
        await deferLater(reactor, 0.05, lambda: None)  # the access log has its own turn
    lines = [formatEvent(event) for event in events if "netlabsvc" in event["log_namespace"]]
    assert ["shrank" in line for line in lines] == [True, False]
    size = re.findall(r'"GET /big HTTP/1.0" 200 (\d+) ', lines[1])[0]
    assert 100 < int(size) < BIG
    assert not any("log_failure" in event for event in events)


@pytest_twisted.ensureDeferred
async def test_no_descriptor_is_left_behind(port: int, root: Path) -> None:
    """Whole, aborted, refused, listed: every file is closed afterwards."""
    (root / "big").write_bytes(bytes(BIG))
    url = f"http://127.0.0.1:{port}"

    def held() -> set[str]:
        links = [link for link in Path("/proc/self/fd").iterdir() if link.exists()]
        return {str(link.readlink()) for link in links}

    reader = await connect(port)
    assert str(root / "big") in held()
    reader.transport.abortConnection()  # type: ignore[union-attr]
    for path in ("/", "/sub", "/sub/", "/home/", "/none", "/fifo", "/link-in", "/digits.txt/"):
        await curl(url + path)
        await curl("-I", url + path)
    assert not [name for name in held() if name.startswith(str(root))]
