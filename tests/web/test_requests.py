"""Raw bytes in, status, headers and body out: the whole site as a peer sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

DIGITS = b"0123456789" * 100
LAST_MODIFIED = "Tue, 14 Nov 2023 22:13:20 GMT"
HTML = "text/html; charset=utf-8"


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: lab", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


CLOSED: dict[str, str | None] = {"Connection": "close"}

#: Request, status, headers (None: must not be there), body (None: not compared).
TABLE: list[tuple[bytes, int, dict[str, str | None], bytes | None]] = [
    # What there is
    (get("/digits.txt"), 200, {"Content-Type": "text/plain; charset=utf-8"}, DIGITS),
    (get("/digits.txt"), 200, {"Last-Modified": LAST_MODIFIED, "Accept-Ranges": "bytes"}, DIGITS),
    (get("/digits.txt?q=1&%zz"), 200, {}, DIGITS),
    (get("http://lab:8080/digits.txt"), 200, {}, DIGITS),
    (get("/nothing.txt"), 200, {"Content-Length": "0"}, b""),
    (get("/home/"), 200, {"Content-Type": HTML}, b"<h1>home</h1>"),
    (get("/unknown"), 200, {"Content-Type": "application/octet-stream"}, b"data"),
    (get("/odd.xyz"), 200, {"Content-Type": "application/octet-stream"}, b"data"),
    (
        get("/a.tar.gz"),
        200,
        {"Content-Type": "application/gzip", "Content-Encoding": None},
        b"data",
    ),
    (get("/a%20b%25.txt"), 200, {}, b"data"),
    (get("/%ff.txt"), 200, {}, b"data"),
    (get("/%64igits.txt"), 200, {}, DIGITS),
    (get("/sub/../digits.txt"), 200, {}, DIGITS),
    (get("//digits.txt"), 200, {}, DIGITS),
    (get("/.well-known/ok"), 200, {}, b"known"),
    # Directories
    (get("/"), 200, {"Content-Type": HTML}, None),
    (get("/home"), 301, {"Location": "/home/"}, None),
    (get("/home?a=b"), 301, {"Location": "/home/?a=b"}, None),
    (get("//evil.example"), 301, {"Location": "/evil.example/"}, None),
    (get("/%2e/evil.example"), 301, {"Location": "/evil.example/"}, None),
    (get("/x:y"), 301, {"Location": "/x%3Ay/"}, None),
    # What there is not, or not for visitors
    (get("/none"), 404, {"Content-Type": HTML}, None),
    (get("/digits.txt/"), 404, {}, None),
    (get("/digits.txt/x"), 404, {}, None),
    (get("/" + "n" * 300), 404, {}, None),
    (get("/.git/config"), 404, {}, None),
    (get("/%2egit/config"), 404, {}, None),
    (get("/..%2fsecret.txt"), 404, {}, None),
    (get("/sub%2fpage.html"), 404, {}, None),
    (get("/%2fetc%2fpasswd"), 404, {}, None),
    (get("/%c0%ae%c0%ae/secret.txt"), 404, {}, None),
    (get("/..\\secret.txt"), 404, {}, None),
    (get("/fifo"), 403, {}, None),
    (get("/link-out"), 403, {}, None),
    (get("/link-in"), 403, {}, None),
    (get("/dir-out/secret.txt"), 403, {}, None),
    # What nobody should ask
    (get("/../secret.txt"), 400, {}, None),
    (get("/%2e%2e/secret.txt"), 400, {}, None),
    (get("/a%00b"), 400, {}, None),
    (get("/%zz"), 400, {}, None),
    (get("/%"), 400, {}, None),
    (get("/\xa0"), 400, {}, None),
    (get("/\xe9"), 400, {}, None),
    (get("/a#b"), 400, {}, None),
    (get("digits.txt"), 400, {}, None),
    (b"GET / HTTP/1.1\r\n\r\n", 400, {}, None),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, {}, None),
    (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, {}, None),
    (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, {}, None),
    (b"GET /\r\n", 400, {"Connection": "close"}, None),
    (b"GET / HTTP/1.0\n\n", 400, {"Connection": "close"}, None),
    (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\nx: y\r\n\r\n", 400, {"Connection": "close"}, None),
    (b"\x16\x03\x01\x02\x00\x01\n", 400, {}, None),
    (get("/" + "a" * 16400), 414, {"Connection": "close"}, None),
    (get("/", "X: " + "a" * 16400), 431, {"Connection": "close"}, None),
    (get("/", *["X: " + "a" * 1000] * 17), 431, {"Connection": "close"}, None),
    (get("/", *["X: y"] * 501), 431, {}, None),
    (get("/", "Content-Length: 9999999", method="POST"), 413, {"Connection": "close"}, None),
    (get("/", "Content-Length: " + "9" * 5000, method="POST"), 413, {}, None),
    (get("/", "Content-Length: 1", "Content-Length: 1", method="POST") + b"x", 400, {}, None),
    (get("/x", "Transfer-Encoding: identity", method="POST"), 400, CLOSED, None),
    (get("/x", "Transfer-Encoding: gzip, chunked", method="POST"), 400, CLOSED, None),
    (get("/x", "Transfer-Encoding: chunked, identity", method="POST"), 400, CLOSED, None),
    (get("/x", "Transfer-Encoding: \x0bchunked", method="POST"), 400, CLOSED, None),
    (get("/x", "Transfer-Encoding: ", method="POST"), 400, CLOSED, None),
    (get("/x", "Content-Length: 3", "Transfer-Encoding: chunked", method="POST"), 400, {}, None),
    (get("/x", "Content-Length : 3", method="POST"), 400, {"Connection": "close"}, None),
    (get("/x", "Content-Length: +3", method="POST"), 400, {"Connection": "close"}, None),
    (get("/x", "X: a\rY: b", method="POST"), 400, {"Connection": "close"}, None),
    # Methods
    (get("/digits.txt", method="HEAD"), 200, {"Content-Length": "1000"}, b""),
    (get("/none", method="HEAD"), 404, {}, b""),
    (get("/home", method="HEAD"), 301, {"Location": "/home/"}, b""),
    (get("/", method="OPTIONS"), 204, {"Allow": "GET, HEAD, OPTIONS"}, b""),
    (get("*", method="OPTIONS"), 204, {"Allow": "GET, HEAD, OPTIONS"}, b""),
    (get("/digits.txt", method="DELETE"), 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    (get("/digits.txt", method="TRACE"), 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    (get("/digits.txt", method="BREW"), 501, {"Allow": None}, None),
    (get("lab:443", method="CONNECT"), 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    (get("/none", method="OPTIONS"), 204, {"Allow": "GET, HEAD, OPTIONS"}, b""),
    (get("/digits.txt", method="PATCH"), 405, {"Allow": "GET, HEAD, OPTIONS"}, None),
    (get("/digits.txt", method="get"), 501, {}, None),
    (get("/x", "Content-Length: 3", method="PUT") + b"abc", 405, {}, None),
    # HTTP/1.0
    (b"GET /digits.txt HTTP/1.0\r\n\r\n", 200, {"Content-Length": "1000"}, DIGITS),
    # Other versions, and expectations
    (b"GET /digits.txt HTTP/1.2\r\nHost: lab\r\n\r\n", 200, {"Connection": None}, DIGITS),
    (b"GET /digits.txt HTTP/1.9\r\n\r\n", 400, {}, None),
    (b"GET /digits.txt HTTP/2.0\r\nHost: lab\r\n\r\n", 505, {"Connection": "close"}, None),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, {"Connection": "close"}, None),
    (b"GET /digits.txt HTTP/0.9\r\n\r\n", 505, {"Connection": "close"}, None),
    (b"GET /digits.txt HTTP/1.10\r\nHost: lab\r\n\r\n", 400, {}, None),
    (b"GET /digits.txt http/1.1\r\nHost: lab\r\n\r\n", 400, {}, None),
    (get("/", "Expect: tea"), 417, {"Connection": "close"}, None),
    (get("/", "Expect: 100-Continue, tea", "Content-Length: 9"), 417, {}, None),
    (get("/digits.txt", "Expect: "), 200, {}, DIGITS),
    # Ranges
    (get("/digits.txt", "Range: bytes=0-3"), 206, {"Content-Range": "bytes 0-3/1000"}, b"0123"),
    (get("/digits.txt", "Range: bytes=998-"), 206, {"Content-Length": "2"}, b"89"),
    (get("/digits.txt", "Range: bytes=-3"), 206, {"Content-Range": "bytes 997-999/1000"}, b"789"),
    (
        get("/digits.txt", "Range: bytes=-5000"),
        206,
        {"Content-Range": "bytes 0-999/1000"},
        DIGITS,
    ),
    (
        get("/digits.txt", "Range: bytes=990-" + "9" * 4400),
        206,
        {"Content-Range": "bytes 990-999/1000"},
        b"0123456789",
    ),
    (get("/digits.txt", "Range: bytes=1000-"), 416, {"Content-Range": "bytes */1000"}, None),
    (get("/digits.txt", "Range: bytes=-0"), 416, {"Content-Range": "bytes */1000"}, None),
    (get("/nothing.txt", "Range: bytes=0-"), 416, {"Content-Range": "bytes */0"}, None),
    (get("/digits.txt", "Range: bytes="), 200, {"Content-Range": None}, DIGITS),
    (get("/digits.txt", "Range: bytes=5-2"), 200, {}, DIGITS),
    (get("/digits.txt", "Range: lines=1-2"), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=\xb2-\xb3"), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=0-1,1-3"), 206, {"Content-Range": "bytes 0-3/1000"}, b"0123"),
    (get("/digits.txt", "Range: bytes=0-1,2-3"), 206, {"Content-Range": "bytes 0-3/1000"}, b"0123"),
    (get("/digits.txt", "Range: bytes=0-1,2000-"), 206, {"Content-Length": "2"}, b"01"),
    (get("/digits.txt", "Range: bytes=" + "0-0," * 16 + "9-9"), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=0-1", "Range: bytes=4-5"), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=" + "0-999," * 80), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=0-3", method="HEAD"), 200, {"Content-Length": "1000"}, b""),
    (get("/digits.txt", "Range: bytes=0-1", 'If-Range: "other"'), 200, {}, DIGITS),
    (get("/digits.txt", "Range: bytes=0-1", f"If-Range: {LAST_MODIFIED}"), 206, {}, b"01"),
    # Conditions
    (get("/digits.txt", f"If-Modified-Since: {LAST_MODIFIED}"), 304, {"Content-Type": None}, b""),
    (get("/digits.txt", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), 200, {}, DIGITS),
    (get("/digits.txt", "If-Modified-Since: yesterday"), 200, {}, DIGITS),
    (get("/digits.txt", "If-None-Match: *"), 304, {}, b""),
    (
        get("/digits.txt", 'If-None-Match: "x"', f"If-Modified-Since: {LAST_MODIFIED}"),
        200,
        {},
        None,
    ),
    (get("/digits.txt", 'If-Match: "x"'), 412, {}, None),
    (get("/digits.txt", "If-Match: *"), 200, {}, DIGITS),
    (get("/digits.txt", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"), 412, {}, None),
]


@pytest.mark.parametrize(("request_", "status", "headers", "body"), TABLE)
def test_each_request_gets_its_answer(
    visit: Callable[[], Any],
    request_: bytes,
    status: int,
    headers: dict[str, str | None],
    body: bytes | None,
) -> None:
    """Status, headers and body are what RFC 9110 and 9112 ask for; asked again, the same bytes."""
    visitor = visit()
    response = visitor.ask(request_)
    assert response.status == status
    assert {name: response.getheader(name) for name in headers} == headers
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Date") == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert body is None or response.body == body
    assert b"SECRET" not in response.body
    again = visit()
    again.ask(request_)
    assert again.transport.value() == visitor.transport.value(), "the same request, asked again"


def test_an_etag_ends_a_second_download(visit: Callable[[], Any]) -> None:
    """The entity tag of an answer, weak or strong, names it in If-None-Match and If-Range."""
    visitor = visit()
    etag = visitor.ask(get("/digits.txt")).getheader("ETag")
    assert visitor.ask(get("/digits.txt", f'If-None-Match: "x", W/{etag}')).status == 304
    assert visitor.ask(get("/digits.txt", f"If-Match: W/{etag}")).status == 412
    assert visitor.ask(get("/digits.txt", "Range: bytes=0-1", f"If-Range: {etag}")).status == 206
    assert visitor.ask(get("/digits.txt", "Range: bytes=0-1", f"If-Range: W/{etag}")).status == 200


def test_a_changed_file_has_another_etag(visit: Callable[[], Any], root: Any) -> None:
    """A file rewritten with as many bytes is not taken for what it was."""
    visitor = visit()
    before = visitor.ask(get("/unknown")).getheader("ETag")
    (root / "unknown").write_bytes(b"atad")
    assert visitor.ask(get("/unknown", f"If-None-Match: {before}")).body == b"atad"
