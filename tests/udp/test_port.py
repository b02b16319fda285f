"""Reflectors on real loopback sockets."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import time
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent

from netlabsvc.udp import batch, port
from netlabsvc.udp.classic import Form
from netlabsvc.udp.gate import Clocks
from netlabsvc.udp.impair import chance
from netlabsvc.udp.kernel import set_ttl
from netlabsvc.udp.stamp import Stamp
from support.outside import need
from support.reflecting import STAMP, ask, by_hand, classic, listening, send


@pytest.fixture(params=["batch", "plain"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the system calls for many datagrams, and as it is where they are missing."""
    if request.param == "plain":
        monkeypatch.setattr(batch, "system_calls", lambda: None)


both_ways = pytest.mark.usefixtures("_both_ways")


@both_ways
@pytest.mark.parametrize(
    ("bound", "host"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1")],
)
@pytest_twisted.ensureDeferred
async def test_it_answers_on_ipv4_and_ipv6(bound: str, host: str) -> None:
    """One reply each, time first, payload whole; a socket on :: serves both families."""
    async with listening(classic(), bound) as (reflector, opened):
        number = opened.getHost().port
        answers = await deferToThread(ask, host, number, [b"hi", b"", b"\xff\x00"], 3)
        assert answers == [STAMP + b"hi", STAMP, STAMP + b"\xff\x00"]
        assert str(reflector.counts) == "received 3, replied 3"


@both_ways
@pytest_twisted.ensureDeferred
async def test_a_seed_says_which_requests_are_dropped() -> None:
    """Exactly the requests are lost that the seed's generator names, and no other."""
    draw = chance(42, "up", "loss", "classic").random
    kept = [n for n in range(60) if draw() >= 0.3]
    sent = kept[-1] + 1  # once the last of them is answered, all have been dealt with
    async with listening(classic("up loss=30%", seed=42)) as (reflector, opened):
        requests = [b"%d" % n for n in range(sent)]
        number = opened.getHost().port
        answers = await deferToThread(ask, "127.0.0.1", number, requests, len(kept))
    assert answers == [STAMP + b"%d" % n for n in kept]
    lost = sent - len(kept)
    assert lost > 10
    assert str(reflector.counts) == f"received {sent}, replied {len(kept)}, impaired {lost}"


@both_ways
@pytest_twisted.ensureDeferred
async def test_every_length_gets_one_whole_reply() -> None:
    """Lengths 0 to 200 and the longest that fits come back; one byte more is counted instead."""
    lengths = [*range(201), 8193, 65493]
    async with listening(classic()) as (reflector, opened):
        number = opened.getHost().port
        for length in lengths:
            answers = await deferToThread(ask, "127.0.0.1", number, [bytes(length)], 1)
            assert answers == [STAMP + bytes(length)]
        await deferToThread(ask, "127.0.0.1", number, [bytes(65494), b"after"], 1)
        assert str(reflector.counts).endswith(f"replied {len(lengths) + 1}, reply_too_long 1")


@both_ways
@pytest_twisted.ensureDeferred
async def test_ipv4_through_an_ipv6_socket_has_the_limit_of_ipv4() -> None:
    """A reply of 65508 bytes would go out over IPv6 and cannot over IPv4: it counts as too long."""
    async with listening(classic(), "::") as (reflector, opened):
        number = opened.getHost().port
        answers = await deferToThread(ask, "127.0.0.1", number, [bytes(65494), b"after"], 1)
        assert answers == [STAMP + b"after"]
        assert str(reflector.counts) == "received 2, replied 1, reply_too_long 1"
        assert await deferToThread(ask, "::1", number, [bytes(65494)], 1)


@pytest.mark.parametrize(("bound", "host"), [("127.0.0.1", "127.0.0.1"), ("::", "::1")])
@pytest_twisted.ensureDeferred
async def test_stamp_is_told_the_ttl_and_when_the_kernel_had_the_request(
    bound: str, host: str
) -> None:
    """TTL 64 of the loopback, and T2 before T3, though the reflector reads late."""
    reflector = classic(tongue=Stamp(time.monotonic_ns), clocks=Clocks())
    async with listening(reflector, bound) as (_, opened):
        asked = deferToThread(ask, host, opened.getHost().port, [bytes(44)], 1)
        time.sleep(0.05)  # the reactor is busy meanwhile
        (reply,) = await asked
    assert reply[40] == 64
    t3, t2 = (int.from_bytes(reply[at : at + 8], "big") for at in (4, 16))
    assert 0.02 < (t3 - t2) / 2**32 < 5


@pytest_twisted.ensureDeferred
async def test_a_taken_port_is_said_at_once() -> None:
    """The second reflector on a port gets Twisted's error, for the roof to explain."""
    async with listening(classic()) as (_, opened):
        with pytest.raises(CannotListenError):
            port.listen(classic(), reactor, "127.0.0.1", opened.getHost().port)


@pytest_twisted.ensureDeferred
async def test_netcat_gets_its_line_back() -> None:
    """`echo hi | nc -u -w1` prints the time in milliseconds and the line."""
    nc = need("nc")
    async with listening(classic()) as (_, opened):
        answer = await deferToThread(
            subprocess.run,
            [nc, "-u", "-w1", "127.0.0.1", str(opened.getHost().port)],
            input=b"hi\n",
            capture_output=True,
            check=False,
        )
    assert re.fullmatch(rb"\d{13} hi\n", answer.stdout)


@both_ways
def test_two_reflectors_on_one_port_number_never_answer_each_other() -> None:
    """A packet forged with the other's address is refused for its port, at once."""
    reflector = classic()
    with by_hand(reflector) as (_, opened):
        number = opened.getHost().port
        with by_hand(classic(), "127.0.0.2", number) as (_, other):
            other.getHandle().sendto(b"forged", ("127.0.0.1", number))
            opened.doRead()
    assert str(reflector.counts) == "received 1, replied 0, refused_port 1"


@both_ways
def test_two_reflectors_on_different_ports_do_not_loop() -> None:
    """A packet forged with the other's address dies when it carries the stamps of both."""
    a, b = classic(), classic()
    with by_hand(a) as (_, a_port), by_hand(b) as (_, b_port):
        b_port.getHandle().sendto(b"forged", ("127.0.0.1", a_port.getHost().port))
        for _ in range(10):
            a_port.doRead()
            b_port.doRead()
    assert str(a.counts) == "received 2, replied 1, loop_suspect 1"
    assert str(b.counts) == "received 1, replied 1"


@pytest.mark.parametrize(("bound", "host"), [("127.0.0.1", "127.0.0.1"), ("::", "::1")])
@pytest.mark.parametrize("form", [Form.ECHO, Form.UPPER])
def test_two_reflectors_that_echo_do_not_loop(form: Form, bound: str, host: str) -> None:
    """A packet forged with the other's address dies with the first reply: by its TTL."""
    a, b = classic(form=form), classic(form=form)
    with by_hand(a, bound) as (_, a_port), by_hand(b, bound) as (_, b_port):
        set_ttl(b_port.getHandle(), 64)  # as a forger's own machine does
        b_port.getHandle().sendto(b"forged", (host, a_port.getHost().port))
        for _ in range(10):
            a_port.doRead()
            b_port.doRead()
    assert str(a.counts) == "received 1, replied 1"
    assert str(b.counts) == "received 1, replied 0, loop_suspect 1"


@both_ways
def test_a_flood_of_empty_datagrams_lets_others_have_their_turn() -> None:
    """One turn takes a batch, not all that is there, even where no byte is to be read."""
    reflector = classic()
    with by_hand(reflector) as (_, opened):
        send(opened, *[b""] * 150)
        opened.doRead()
        assert 0 < reflector.counts.received < 150
        opened.doRead()
        opened.doRead()
        assert reflector.counts.replied == 150


def test_some_of_a_batch_go_back_each_to_its_own() -> None:
    """After a batch with gaps the next one is whole again: nobody gets another's reply."""
    reflector = classic("up loss=list(2,3,5)")
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(6)]
    with by_hand(reflector) as (_, opened):
        for round_ in range(2):
            for number, client in enumerate(clients):
                client.setblocking(False)
                client.sendto(b"%d" % number, ("127.0.0.1", opened.getHost().port))
            opened.doRead()
            for number, client in enumerate(clients):
                if round_ or number not in (1, 2, 4):
                    assert client.recv(100) == STAMP + b"%d" % number
                with pytest.raises(BlockingIOError):
                    client.recv(100)
            for client in clients:
                assert client.fileno() >= 0
    for client in clients:
        client.close()


class Refusing:
    """A socket whose kernel refuses to send."""

    def __init__(self, wrapped: socket.socket, code: int) -> None:
        self.recvfrom = wrapped.recvfrom
        self._code = code

    def sendto(self, data: bytes, address: object) -> int:
        raise OSError(self._code, "refused")


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOBUFS, errno.ENETUNREACH, errno.EAGAIN])
def test_what_the_kernel_will_not_send_is_counted(code: int) -> None:
    """A firewall, a full queue or a missing route costs one reply, and the next request is read."""
    reflector = classic()
    with by_hand(reflector) as (_, opened):
        send(opened, b"x", b"y")
        refusing: Any = Refusing(opened.socket, code)
        opened.batch = batch.Plain(refusing)
        opened.doRead()
    assert str(reflector.counts) == "received 2, replied 0, send_error 2"


def test_a_mistake_of_ours_does_not_close_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is lost, the log has the traceback, and the next request is answered."""
    reflector = classic()
    with by_hand(reflector) as (_, opened), capturedLogs() as events:
        turn = reflector.turn
        monkeypatch.setattr(reflector, "turn", lambda batch: 1 / 0)
        opened.doRead()
        monkeypatch.setattr(reflector, "turn", turn)
        send(opened, b"x")
        opened.doRead()
    assert reflector.counts.replied == 1
    assert any("a mistake of ours" in (formatEvent(e) or "") for e in events)


def test_the_counts_are_logged_by_the_minute_and_at_the_end() -> None:
    """A minute without a request is silent, one with some is a line, and the end is one too."""
    with capturedLogs() as events:
        with by_hand(classic()) as (clock, opened):
            where = f"127.0.0.1:{opened.getHost().port}"
            clock.advance(60)
            send(opened, b"x")
            opened.doRead()
            clock.advance(60)
            clock.advance(60)
        ours = [formatEvent(e) for e in events if "counts" in e]
    assert ours == [
        f"UDP classic {where}: received 1, replied 1",
        f"UDP classic {where} closed: received 1, replied 1",
    ]
