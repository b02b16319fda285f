"""The shortcut: the same bytes as the long way, for the same log, and never anything old."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.web.resource import Resource

from netlabsvc.web import lane, site
from netlabsvc.web.settings import Settings

Visit = Callable[..., Any]
GET = b"GET /digits.txt HTTP/1.1\r\nHost: lab\r\n\r\n"

METHODS = [b"GET", b"GET", b"HEAD"]
TARGETS = [b"/digits.txt", b"/digits.txt?q", b"/nothing.txt", b"/home/", b"http://lab/unknown"]
HEADERS = [
    *(b"X: y\r\n z\r\n", b"Connection: keep-alive\r\n", b"Accept-Encoding: br\r\n", b""),
    *(b"Range: bytes=0-3\r\n", b"Range: bytes=-3\r\n"),
    *(b"If-None-Match: *\r\n", b"If-Modified-Since: Sun, 06 Nov 2067 08:49:37 GMT\r\n"),
    *(b"Expect: 100-continue\r\n", b"Content-Length: 0\r\n"),
]
ODD_METHODS = [*METHODS, b"POST", b"OPTIONS", b"get"]
ODD_TARGETS = [*TARGETS, b"/none", b"/fifo", b"/home", b"/", b"/sub/../digits.txt", b"/%zz"]
ODD_HEADERS = [
    *HEADERS,
    *(b"Host: lab\r\n", b"X: a\nY: b\r\n", b"no colon\r\n", b"Connection: close\r\n"),
    *(b"Range: bytes=9999-\r\n", b'If-Match: "x"\r\n', b'If-Range: "x"\r\n'),
    *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
]


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A request, plain or odd; what follows an odd one on the connection may become its body."""
    odd = draw(st.integers(0, 5)) == 5
    method = draw(st.sampled_from(ODD_METHODS if odd else METHODS))
    target = draw(st.sampled_from(ODD_TARGETS if odd else TARGETS))
    headers = draw(st.lists(st.sampled_from(ODD_HEADERS if odd else HEADERS), max_size=2))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.0"] if odd else [b"1.1"]))
    before = draw(st.sampled_from([b"", b"\r\n", b"abc"] if odd else [b""]))
    line = b"%b %b HTTP/%b\r\nHost: lab\r\n" % (method, target, version)
    return before + line + b"".join(headers) + b"\r\n"


@st.composite
def visits(draw: st.DrawFn) -> list[tuple[bytes, float]]:
    """What arrives on a connection, in pieces, and how long after each the next one comes."""
    some = draw(st.lists(heads(), min_size=1, max_size=4))
    data = b"".join(draw(st.lists(st.sampled_from(some), min_size=1, max_size=12)))
    ends = [at + 4 for at in range(len(data)) if data.startswith(b"\r\n\r\n", at)]
    cuts = draw(st.lists(st.sampled_from([0, *ends]) | st.integers(0, len(data)), max_size=12))
    bounds = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(bounds)]
    return [(piece, draw(st.sampled_from([0, 0.4, 1, 3]))) for piece in pieces if piece]


@pytest.fixture
def clock() -> Clock:
    """A minute after the files were made: they rest."""
    clock = Clock()
    clock.advance(time.time() + 60)
    return clock


def heard(factory: site.Site, clock: Clock, visit: Visit, pieces: list[tuple[bytes, float]]) -> Any:
    """Everything that a visit led to: bytes, whether it was closed, log, figures."""
    visitor = visit(factory)
    with capturedLogs() as events:
        for piece, pause_s in pieces:
            if not visitor.transport.disconnecting:
                visitor.send(piece)
            clock.advance(pause_s)
    closed = visitor.transport.disconnecting
    visitor.channel.connectionLost()
    said = [formatEvent(event) for event in events]
    return visitor.transport.value(), closed, said, factory.tally


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(pieces=visits())
@example(pieces=[(GET.replace(b"GET", b"HEAD"), 0), (GET, 0)])
@example(pieces=[(GET[:-2] + b"Range: bytes=-3\r\n\r\n", 0)])
@example(pieces=[(GET[:-2] + b"Expect: 100-continue\r\n\r\n", 0)])
@example(pieces=[(GET[:-2] + b"Content-Length: 3\r\n\r\n", 0), (b"abc", 0), (GET, 0)])
@example(pieces=[(GET[:-2] + b"Connection: close\r\n\r\n", 0)])
@example(pieces=[(GET.replace(b"1.1", b"1.0"), 0)])
@example(pieces=[(GET, 0), (b"x", 0), (GET, 0)])
@example(pieces=[(GET, 0), (b"\r\n", 0), (GET, 0), (b"\r\n", 0), (GET, 0)])
@example(pieces=[(GET, 0), (b"GET / HTTP/1.1\r\n", 0), (GET, 0)])
def test_the_shortcut_gives_what_the_long_way_gives(
    root: Path, visit: Visit, pieces: list[tuple[bytes, float]]
) -> None:
    """Bytes, close, log and figures are the same with and without it, however requests arrive."""
    both = []
    start_s = time.time() + 60
    for memory in (0, 64 << 20):
        clock = Clock()
        clock.advance(start_s)
        factory = site.build(root, Settings(memory=memory), {}, clock)
        heard(factory, clock, visit, pieces)
        both.append(heard(factory, clock, visit, pieces))
    assert both[0] == both[1]


def test_a_known_request_touches_no_file(visit: Visit, root: Path, clock: Clock) -> None:
    """For a second after the last look a file is answered from memory; then it is looked at."""
    visitor = visit()
    first = visitor.ask(GET).body
    (root / "digits.txt").unlink()
    clock.advance(0.99)
    assert visitor.ask(GET).body == first
    clock.advance(0.01)
    assert visitor.ask(GET).status == 404


@pytest.mark.parametrize("memory", [0, 64 << 20])
def test_a_change_is_seen_within_a_second(
    visit: Visit, root: Path, clock: Clock, memory: int
) -> None:
    """Also one that keeps size, inode and time of modification."""
    visitor = visit(site.build(root, Settings(memory=memory), {}, clock))
    visitor.ask(GET)
    visitor.ask(GET)
    before = (root / "digits.txt").stat()
    (root / "digits.txt").write_bytes(b"x" * before.st_size)
    os.utime(root / "digits.txt", ns=(before.st_atime_ns, before.st_mtime_ns))
    clock.advance(1)
    assert visitor.ask(GET).body == b"x" * before.st_size


def test_a_file_that_just_changed_is_read_each_time(visit: Visit, root: Path, clock: Clock) -> None:
    """Two changes in one tick of the file system's clock look alike, so nothing fresh is kept."""
    clock.rightNow = (root / "unknown").stat().st_ctime + 1.9
    visitor = visit()
    request = GET.replace(b"digits.txt", b"unknown")
    assert visitor.ask(request).body == b"data"
    (root / "unknown").write_bytes(b"atad")
    assert visitor.ask(request).body == b"atad"


def test_new_settings_are_in_force_at_once(factory: site.Site, visit: Visit, root: Path) -> None:
    """What was known under the old configuration is forgotten."""
    visitor = visit()
    visitor.ask(GET)
    visitor.ask(GET)
    (root / "sub" / "digits.txt").write_bytes(b"other")
    factory.prepare(root / "sub", Settings())()
    assert visitor.ask(GET).body == b"other"
    factory.prepare(root / "sub", Settings(memory=0))()
    assert visitor.ask(GET).body == b"other"
    (root / "sub" / "digits.txt").write_bytes(b"rehto")
    assert visitor.ask(GET).body == b"rehto"


def test_a_known_answer_has_a_date_of_its_own(visit: Visit, clock: Clock) -> None:
    """Date says when the answer was sent (RFC 9110 section 6.6.1), not when it was learned."""
    visitor = visit()
    dates = set()
    for _ in range(3):
        dates.add(visitor.ask(GET).getheader("Date"))
        clock.advance(0.99)
    assert len(dates) == 3


def test_tls_has_answers_of_its_own(root: Path, clock: Clock, visit: Visit) -> None:
    """What is known without TLS does not answer over it: HSTS is said there alone."""
    factory = site.build(root, Settings(hsts=300), {}, clock)
    plain, secret = visit(factory), visit(factory, secure=True)
    for _ in range(2):
        assert plain.ask(GET).getheader("Strict-Transport-Security") is None
        assert secret.ask(GET).getheader("Strict-Transport-Security") == "max-age=300"


def test_a_neighbour_is_seen_that_comes_or_goes(visit: Visit, root: Path, clock: Clock) -> None:
    """A compressed form takes the place of a known file, and gives it back."""
    visitor = visit()
    request = GET[:-2] + b"Accept-Encoding: gzip\r\n\r\n"
    whole = visitor.ask(request).body
    visitor.ask(request)
    (root / "digits.txt.gz").write_bytes(b"zipped")
    clock.advance(1)
    assert visitor.ask(request).body == b"zipped"
    clock.advance(30)
    assert [visitor.ask(request).body for _ in range(2)] == [b"zipped"] * 2
    assert visitor.ask(GET).body == whole
    (root / "digits.txt.gz").unlink()
    clock.advance(1)
    assert visitor.ask(request).body == whole
    assert visitor.ask(GET).getheader("Vary") is None


def test_hosts_are_told_apart(root: Path, clock: Clock, visit: Visit) -> None:
    """Two sites with a file of one name do not answer for each other."""
    (root / "sub" / "digits.txt").write_bytes(b"other")
    roots = site.Roots(root, {"b.lab": root / "sub"})
    visitor = visit(site.build(roots, Settings(), {}, clock))
    for _ in range(3):
        assert len(visitor.ask(GET).body) == 1000
        assert visitor.ask(GET.replace(b"lab", b"b.lab")).body == b"other"


class Counter(Resource):
    """Another answer each time."""

    isLeaf = True
    asked = 0

    def render_GET(self, request: Any) -> bytes:
        self.asked += 1
        return b"%d" % self.asked


def test_only_files_are_repeated(factory: site.Site, visit: Visit) -> None:
    """A resource that does not say so is asked each time."""
    factory.resource.putChild(b"count", Counter())
    visitor = visit()
    request = GET.replace(b"digits.txt", b"count")
    assert [visitor.ask(request).body for _ in range(3)] == [b"1", b"2", b"3"]


def test_known_answers_are_not_piled_up(visit: Visit) -> None:
    """A peer that reads nothing gets one answer, known or not."""
    visitor = visit()
    visitor.ask(GET)
    visitor.transport.clear()
    visitor.transport.producer.pauseProducing()
    visitor.send(GET * 3)
    assert visitor.transport.value().count(b"HTTP/1.1 200") == 1
    visitor.transport.producer.resumeProducing()
    assert visitor.transport.value().count(b"HTTP/1.1 200") == 3


def test_known_answers_keep_a_connection(visit: Visit, clock: Clock) -> None:
    """The deadline of an idle connection starts anew with each of them, and holds after them."""
    visitor = visit()
    for _ in range(3):
        visitor.ask(GET)
        clock.advance(59)
        assert not visitor.transport.disconnecting
    clock.advance(1)
    assert visitor.transport.disconnecting


def test_ever_new_heads_fill_no_memory(factory: site.Site, visit: Visit) -> None:
    """A peer that never asks the same twice costs what the bound allows, and others an answer."""
    visitor = visit()
    with capturedLogs():
        most = 0
        for number in range(2 * lane.MOST_BYTES // lane.MOST_HEAD_BYTES):
            visitor.transport.clear()
            visitor.send(GET.replace(b"txt", b"txt?%d%b" % (number, b"x" * 3000)))
            most = max(most, len(factory.lanes[0]))
    assert 100 < most < lane.MOST_BYTES / 3000
    assert visitor.ask(GET).status == 200
