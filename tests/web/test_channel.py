"""Connections: how many, how long, and how they end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from netlabsvc.web import site

Visit = Callable[[], Any]
GET = b"GET /digits.txt HTTP/1.1\r\nHost: lab\r\n\r\n"


def lost(visitor: Any) -> None:
    visitor.channel.connectionLost(Failure(ConnectionDone()))


def test_too_many_connections_get_a_503(visit: Visit) -> None:
    """Beyond the cap a connection hears when to come again; one that ends makes room."""
    visitors = [visit() for _ in range(4)]
    response = visitors[3].response()
    assert (response.status, response.getheader("Retry-After")) == (503, "5")
    assert visitors[2].ask(GET).status == 200
    lost(visitors[0])
    assert visit().ask(GET).status == 200


def test_a_flood_is_not_even_refused(factory: site.Site, visit: Visit) -> None:
    """Beyond twice the cap the socket is closed, so that refusals cannot eat descriptors."""
    for _ in range(6):
        visit()
    assert factory.buildProtocol(None) is None


def test_a_header_byte_per_second_is_cut_after_ten(visit: Visit, clock: Clock) -> None:
    """The head of a request has 10 s in all, however often a byte of it comes."""
    visitor = visit()
    for byte in GET[:10]:
        visitor.send(bytes([byte]))
        assert not visitor.transport.value()
        clock.advance(1)
    assert visitor.response().status == 408


def test_a_second_request_has_ten_seconds_of_its_own(visit: Visit, clock: Clock) -> None:
    """The deadline of a head starts with its first byte."""
    visitor = visit()
    visitor.send(GET[:5])
    clock.advance(9)
    visitor.send(GET[5:] + GET[:5])
    clock.advance(9)
    assert visitor.ask(GET[5:]).status == 200


@pytest.mark.parametrize("first", [b"1.1", b"1.1\r\nConnection: close", b"1.0"])
def test_a_body_that_stalls_is_cut(visit: Visit, clock: Clock, first: bytes) -> None:
    """30 s without a byte of the body end the request, also the last one of a connection; a byte
    now and then does not."""
    visitor = visit()
    visitor.send(b"PUT / HTTP/" + first + b"\r\nHost: lab\r\nContent-Length: 5\r\n\r\n")
    for _ in range(3):
        clock.advance(29)
        visitor.send(b"x")
    clock.advance(29)
    assert not visitor.transport.value()
    clock.advance(1)
    assert visitor.response().status == 408


def test_a_body_without_an_end_is_refused(visit: Visit) -> None:
    """Chunks may not fill the memory."""
    visitor = visit()
    visitor.send(b"PUT / HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(17):
        visitor.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")
    assert visitor.response().status == 413


def test_an_idle_connection_is_closed(visit: Visit, clock: Clock) -> None:
    """A connection is kept for 60 s after an answer, and then closed without a word."""
    visitor = visit()
    clock.advance(59)
    visitor.ask(GET)
    visitor.transport.clear()
    clock.advance(59)
    assert not visitor.transport.disconnecting
    clock.advance(1)
    assert visitor.transport.disconnecting
    assert not visitor.transport.value()


def test_a_client_that_never_reads_is_cut(visit: Visit, clock: Clock) -> None:
    """30 s after the buffers filled up without a byte taken the connection is aborted."""
    visitor = visit()
    visitor.send(GET)
    visitor.transport.producer.pauseProducing()
    clock.pump([1] * 29)
    visitor.transport.producer.resumeProducing()
    visitor.transport.producer.pauseProducing()
    clock.pump([1] * 29)
    assert not visitor.transport.disconnected
    clock.advance(1)
    assert visitor.transport.disconnected


def test_a_pipeline_waits_for_its_reader(visit: Visit) -> None:
    """Answers are not piled up for a peer that sends requests and reads nothing."""
    visitor = visit()
    visitor.transport.producer.pauseProducing()
    visitor.send(GET * 3)
    assert visitor.transport.value().count(b"HTTP/1.1 200") == 1
    visitor.transport.producer.resumeProducing()
    assert visitor.transport.value().count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("step", [1, 7, 1000])
def test_any_chunking_gives_the_same(visit: Visit, step: int) -> None:
    """Requests cut anywhere, or sent in one go, get the same answers."""
    visitor = visit()
    requests = GET + b"HEAD /none HTTP/1.1\r\nHost: lab\r\n\r\n" + GET
    for start in range(0, len(requests), step):
        visitor.send(requests[start : start + step])
    assert visitor.transport.value().count(b"0123456789" * 100) == 2
    assert visitor.transport.value().count(b"HTTP/1.1 404") == 1


def test_a_request_behind_a_body(visit: Visit) -> None:
    """What comes in one piece with the end of a body is the next request."""
    visitor = visit()
    visitor.send(b"PUT / HTTP/1.1\r\nHost: lab\r\nContent-Length: 3\r\n\r\nabc" + GET + GET)
    heard = visitor.transport.value()
    assert (heard.count(b"HTTP/1.1 405"), heard.count(b"HTTP/1.1 200")) == (1, 2)
    assert heard.count(b"HTTP/1.1 ") == 3


class Slow(Resource):
    """A resource that answers when it is told to."""

    isLeaf = True
    request: Any = None

    def render_GET(self, request: Any) -> int:
        self.request = request
        return NOT_DONE_YET


def test_drain_lets_an_answer_finish(factory: site.Site, visit: Visit) -> None:
    """Idle connections go at once; one with an answer under way goes when it is out."""
    slow = Slow()
    factory.resource.putChild(b"slow", slow)
    idle, busy = visit(), visit()
    busy.send(b"GET /slow HTTP/1.1\r\nHost: lab\r\n\r\n")
    drained = factory.drain()
    assert idle.transport.disconnecting
    assert not busy.transport.disconnecting
    slow.request.write(b"at last")
    slow.request.finish()
    response = busy.response()
    assert (response.body, response.getheader("Connection")) == (b"at last", "close")
    assert busy.transport.disconnecting
    lost(idle)
    assert not drained.called
    lost(busy)
    assert drained.called


def test_abort_cuts_what_is_left(factory: site.Site, visit: Visit) -> None:
    """After the grace period nobody is waited for."""
    visitor = visit()
    factory.abort()
    assert visitor.transport.disconnected


class Broken(Resource):
    """A resource with a mistake in it."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        raise ZeroDivisionError


def test_a_mistake_of_ours_is_a_500(factory: site.Site, visit: Visit) -> None:
    """A resource that fails gives a plain 500 without a traceback; the log has that."""
    factory.resource.putChild(b"broken", Broken())
    visitor = visit()
    with capturedLogs() as events:
        response = visitor.ask(b"GET /broken HTTP/1.1\r\nHost: lab\r\n\r\n")
    assert (response.status, b"ZeroDivision" in response.body) == (500, False)
    assert any("log_failure" in event for event in events)
    assert visitor.ask(GET).status == 200


def test_http_2_is_not_offered(factory: site.Site) -> None:
    """TLS agrees on HTTP/1.1, whose channel has the deadlines and is counted."""
    assert factory.acceptableProtocols() == [b"http/1.1"]
