"""netlabsvc.web.tally: what a site counts is what happened."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from netlabsvc.web.site import Site


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode("ascii")


def figures(factory: Site) -> dict[str, float]:
    """All figures by name and the values of their labels."""
    return {
        " ".join([m.name.removeprefix("netlab_web_"), *(value for _, value in s.labels)]): s.value
        for m in factory.metrics()
        for s in m.samples
    }


def test_requests_by_method_and_status(factory: Site, visit: Any) -> None:
    """A method that nobody knows is "other", whatever it is called; what is no request "none"."""
    visitor = visit()
    for request in (
        *[get("/digits.txt")] * 2,
        *(get("/none", "GET"), get("/digits.txt", "HEAD"), get("/", "PROPFIND"), get("/", "X")),
    ):
        visitor.ask(request)
    visit().ask(b"nonsense\r\n\r\n")
    told = figures(factory)
    assert {name: n for name, n in told.items() if name.startswith("requests")} == {
        "requests_total GET 200": 2,
        "requests_total GET 404": 1,
        "requests_total HEAD 200": 1,
        "requests_total none 400": 1,
        "requests_total other 501": 2,
    }
    assert told["body_bytes_total"] > 2000


def test_connections_open_refused_and_dropped(factory: Site, visit: Any) -> None:
    """Three are served, three more get a 503, and what comes then gets nothing."""
    visitors = [visit() for _ in range(6)]
    assert factory.buildProtocol(None) is None
    told = figures(factory)
    assert (told["open_connections"], told["connections_total"]) == (6, 6)
    assert (told["requests_total none 503"], told["dropped_connections_total"]) == (3, 1)
    visitors[0].channel.connectionLost(Failure(ConnectionDone()))
    told = figures(factory)
    assert (told["open_connections"], told["connections_total"]) == (5, 6)
