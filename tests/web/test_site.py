"""What is mounted beside the files, and the site that comes with the package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from netlabsvc.web import front, site
from netlabsvc.web.settings import Settings


class Greeting(Resource):
    """A child that knows GET only, as most do."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"hello " + b"/".join(request.postpath)


@pytest.fixture
def factory(root: Path, clock: Clock) -> site.Site:
    children = {b"greeting": Greeting()}
    return site.build(root, Settings(listing=False, max_connections=9), children, clock)


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: lab\r\n\r\n".encode("ascii")


def test_a_child_stands_before_the_files(visit: Any, root: Path) -> None:
    """A mounted resource gets its paths, with every answer's headers; the files get the rest."""
    (root / "greeting").write_bytes(b"a file of that name")
    visitor = visit()
    response = visitor.ask(get("/greeting/a/b"))
    assert (response.status, response.body) == (200, b"hello a/b")
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert visitor.ask(get("/unknown")).body == b"data"


def test_a_child_knows_its_methods(visit: Any) -> None:
    """HEAD has no body but its length, and other methods get a 405 that says which there are."""
    visitor = visit()
    head = visitor.ask(get("/greeting/", "HEAD"))
    assert (head.body, head.getheader("Content-Length")) == (b"", "6")
    response = visitor.ask(get("/greeting", "DELETE"))
    assert (response.status, "GET" in response.getheader("Allow")) == (405, True)


def test_the_listing_can_be_switched_off(visit: Any) -> None:
    """Without listings a directory without index.html is forbidden, and one with it is not."""
    visitor = visit()
    assert visitor.ask(get("/sub/")).status == 403
    assert visitor.ask(get("/home/")).status == 200


def test_the_packaged_site(clock: Clock, visit: Any) -> None:
    """Its front page is made for each visitor, and no page loads anything from elsewhere."""
    root = site.packaged_root()
    here = [front.Listening("chat.port", "0.0.0.0", 12345, "tcp")]
    roots = site.Roots(root, front=lambda called: front.render(here, called))
    visitor = visit(site.build(roots, Settings(), {}, clock))
    page = visitor.ask(get("/"))
    assert b"nc lab 12345" in page.body
    assert page.getheader("Cache-Control") == "no-cache"
    for path in ("/", "/helloWorld.html", "/style.css"):
        text = visitor.ask(get(path)).body.decode("utf-8")
        loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"|url\(([^)]*)\)|@import\s+(\S+)", text)
        for link in filter(None, (part for found in loaded for part in found)):
            there = (root / link.lstrip("/")).exists()
            assert there or link.startswith("data:") or link == "/inbox"  # a room that is mounted


def test_a_root_that_is_not_there(clock: Clock, tmp_path: Path) -> None:
    """A missing directory is told when the site is built."""
    with pytest.raises(FileNotFoundError):
        site.build(tmp_path / "none", Settings(), {}, clock)


def test_new_settings_hold_from_the_next_request_on(
    factory: site.Site, visit: Any, tmp_path: Path
) -> None:
    """Another root, listings, and fewer connections; who is connected stays."""
    visitor, other = visit(), visit()
    new = tmp_path / "new"
    new.mkdir()
    (new / "page.html").write_bytes(b"new")
    factory.prepare(new, Settings(listing=True, max_connections=2))()
    assert visitor.ask(get("/page.html")).body == b"new"
    assert visitor.ask(get("/digits.txt")).status == 404
    assert other.ask(get("/")).status == 200
    assert visit().response().status == 503


def test_settings_that_cannot_be_change_nothing(
    factory: site.Site, visit: Any, tmp_path: Path
) -> None:
    """A root that is no directory is refused before anything is applied."""
    with pytest.raises(OSError, match="No such"):
        factory.prepare(tmp_path / "nowhere", Settings(listing=True))
    assert visit().ask(get("/digits.txt")).status == 200
    assert visit().ask(get("/sub/")).status == 403
