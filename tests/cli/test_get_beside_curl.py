"""`netlab get` and curl on the same servers: the same exit status, the same bytes."""

from __future__ import annotations

import gzip
import socket
import struct
import subprocess
import zlib

import pytest

from support.answering import Server, get, heard, says, served
from support.outside import need

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP, DEFLATE = OK + b"Content-Encoding: gzip\r\n\r\n", OK + b"Content-Encoding: deflate\r\n\r\n"
HELLO = b"hello" * 50

ANSWERS = {
    "a length": OK + b"Content-Length: 5\r\n\r\nhello",
    "no length": OK + b"\r\nhello",
    "LF alone": b"HTTP/1.0 200 OK\nServer: mine\n\nhello",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    "nothing": b"",
    "too short": OK + b"Content-Length: 9\r\n\r\nhello",
    "too long": OK + b"Content-Length: 3\r\n\r\nhello",
    "GBK": OK + b"Content-Type: text/html; charset=gbk\r\n\r\n" + "你好".encode("gbk"),
    "chunks, an extension, a trailer": CHUNKED + b"5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    "chunks with LF": CHUNKED + b"5\nhello\n0\n\n",
    "a chunk cut": CHUNKED + b"9\r\nhello",
    "no last chunk": CHUNKED + b"5\r\nhello\r\n",
    "no end of the trailer": CHUNKED + b"5\r\nhello\r\n0\r\n",
    "a chunk without a size": CHUNKED + b"xyz\r\nhello",
    "a chunk too long": CHUNKED + b"1\r\nabc\r\n0\r\n\r\n",
    "chunks and a length": CHUNKED[:-2] + b"Content-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "an unknown coding": OK + b"Transfer-Encoding: foo\r\n\r\nhello",
    "identity": OK + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    "1xx before": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    + OK
    + b"Content-Length: 5\r\n\r\nhello",
    "1xx alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "SMTP": b"220 mail ESMTP\r\n",
    "HTML alone": b"<html>hello</html>",
    "no status": b"HTTP/1.1 OK\r\n\r\nhello",
    "HTTP/3.7": b"HTTP/3.7 200 OK\r\n\r\nhello",
    "status 99": b"HTTP/1.1 99 OK\r\n\r\nhello",
    "half a status line": b"HTTP/1.1 200 O",
    "half a body's headers": OK + b"Content-Length: 5\r\n",
    "no colon": OK + b"no colon\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length below 0": OK + b"Content-Length: -5\r\n\r\nhello",
    "a length in letters": OK + b"Content-Length: abc\r\n\r\nhello",
    "204": b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n",
    "404": b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    "an empty line first": b"\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    "headers without end": OK + b"X: y\r\n" * 80_000 + b"\r\nhello",
    "gzip": GZIP + gzip.compress(HELLO),
    "gzip twice": OK
    + b"Content-Encoding: gzip, gzip\r\n\r\n"
    + gzip.compress(gzip.compress(HELLO)),
    "no gzip": GZIP + HELLO,
    "deflate": DEFLATE + zlib.compress(HELLO),
    "deflate without zlib's frame": DEFLATE + zlib.compress(HELLO)[2:-4],
    "an unknown Content-Encoding": OK + b"Content-Encoding: foo\r\n\r\nhello",
    "a redirect": b"HTTP/1.1 302 F\r\nLocation: /x\r\nContent-Length: 5\r\n\r\nhello",
}
#: Where ours is stricter: the status it has, and curl's.
STRICTER = {
    "headers cut": (OK + b"Content-Le", 18, 0),
    "two lengths": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 8, 18),
    "gzip cut": (GZIP + gzip.compress(HELLO)[:-9], 18, 0),
    "gzip and more": (GZIP + gzip.compress(HELLO) + b"tail", 61, 23),
    "101": (b"HTTP/1.1 101 Sw\r\nUpgrade: x\r\n\r\nhello", 8, 0),
}


def both(serve: Server, *options: str) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    """Exit status and stdout, ours and curl's."""
    with served(serve, serve) as where:
        status, out, _ = get("-m", "20", *options, f"http://{where}/a")
        command = [need("curl"), "-q", "-sS", "-m", "20", *options, f"http://{where}/a"]
        done = subprocess.run(command, capture_output=True, check=False, env={})
    return (status, out), (done.returncode, done.stdout)


@pytest.mark.parametrize("name", ANSWERS)
def test_the_same_as_curl(name: str) -> None:
    """On servers good and bad, status and bytes are curl's."""
    options = ("--compressed",) if "Content-Encoding" in str(ANSWERS[name]) else ()
    ours, theirs = both(says(ANSWERS[name]), *options)
    assert ours == theirs


@pytest.mark.parametrize("name", STRICTER)
def test_where_ours_is_stricter(name: str) -> None:
    """What is cut or ambiguous is no success; the day curl thinks so too, this says it."""
    answer, status, curls = STRICTER[name]
    options = ("--compressed",) if name.startswith("gzip") else ()
    ours, theirs = both(says(answer), *options)
    assert (ours[0], theirs[0]) == (status, curls)


@pytest.mark.parametrize("answer", [b"", OK[:9], ANSWERS["too short"]])
def test_a_reset(answer: bytes) -> None:
    """A connection that is reset is 56, whatever came before."""

    def serve(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(answer)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    ours, theirs = both(serve)
    assert ours == theirs
    assert ours[0] == 56


@pytest.mark.parametrize("options", [("-i",), ("-I",), ("-f",), ("-f", "-o", "/dev/null")])
def test_options_do_what_curls_do(options: tuple[str, ...]) -> None:
    """-i, -I and -f write the same bytes, of a good answer and of a bad one."""
    for name in ("a length", "404", "chunks, an extension, a trailer"):
        answer = ANSWERS[name] if "-I" not in options else ANSWERS[name].partition(b"hello")[0]
        ours, theirs = both(says(answer), *options)
        if "-i" in options:  # curl puts the trailer of a chunked body behind it
            theirs = theirs[0], theirs[1].replace(b"T: 1\r\n", b"")
        assert ours == theirs
