"""The access log: its forms, that nothing forges a line, and one write for each turn."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv6Address
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher

from netlabsvc.logs import Observer
from netlabsvc.web import site
from netlabsvc.web.access import Told, Visit, Who, combined, line_of_json
from netlabsvc.web.settings import Settings

#: The Combined Log Format as those who read logs do: Apache's mod_log_config, quotes with escapes.
COMBINED = re.compile(
    r'(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)'
    r' "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)"'
)
GET = b"GET /digits.txt HTTP/1.1\r\nHost: lab\r\n"


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[list[bytes]]:
    """What the daemon's log writes, a write each; text unless the test says otherwise."""
    writes: list[bytes] = []
    observer = Observer(writes.append, getattr(request, "param", "text"))
    globalLogPublisher.addObserver(observer)
    yield writes
    globalLogPublisher.removeObserver(observer)


def test_a_line_is_what_log_readers_expect(
    visit: Callable[[], Any], clock: Clock, written: list[bytes]
) -> None:
    """Address, time, request line, status, size, referrer and agent, in the combined form."""
    visit().ask(GET + b'Referer: http://a/"\r\nUser-Agent: my \\ \x1b[31m\xff\r\n\r\n')
    clock.advance(0)
    assert written == [
        b'192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "GET /digits.txt HTTP/1.1" 200 1000 '
        rb'"http://a/\"" "my \\ \x1b[31m\xff"' + b"\n"
    ]


def test_one_write_for_a_turn(visit: Callable[[], Any], clock: Clock, written: list[bytes]) -> None:
    """All requests of a turn, and what is none, are one write; an idle turn writes nothing."""
    visitor = visit()
    visitor.send((GET + b"\r\n") * 3)
    visitor.send(b"nonsense\r\n")
    assert not written
    clock.advance(0)
    clock.advance(1)
    [lines] = [text.decode("ascii").splitlines() for text in written]
    found = [COMBINED.fullmatch(text) for text in lines]
    assert [m and (m[5], m[6]) for m in found] == [
        *[("GET /digits.txt HTTP/1.1", "200")] * 3,
        ("-", "400"),
    ]


@pytest.mark.parametrize("written", ["text", "json"], indirect=True)
def test_as_json(root: Path, clock: Clock, visit: Any, written: list[bytes]) -> None:
    """An object for each request and refusal, the same in a log of text and one of JSON."""
    visitor = visit(site.build(root, Settings(access_log="json"), {}, clock))
    visitor.ask(GET + b"User-Agent: \xe5\r\n\r\n")
    visitor.ask(b"nonsense\r\n")
    clock.advance(0)
    request, refusal = (json.loads(text) for text in b"".join(written).splitlines())
    assert request == {
        "ts": "2027-01-15T08:00:00.000Z",
        "peer": "192.0.2.1",
        "port": 50000,
        "method": "GET",
        "target": "/digits.txt",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 1000,
        "referrer": None,
        "user_agent": "\\xe5",
    }
    assert (refusal["status"], refusal["why"]) == (400, "That is no HTTP/1.1 request.")


@pytest.mark.parametrize("written", ["json"], indirect=True)
def test_combined_in_a_log_of_json(
    visit: Callable[[], Any], clock: Clock, written: list[bytes]
) -> None:
    """There the line is the message of an object."""
    visit().ask(GET + b"\r\n")
    clock.advance(0)
    told = json.loads(written[0])
    assert (told["logger"], bool(COMBINED.fullmatch(told["msg"]))) == ("web", True)


def test_an_address_mapped_into_ipv6(
    factory: site.Site, clock: Clock, visit: Any, written: list[bytes]
) -> None:
    """Who comes over IPv4 to a listener of both is shown as IPv4."""
    visitor = visit(factory, IPv6Address("TCP", "::ffff:192.0.2.1", 5))
    visitor.ask(GET + b"\r\n")
    visitor.send(b"nonsense\r\n")
    clock.advance(0)
    assert [line.split(b" ")[0] for line in written[0].splitlines()] == [b"192.0.2.1"] * 2


def test_off_is_off(root: Path, clock: Clock, visit: Any, written: list[bytes]) -> None:
    """Without an access log nothing is written of a request, and reloading can bring it back."""
    factory = site.build(root, Settings(access_log="off"), {}, clock)
    visitor = visit(factory)
    visitor.ask(GET + b"\r\n")
    clock.advance(0)
    assert not written
    factory.prepare(root, Settings())()
    visitor.ask(GET + b"\r\n")
    clock.advance(0)
    assert len(written) == 1


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40), st.none() | st.binary())
def test_nothing_forges_a_line(request: bytes, referrer: bytes | None, agent: bytes | None) -> None:
    """Whatever a peer sends, its line is one line of as many fields, in ASCII, and one object."""
    visit = Visit(Who("192.0.2.1", 1), 0.0, Told(b"", request, 200, 5, referrer, agent))
    text = combined(visit)
    found = COMBINED.fullmatch(text)
    assert found is not None
    assert text.isprintable()
    assert text.isascii()
    assert found[6] == "200"
    told = line_of_json(visit)
    assert json.loads(told)["status"] == 200
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u202e]", told)
