"""The reflector, on real loopback sockets."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import astuple
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.internet.udp import Port
from twisted.logger import capturedLogs, formatEvent

from netlabsvc.udp.impair import chance
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.settings import Settings
from support.outside import need

NOW_NS = 1_700_000_000_123_456_789
STAMP = b"1700000000123 "


def test_new_settings_go_on_in_the_same_sequence() -> None:
    """Another loss is drawn from where the generator is, which rests while there is none; the same
    loss keeps an operator's."""
    reflector = Reflector(Settings(loss=0.3), 1, now_ns=lambda: NOW_NS)
    draws = chance(1, "up", "loss")
    for loss in (0.3, 0.8, 0.0, 1.0, 0.5):
        reflector.apply(Settings(loss=loss))
        lost = [not reflector.replies(b"x", "127.0.0.1", 50000) for _ in range(50)]
        assert lost == [loss > 0 and draws.random() < loss for _ in range(50)]
    reflector.loss = 1.0
    reflector.apply(Settings(loss=0.5))
    assert (reflector.loss, reflector.replies(b"x", "127.0.0.1", 50000)) == (1.0, [])


@asynccontextmanager
async def listening(
    loss: float = 0.0, seed: int = 1, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[tuple[Reflector, Port]]:
    """A reflector with a stopped clock on a real socket."""
    reflector = Reflector(Settings(loss=loss), seed, now_ns=lambda: NOW_NS)
    opened = reflector.listen(reactor, host, port)
    try:
        yield reflector, opened
    finally:
        await opened.stopListening()


def ask(host: str, port: int, requests: list[bytes], replies: int) -> list[bytes]:
    """Send requests from one blocking socket, and read as many replies."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((host, port))
        for request in requests:
            client.send(request)
        return [client.recv(70_000) for _ in range(replies)]


@pytest.mark.parametrize(
    ("bound", "host"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")],
)
@pytest_twisted.ensureDeferred
async def test_it_answers_on_ipv4_and_ipv6(bound: str, host: str) -> None:
    """One reply each, time first, payload whole; a socket on :: serves both families."""
    async with listening(host=bound) as (reflector, opened):
        port = opened.getHost().port
        answers = await deferToThread(ask, host, port, [b"hi", b"", b"\xff\x00"], 3)
        assert answers == [STAMP + b"hi", STAMP, STAMP + b"\xff\x00"]
        assert str(reflector.counts) == "received 3, replied 3"


@pytest_twisted.ensureDeferred
async def test_a_seed_says_which_requests_are_dropped() -> None:
    """Exactly the requests are lost that the seed's generator names, and no other."""
    draw = chance(42, "up", "loss").random
    kept = [n for n in range(60) if draw() >= 0.3]
    sent = kept[-1] + 1  # once the last of them is answered, all have been dealt with
    async with listening(loss=0.3, seed=42) as (reflector, opened):
        requests = [b"%d" % n for n in range(sent)]
        port = opened.getHost().port
        answers = await deferToThread(ask, "127.0.0.1", port, requests, len(kept))
    assert answers == [STAMP + b"%d" % n for n in kept]
    lost = sent - len(kept)
    assert lost > 10
    assert str(reflector.counts) == f"received {sent}, replied {len(kept)}, impaired {lost}"


@pytest_twisted.ensureDeferred
async def test_every_length_gets_one_whole_reply() -> None:
    """Lengths 0 to 200 and the longest that fits come back; one byte more is counted instead."""
    lengths = [*range(201), 8193, 65493]
    async with listening() as (reflector, opened):
        port = opened.getHost().port
        for length in lengths:
            answers = await deferToThread(ask, "127.0.0.1", port, [bytes(length)], 1)
            assert answers == [STAMP + bytes(length)]
        await deferToThread(ask, "127.0.0.1", port, [bytes(65494), b"after"], 1)
        assert reflector.counts.reply_too_long == 1


@pytest_twisted.ensureDeferred
async def test_ipv4_through_an_ipv6_socket_has_the_limit_of_ipv4() -> None:
    """A reply of 65508 bytes would go out over IPv6 and cannot over IPv4: it counts as too long."""
    async with listening(host="::") as (reflector, opened):
        port = opened.getHost().port
        answers = await deferToThread(ask, "127.0.0.1", port, [bytes(65494), b"after"], 1)
        assert answers == [STAMP + b"after"]
        assert str(reflector.counts) == "received 2, replied 1, reply_too_long 1"
        assert await deferToThread(ask, "::1", port, [bytes(65494)], 1)


@given(
    st.binary(max_size=300),
    st.sampled_from(["127.0.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "224.0.0.1", "::"]),
    st.integers(0, 65535),
)
def test_no_datagram_raises(request: bytes, host: str, port: int) -> None:
    """Any bytes from any source give one reply that ends in them, or one reason why not."""
    reflector = Reflector(Settings(loss=0.3), 1, now_ns=lambda: NOW_NS)
    replies = reflector.replies(request, host, port)
    received, replied, *reasons = astuple(reflector.counts)
    assert (received, replied) == (1, 0)
    assert len(replies) + sum(reasons) == 1


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("192.0.2.1", 0, "refused_port"),
        ("192.0.2.1", 19, "refused_port"),
        ("192.0.2.1", 11211, "refused_port"),
        ("224.0.0.251", 40000, "refused_address"),
        ("255.255.255.255", 40000, "refused_address"),
        ("ff02::1", 40000, "refused_address"),
    ],
)
def test_some_sources_are_never_answered(host: str, port: int, reason: str) -> None:
    """Services that answer anything, and groups, get nothing and are counted; others get theirs."""
    reflector = Reflector(Settings(), 1)
    assert reflector.replies(b"x", host, port) == []
    assert str(reflector.counts) == f"received 1, replied 0, {reason} 1"
    assert len(reflector.replies(b"x", "192.0.2.1", 862)) == 1


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_said_at_once() -> None:
    """The second reflector on a port gets Twisted's error, for the roof to explain."""
    async with listening() as (_, opened):
        with pytest.raises(CannotListenError):
            Reflector(Settings(), 1).listen(reactor, "127.0.0.1", opened.getHost().port)


@pytest_twisted.ensureDeferred
async def test_netcat_gets_its_line_back() -> None:
    """`echo hi | nc -u -w1` prints the time in milliseconds and the line."""
    nc = need("nc")
    async with listening() as (_, opened):
        answer = await deferToThread(
            subprocess.run,
            [nc, "-u", "-w1", "127.0.0.1", str(opened.getHost().port)],
            input=b"hi\n",
            capture_output=True,
            check=False,
        )
    assert re.fullmatch(rb"\d{13} hi\n", answer.stdout)


class HandTurned(Clock):
    """A reactor whose time and reads a test turns by hand."""

    def _ignore(self, reader: object) -> None: ...

    addReader = removeReader = removeWriter = _ignore


@contextmanager
def by_hand(host: str = "127.0.0.1", port: int = 0) -> Iterator[tuple[HandTurned, Reflector, Any]]:
    """A reflector on a real socket that reads only when its port is told to."""
    clock, reflector = HandTurned(), Reflector(Settings(), 1)
    opened = reflector.listen(clock, host, port)
    yield clock, reflector, opened
    opened.stopListening()
    clock.advance(0)


def send(port: Any, *requests: bytes) -> None:
    """Put requests into a port's socket; on loopback they are there at once."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for request in requests:
            client.sendto(request, ("127.0.0.1", port.getHost().port))


def test_two_reflectors_on_one_port_number_never_answer_each_other() -> None:
    """A packet forged with the other's address is refused for its port, at once."""
    with by_hand() as (_, reflector, opened):
        port = opened.getHost().port
        with by_hand("127.0.0.2", port) as (_, _, other):
            other.getHandle().sendto(b"forged", ("127.0.0.1", port))
            opened.doRead()
    assert str(reflector.counts) == "received 1, replied 0, refused_port 1"


def test_two_reflectors_on_different_ports_do_not_loop() -> None:
    """A packet forged with the other's address dies when it carries the stamps of both."""
    with by_hand() as (_, a, a_port), by_hand() as (_, b, b_port):
        b_port.getHandle().sendto(b"forged", ("127.0.0.1", a_port.getHost().port))
        for _ in range(10):
            a_port.doRead()
            b_port.doRead()
    assert str(a.counts) == "received 2, replied 1, loop_suspect 1"
    assert str(b.counts) == "received 1, replied 1"


def test_a_flood_of_empty_datagrams_lets_others_have_their_turn() -> None:
    """One turn takes a batch, not all that is there, even where no byte is to be read."""
    with by_hand() as (_, reflector, port):
        send(port, *[b""] * 150)
        port.doRead()
        assert 0 < reflector.counts.received < 150
        port.doRead()
        port.doRead()
        assert reflector.counts.replied == 150


class Refusing:
    """A socket whose kernel refuses to send."""

    def __init__(self, wrapped: socket.socket, code: int) -> None:
        self.recvfrom = wrapped.recvfrom
        self.close = wrapped.close
        self._code = code

    def sendto(self, data: bytes, address: object) -> int:
        raise OSError(self._code, "refused")


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOBUFS, errno.ENETUNREACH, errno.EAGAIN])
def test_what_the_kernel_will_not_send_is_counted(code: int) -> None:
    """A firewall, a full queue or a missing route costs one reply, and the next request is read."""
    with by_hand() as (_, reflector, port):
        send(port, b"x", b"y")
        port.socket = Refusing(port.socket, code)
        port.doRead()
    assert str(reflector.counts) == "received 2, replied 0, send_error 2"


def test_the_counts_are_logged_by_the_minute_and_at_the_end() -> None:
    """A minute without a request is silent, one with some is a line, and the end is one too."""
    with capturedLogs() as events:
        with by_hand() as (clock, _, port):
            where = f"127.0.0.1:{port.getHost().port}"
            clock.advance(60)
            send(port, b"x")
            port.doRead()
            clock.advance(60)
            clock.advance(60)
        ours = [formatEvent(e) for e in events if "counts" in e]
    assert ours == [
        f"UDP reflector {where}: received 1, replied 1",
        f"UDP reflector {where} closed: received 1, replied 1",
    ]


def test_every_drop_reason_is_a_figure() -> None:
    """Golden: received, replied, and a reason for each that got no reply."""
    reflector = Reflector(Settings(loss=0.0), 1, now_ns=lambda: NOW_NS)
    reflector.replies(b"x", "127.0.0.1", 7)
    reflector.replies(b"x", "255.255.255.255", 5000)
    reflector.replies(STAMP + STAMP + b"x", "127.0.0.1", 5000)
    reflector.replies(b"x" * 65500, "127.0.0.1", 5000)
    told = {m.name: m.samples for m in reflector.metrics()}
    assert told["netlab_udp_received_total"][0].value == 4
    assert told["netlab_udp_replied_total"][0].value == 0
    assert {s.labels[0][1]: s.value for s in told["netlab_udp_dropped_total"]} == {
        "refused_port": 1,
        "refused_address": 1,
        "loop_suspect": 1,
        "impaired": 0,
        "reply_too_long": 1,
        "send_error": 0,
    }
