"""What the keys of [web] switch: seen from the other end of a connection."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from netlabsvc.web import site
from netlabsvc.web.hosts import read_name
from netlabsvc.web.policy import read_directives, read_extension, read_headers, read_prefix
from netlabsvc.web.settings import Settings

Ask = Callable[..., Any]


def get(path: str, *headers: str, method: str = "GET", host: str = "lab") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode("ascii")


@pytest.fixture
def ask(root: Path, clock: Clock, visit: Any) -> Ask:
    """Ask a site that was built with some settings."""

    def ask(request: bytes, hosts: Mapping[str, Path] | None = None, **keys: Any) -> Any:
        roots = site.Roots(root, hosts or {})
        return visit(site.build(roots, Settings(**keys), {}, clock)).ask(request)

    return ask


def test_headers_of_ones_own_are_everywhere(ask: Ask) -> None:
    """On files, listings, redirects, errors and refusals: each one, also two of one name."""
    headers = ("X-Lab: 12", "Link: </a>; rel=next", "Link: </b>; rel=prev")
    for request in (
        *(get("/digits.txt"), get("/"), get("/home"), get("/none"), get("/%zz"), get("/fifo")),
        *(get("/", method="DELETE"), get("/", method="OPTIONS"), get("/", method="BREW")),
        *(get("/digits.txt", "If-None-Match: *"), get("/" + "a" * 17000), b"nonsense\r\n\r\n"),
    ):
        response = ask(request, headers=headers)
        assert response.getheader("X-Lab") == "12", request
        assert response.getheader("Link") == "</a>; rel=next, </b>; rel=prev"


def test_caching_by_extension(ask: Ask) -> None:
    """The rule of the extension, else that of the rest; on a 304 and a part, on no error."""
    rules = {"html": "no-cache", "*": "max-age=60"}
    for path, headers, expected in (
        ("/home/", (), "no-cache"),
        ("/digits.txt", (), "max-age=60"),
        ("/unknown", (), "max-age=60"),
        ("/digits.txt", ("If-None-Match: *",), "max-age=60"),
        ("/digits.txt", ("Range: bytes=0-1",), "max-age=60"),
        ("/digits.txt", ("Range: bytes=5000-",), None),
        ("/none.html", (), None),
    ):
        response = ask(get(path, *headers), cache_control=rules)
        assert response.getheader("Cache-Control") == expected, path
    assert ask(get("/digits.txt"), cache_control={"html": "x"}).getheader("Cache-Control") is None


def test_pages_from_elsewhere_may_read_the_files(ask: Ask) -> None:
    """With cors every answer of the files says so, a preflight also what may be sent."""
    for request in (get("/digits.txt"), get("/none"), get("/")):
        assert ask(request, cors=True).getheader("Access-Control-Allow-Origin") == "*"
        assert ask(request).getheader("Access-Control-Allow-Origin") is None
    asked = ("Origin: http://a.lab", "Access-Control-Request-Method: GET")
    names = "Access-Control-Request-Headers: range, bad name, x-a"
    response = ask(get("/digits.txt", *asked, names, method="OPTIONS"), cors=True)
    assert response.status == 204
    assert response.getheader("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS"
    assert response.getheader("Access-Control-Allow-Headers") == "range, x-a"


def test_hsts_is_said_over_tls_alone(root: Path, clock: Clock, visit: Any) -> None:
    """Strict-Transport-Security on answers and errors over TLS, and never without it."""
    factory = site.build(root, Settings(hsts=300), {}, clock)
    plain, secret = visit(factory), visit(factory, secure=True)
    for request in (get("/digits.txt"), get("/none")):
        assert plain.ask(request).getheader("Strict-Transport-Security") is None
        assert secret.ask(request).getheader("Strict-Transport-Security") == "max-age=300"
    refused = secret.ask(b"nonsense\r\n\r\n")
    assert refused.getheader("Strict-Transport-Security") == "max-age=300"


def test_dotfiles_can_be_served(ask: Ask) -> None:
    """With hidden they are files like others, and listed; the way up is none of them."""
    assert ask(get("/.git/config"), hidden=True).body == b"SECRET"
    assert b".git" in ask(get("/"), hidden=True).body
    assert ask(get("/.."), hidden=True).status == 400


@pytest.mark.parametrize(
    ("symlinks", "inside", "outside"),
    [("refuse", 403, 403), ("inside", 200, 403), ("follow", 200, 200)],
)
def test_symbolic_links(ask: Ask, root: Path, symlinks: str, inside: int, outside: int) -> None:
    """Refused, followed where they stay inside, or followed; the listing shows what is served."""
    (root / "sub" / "up").symlink_to("../home")
    for path, status in (
        *(("/link-in", inside), ("/sub/up/index.html", inside)),
        *(("/link-out", outside), ("/dir-out/secret.txt", outside)),
    ):
        assert ask(get(path), symlinks=symlinks).status == status, path
    page = ask(get("/"), symlinks=symlinks).body.decode("utf-8")
    assert ("link-in" in page, "link-out" in page) == (inside == 200, outside == 200)


def test_each_name_has_its_directory(ask: Ask, tmp_path: Path) -> None:
    """By Host or absolute-form, whatever the case, port and last dot; others get the main one."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "who").write_bytes(b"a.lab")
    hosts = {"a.lab": tmp_path / "a", "[::1]": tmp_path / "a"}
    for host in ("a.lab", "A.Lab:8080", "a.lab.", "a.lab.:80", "[::1]:8080"):
        assert ask(get("/who", host=host), hosts).body == b"a.lab"
    assert ask(get("http://a.lab/who", host="lab"), hosts).body == b"a.lab"
    for host in ("b.lab", "x.a.lab", "", "a.lab.b"):
        assert ask(get("/who", host=host), hosts).status == 404
        assert ask(get("/unknown", host=host), hosts).body == b"data"


def test_a_prefix_is_the_way_to_the_site(ask: Ask) -> None:
    """Below it lies what is served, redirects stay below it, and outside is nothing."""
    for path, status, location in (
        *(("/lab/x/digits.txt", 200, None), ("/lab/x", 301, "/lab/x/")),
        *(("/lab/x/home?q", 301, "/lab/x/home/?q"), ("/lab/x/", 200, None)),
        *(("/digits.txt", 404, None), ("/lab/xx/digits.txt", 404, None), ("/lab/", 404, None)),
        *(("/lab/x/../../digits.txt", 404, None), ("/lab/x/..", 404, None)),
    ):
        response = ask(get(path), prefix="/lab/x")
        assert (response.status, response.getheader("Location")) == (status, location), path
    assert ask(get("*", method="OPTIONS"), prefix="/lab/x").status == 204
    assert b'href="../"' not in ask(get("/lab/x/"), prefix="/lab/x").body


def test_the_404_page_of_the_site(ask: Ask, root: Path) -> None:
    """A 404.html in the root is the page of every 404, with the headers of all answers."""
    (root / "404.html").write_bytes(b"<h1>lost?</h1>")
    response = ask(get("/sub/none"), headers=("X-Lab: 1",))
    assert (response.status, response.body) == (404, b"<h1>lost?</h1>")
    assert (response.getheader("X-Lab"), response.getheader("ETag")) == ("1", None)
    assert ask(get("/sub/none", method="HEAD")).getheader("Content-Length") == "14"
    os.truncate(root / "404.html", 300 * 1024)
    assert ask(get("/none")).body.startswith(b"<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("read", "raw", "words"),
    [
        (read_headers, ["X-A"], '"X-A" is no header'),
        (read_headers, ["X A: b"], "is no header"),
        (read_headers, "X-A: b\x0bX-B: c", None),
        (read_headers, ["X-A: b\r\nX-B: c"], "is no header"),
        (read_headers, ["X-A: \u00e9"], "in ASCII"),
        (read_headers, ["Content-Length: 1"], "set by the server itself"),
        (read_headers, ["cache-control: no-store"], "cache_control says it"),
        (read_headers, 5, "takes a list"),
        (read_directives, "no-cache\nX: y", "max-age=3600"),
        (read_directives, 60, "max-age=3600"),
        (read_extension, ".css", "without its dot"),
        (read_prefix, "lab", '"/lab"'),
        (read_prefix, "/a/../b", "without"),
        (read_prefix, "/a b", '"/lab"'),
        (read_name, "a.lab:80", "without port"),
        (read_name, "", "without port"),
    ],
)
def test_what_cannot_be_is_told(
    read: Callable[[Any], object], raw: object, words: str | None
) -> None:
    """A value that would break an answer is refused, with what would be right."""
    if words is None:
        assert read(raw) == ("X-A: b", "X-B: c")
        return
    with pytest.raises(ValueError, match=words):
        read(raw)


def test_spellings_that_mean_the_same() -> None:
    """A prefix with a slash at its end, a slash alone, names and extensions in capitals."""
    assert [read_prefix(p) for p in ("", "/", "/a/b/")] == ["", "", "/a/b"]
    assert (read_name("A.Lab."), read_extension("CSS")) == ("a.lab", "css")
