"""Big files on their way: by the kernel over plain TCP, and read and written elsewhere."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import pytest_twisted
from twisted.internet import reactor as _reactor
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from netlabsvc.web import site, transfer
from netlabsvc.web.settings import Settings

reactor: Any = _reactor
BIG = Random(1).randbytes(3_000_000)
SMALL = b"GET /digits.txt HTTP/1.1\r\nHost: lab\r\n\r\n"
WHOLE = b"GET /big HTTP/1.1\r\nHost: lab\r\n\r\n"
PART = b"GET /big HTTP/1.1\r\nHost: lab\r\nRange: bytes=1000000-1999999\r\n\r\n"


@pytest.fixture
def big(root: Path) -> Path:
    path = root / "big"
    path.write_bytes(BIG)
    return path


@pytest_twisted.async_yield_fixture
async def port(factory: site.Site, big: Path) -> AsyncIterator[int]:
    """The port of a site on a real socket, whose deadlines go by the clock of the test."""
    listener = reactor.listenTCP(0, factory, interface="127.0.0.1")
    yield listener.getHost().port
    await listener.stopListening()
    factory.abort()
    await factory.drain()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        await deferLater(reactor, 0.005, lambda: None)
    raise AssertionError("it never came true")


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def converse(port: int, requests: bytes) -> bytes:
    """Send all requests at once and read until the end."""
    with socket.create_connection(("127.0.0.1", port), 20) as peer:
        peer.sendall(requests)
        peer.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: peer.recv(1 << 16), b""))


@pytest_twisted.ensureDeferred
async def test_a_pipeline_of_big_and_small(port: int, factory: site.Site) -> None:
    """Whole files, parts and small ones come in the order they were asked for, byte for byte."""
    before = descriptors()
    heard = await deferToThread(converse, port, WHOLE + SMALL + PART + SMALL + WHOLE)
    bodies = [BIG, b"0123456789" * 100, BIG[1_000_000:2_000_000], b"0123456789" * 100, BIG]
    for body in bodies:
        _, end, heard = heard.partition(b"\r\n\r\n")
        assert end
        assert heard.startswith(body)
        heard = heard[len(body) :]
    assert not heard
    await until(lambda: not factory.connections)
    assert descriptors() <= before
    assert factory.tally.body_bytes == sum(map(len, bodies))


@pytest_twisted.ensureDeferred
async def test_known_answers_to_one_who_reads_late(port: int, root: Path, clock: Clock) -> None:
    """Where the socket is full in the middle of an answer, the rest follows, in order."""
    body = BIG[:60_000]
    (root / "middle").write_bytes(body)
    request = SMALL.replace(b"digits.txt", b"middle")
    last = request[:-2] + b"Connection: close\r\n\r\n"

    def converse() -> bytes:
        with socket.create_connection(("127.0.0.1", port), 20) as peer:
            sender = threading.Thread(target=peer.sendall, args=(request * 299 + last,))
            sender.start()
            sender.join(0.3)  # by now the server cannot send on
            heard = b"".join(iter(lambda: peer.recv(1 << 20), b""))
            sender.join()
            return heard

    os.utime(root / "middle", (1, 1))
    clock.rightNow = max(clock.rightNow, time.time() + 60)
    heard = await deferToThread(converse)
    assert len(heard.replace(body, b"").split(b"HTTP/1.1 200 OK\r\n")) == 301


def test_a_known_answer_waits_behind_what_is_queued(factory: site.Site, clock: Clock) -> None:
    """What goes to the socket at once does not overtake what the transport still has."""
    clock.rightNow = max(clock.rightNow, time.time() + 60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 20)
        ours, peer = listener.accept()
    channel, nothing = factory.buildProtocol(None), cast(Any, None)
    transport = tcp.Server(ours, channel, peer, nothing, 1, reactor)
    channel.makeConnection(transport)
    channel.dataReceived(SMALL)
    transport.doWrite()
    theirs.recv(1 << 16)
    transport.write(b"first")
    channel.dataReceived(SMALL)
    transport.doWrite()
    assert theirs.recv(1 << 16).startswith(b"firstHTTP/1.1 200")
    channel.dataReceived(SMALL)
    assert theirs.recv(1 << 16).startswith(b"HTTP/1.1 200")
    transport.connectionLost(Failure(ConnectionDone()))
    theirs.close()


@pytest_twisted.ensureDeferred
async def test_one_who_goes_leaves_nothing_behind(port: int, factory: site.Site) -> None:
    """A download that is reset, or dropped, closes the file and the socket, with no traceback."""
    before = descriptors()
    with capturedLogs() as events:
        for linger in (b"", struct.pack("ii", 1, 0)):
            peer = socket.create_connection(("127.0.0.1", port))
            peer.sendall(WHOLE)
            await deferToThread(peer.recv, 1000)
            if linger:
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            peer.close()
            await until(lambda: not factory.connections)
    assert descriptors() <= before
    assert not any("log_failure" in event for event in events)


@pytest_twisted.ensureDeferred
async def test_one_who_stops_reading_is_cut(
    port: int, factory: site.Site, clock: Clock, big: Path
) -> None:
    """30 s without a byte taken end a download; one that goes on is left alone."""
    os.truncate(big, 100_000_000)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.connect(("127.0.0.1", port))
        peer.sendall(WHOLE)
        await until(lambda: factory.tally.connections == 1)
        for _ in range(3):
            await deferToThread(peer.recv, 1_000_000, socket.MSG_WAITALL)
            await deferLater(reactor, 0.05, lambda: None)
            clock.pump([1] * 29)
            assert len(factory.connections) == 1
        clock.pump([1] * 12)
        await until(lambda: not factory.connections)


@pytest_twisted.ensureDeferred
async def test_one_download_leaves_turns_to_others(
    port: int, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast the peer reads, no more than a bounded part is sent in a turn of the reactor."""
    asked: list[int] = []
    sendfile = os.sendfile

    def watched(out: int, file: int, offset: int, count: int) -> int:
        asked.append(count)
        return sendfile(out, file, offset, count)

    monkeypatch.setattr(os, "sendfile", watched)
    await deferToThread(converse, port, WHOLE)
    assert len(asked) >= len(BIG) // transfer.TURN_BYTES
    assert max(asked) == transfer.TURN_BYTES


def _cold(*_: object) -> int:
    """preadv(2) with RWF_NOWAIT where the bytes would have to come from the disk."""
    raise BlockingIOError


@pytest_twisted.ensureDeferred
async def test_a_thread_waits_for_the_disk(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in memory is read outside the reactor's thread before the kernel copies it."""
    here, read_to = threading.get_ident(), 0
    pread, sendfile = os.pread, os.sendfile

    def waiting(file: int, count: int, offset: int) -> bytes:
        nonlocal read_to
        assert threading.get_ident() != here
        read_to = offset + count
        return pread(file, count, offset)

    def copying(out: int, file: int, offset: int, count: int) -> int:
        assert offset + count <= read_to
        return sendfile(out, file, offset, count)

    monkeypatch.setattr(os, "preadv", _cold)
    monkeypatch.setattr(os, "pread", waiting)
    monkeypatch.setattr(os, "sendfile", copying)
    assert (await deferToThread(converse, port, WHOLE)).endswith(BIG)
    assert read_to == len(BIG)


@pytest_twisted.ensureDeferred
async def test_one_goes_while_the_disk_is_waited_for(
    port: int, factory: site.Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stays open as long as a thread reads from it, and is closed then."""
    before, pread = descriptors(), os.pread
    asked, spun = threading.Event(), threading.Event()
    read: list[bytes] = []

    def waiting(file: int, count: int, offset: int) -> bytes:
        asked.set()
        spun.wait(20)
        read.append(pread(file, count, offset))
        return read[-1]

    monkeypatch.setattr(os, "preadv", _cold)
    monkeypatch.setattr(os, "pread", waiting)
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(WHOLE)
        assert await deferToThread(asked.wait, 20)
    await until(lambda: not factory.connections)
    spun.set()
    await until(lambda: descriptors() <= before)
    assert read == [BIG[: transfer.AHEAD_BYTES]]


def test_without_a_socket_it_is_read_and_written(visit: Callable[..., Any], big: Path) -> None:
    """Where the kernel cannot copy, as under TLS, each piece waits until the peer took the last."""
    visitor = visit()
    visitor.transport.clear()
    write = visitor.transport.write

    def full(data: bytes) -> None:
        write(data)
        visitor.channel.pauseProducing()

    visitor.transport.write = full
    visitor.send(WHOLE)
    turns = 0
    while len(visitor.transport.value()) < len(BIG) and turns < 100:
        turns += 1
        visitor.channel.resumeProducing()
    assert visitor.transport.value().endswith(BIG)
    assert turns >= len(BIG) // transfer.CHUNK_BYTES


def test_settings_have_a_default() -> None:
    """64 MiB are kept unless somebody says otherwise."""
    assert Settings().memory == 64 << 20
