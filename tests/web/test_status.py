"""netlabsvc.web.status: who may read it, and what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock

from netlabsvc.metrics import Histogram, Metric, counter, counter_by, gauge
from netlabsvc.reach import may_read
from netlabsvc.web import site, status
from netlabsvc.web.settings import Settings

PATHS = ("/metrics", "/healthz", "/readyz")
OPENMETRICS = "application/openmetrics-text"
Ask = Callable[..., HTTPResponse]


def figures() -> Iterator[Metric]:
    """One of each kind."""
    lags = Histogram((0.5, 1.0))
    lags.observe(0.7)
    yield lags.metric("netlab_lag_seconds", "Lag.")
    yield gauge("netlab_clients", "Clients.", 3)
    yield counter("netlab_lines_total", "Lines.", 7)
    yield counter_by("netlab_cut_total", "Cut.", "reason", {"stalled": 2})


@pytest.fixture
def ask(request: Any, root: Path, clock: Clock, visit: Any) -> Ask:
    """Ask a site whose status is that of the test's parameter, or open to all."""
    who = getattr(request, "param", "all")
    reasons: list[str] = []
    children = status.resources(who, figures, lambda: reasons[0] if reasons else None)
    top = site.build(root, Settings(), children, clock)

    def ask(path: str, method: str = "GET", *, why: str = "", **headers: str) -> HTTPResponse:
        reasons[:] = [why] if why else []
        lines = [f"{method} {path} HTTP/1.1", "Host: lab", *map(": ".join, headers.items())]
        response: HTTPResponse = visit(top).ask("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return response

    return ask


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        (None, True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_who_is_this_machine(host: str | None, local: bool) -> None:
    """Loopback in both families, mapped too, and a Unix socket; with "all" it does not matter."""
    assert may_read("loopback", host) is local
    assert may_read("all", host)


@pytest.mark.parametrize("ask", ["loopback"], indirect=True)
@pytest.mark.parametrize("path", PATHS)
def test_others_are_told_which_key_opens_it(ask: Ask, path: str) -> None:
    """One line of text with 403; the visitor comes from 192.0.2.1."""
    response = ask(path)
    assert (response.status, response.getheader("Content-Type")) == (
        403,
        "text/plain; charset=utf-8",
    )
    body = text(response)
    assert body.count("\n") == 1
    assert 'status = "all" in [web]' in body


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (IPv4Address("TCP", "127.0.0.1", 1), 200),
        (IPv6Address("TCP", "::ffff:127.0.0.1", 1), 200),
        (IPv6Address("TCP", "2001:db8::1", 1), 403),
        (UNIXAddress(None), 200),
    ],
)
def test_the_peer_decides(root: Path, clock: Clock, visit: Any, peer: Any, expected: int) -> None:
    """On a TCP listener its address, on a Unix socket that it is there."""
    children = status.resources("loopback", figures, lambda: None)
    visitor = visit(site.build(root, Settings(), children, clock), peer)
    assert visitor.ask(b"GET /healthz HTTP/1.1\r\nHost: lab\r\n\r\n").status == expected


@pytest.mark.parametrize("ask", ["off"], indirect=True)
def test_off_is_as_if_it_were_not_there(ask: Ask, root: Path) -> None:
    """Not found, and a file of that name is a file."""
    assert [ask(path).status for path in PATHS] == [404, 404, 404]
    (root / "healthz").write_bytes(b"a file")
    assert text(ask("/healthz")) == "a file"


def test_a_file_of_that_name_is_behind_it(ask: Ask, root: Path) -> None:
    """While the status is on, the name is its own."""
    (root / "healthz").write_bytes(b"a file")
    assert text(ask("/healthz")) == "ok\n"


def test_ready_or_the_reason_why_not(ask: Ask) -> None:
    """200, or 503 with one line; both without a memory."""
    response = ask("/readyz")
    assert (response.status, text(response)) == (200, "ready\n")
    assert response.getheader("Cache-Control") == "no-store"
    response = ask("/readyz", why="not ready: stopping")
    assert (response.status, text(response)) == (503, "not ready: stopping\n")
    assert ask("/healthz", why="not ready: stopping").status == 200


@pytest.mark.parametrize("path", PATHS)
def test_head_other_methods_and_what_is_below(ask: Ask, path: str) -> None:
    """HEAD has a length and no body; OPTIONS 204, others 405, with Allow; nothing is below."""
    head = ask(path, "HEAD")
    assert (head.status, text(head)) == (200, "")
    assert int(head.getheader("Content-Length") or 0) > 0
    response = ask(path, "POST")
    assert (response.status, response.getheader("Allow")) == (405, "GET, HEAD, OPTIONS")
    response = ask(path, "OPTIONS")
    assert (response.status, response.getheader("Allow")) == (204, "GET, HEAD, OPTIONS")
    assert ask(f"{path}/x").status == ask(f"{path}/").status == 404


def test_the_text_of_prometheus(ask: Ask) -> None:
    """Golden lines, read by prometheus_client's own parser."""
    response = ask("/metrics")
    assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert 'netlab_cut_total{reason="stalled"} 2.0\n' in text(response)
    assert 'netlab_lag_seconds_bucket{le="1.0"} 1.0\n' in text(response)
    found = {family.name: family for family in text_string_to_metric_families(text(response))}
    assert (found["netlab_lines"].type, found["netlab_lines"].samples[0].value) == ("counter", 7)
    assert found["netlab_clients"].type == "gauge"
    assert found["netlab_lag_seconds"].type == "histogram"


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (OPENMETRICS, True),
        (f"{OPENMETRICS};version=1.0.0,{OPENMETRICS};version=0.0.1;q=0.75,*/*;q=0.1", True),
        (f"text/html, {OPENMETRICS}; version=x", True),
        (f"{OPENMETRICS}; version=99.0", True),
        (f"{OPENMETRICS}; version=1.0\xe9", True),
        (f"{OPENMETRICS};q=0, text/plain", False),
        ("text/plain; version=x", False),
        (",;,;=", False),
        ("*/*", False),
    ],
)
def test_openmetrics_for_who_asks(ask: Ask, accept: str, wanted: bool) -> None:
    """Version 1.0.0, whatever is asked for, as its strict parser reads it; else the plain text."""
    response = ask("/metrics", Accept=accept)
    kind = f"{OPENMETRICS}; version=1.0.0" if wanted else "text/plain; version=0.0.4"
    assert (response.status, response.getheader("Content-Type")) == (200, f"{kind}; charset=utf-8")
    if wanted:
        found = {f.name: f for f in openmetrics.text_string_to_metric_families(text(response))}
        assert found["netlab_lines"].samples[0].name == "netlab_lines_total"


def text(response: HTTPResponse) -> str:
    body: bytes = response.body  # type: ignore[attr-defined]
    return body.decode()
