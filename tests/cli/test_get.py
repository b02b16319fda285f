"""`netlab get` as a user runs it, against small servers written by hand."""

from __future__ import annotations

import os
import pty
import re
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from support.answering import get, says, served
from support.daemon import NETLAB


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\r\nServer: mine\r\n\r\nhel\x1b\xfflo", b"hel\x1b\xfflo"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", b"nope"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_servers_by_beginners_are_understood(answer: bytes, body: bytes) -> None:
    """With a length, without one, in chunks, an error: the body comes unchanged, with status 0."""
    with served(says(answer)) as where:
        assert get(where) == (0, body, "")


@pytest.mark.parametrize(
    ("answer", "status", "why"),
    [
        (b"", 52, "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 18, "4 bytes missing"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello", 18, "too early"),
        (b"HTTP/1.1 200 O", 52, "too early"),
        (b"220 mail ESMTP\r\n", 1, "no HTTP/1.1 status line"),
    ],
)
def test_what_goes_wrong_has_curls_status(answer: bytes, status: int, why: str) -> None:
    """One line on stderr names the server and the cause."""
    with served(says(answer)) as where:
        code, _, error = get(where)
    assert code == status
    assert where in error
    assert why in error
    assert error.count("\n") == 1


def test_a_server_that_hangs() -> None:
    """--max-time ends the wait for one that accepts and says nothing."""

    def hang(connection: socket.socket) -> None:
        with suppress(ConnectionResetError):
            while connection.recv(1000):
                pass

    with served(hang) as where:
        code, _, error = get("-m", "0.3", where)
    assert (code, "the time is up" in error) == (28, True)


def test_a_server_that_is_not_there() -> None:
    """A refused connection is 7, and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
    code, _, error = get(where)
    assert code == 7
    assert error.startswith(f"Error: cannot connect to {where}: Connection refused; nothing list")


@pytest.mark.parametrize(("url", "status"), [("ftp://lab/", 1), ("http://", 3), ("a b", 3)])
def test_what_is_no_url(url: str, status: int) -> None:
    """An unknown scheme and a malformed URL are told apart."""
    code, out, error = get(url)
    assert (code, out, error.count("\n")) == (status, b"", 1)


def test_headers_are_shown_as_they_came() -> None:
    """-i puts the status line and the headers, byte for byte, before the body."""
    answer = b"HTTP/1.1 200 fine\r\nx-Odd:  1\r\nContent-Length: 2\r\n\r\nhi"
    with served(says(answer)) as where:
        assert get("-i", where) == (0, answer, "")


def test_a_file_is_written(tmp_path: Path) -> None:
    """-o writes the body; a failure leaves what came; a dead server leaves the file alone."""
    file = tmp_path / "out"
    with served(says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")) as where:
        assert get("-o", str(file), where)[:2] == (18, b"")
    assert file.read_bytes() == b"hello"
    assert get("-o", str(file), where)[0] == 7
    assert file.read_bytes() == b"hello"
    with served(says(b"HTTP/1.1 200 OK\r\n\r\nnew")) as where:
        assert get("-o", str(file), where)[0] == 0
    assert file.read_bytes() == b"new"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """A missing directory is 23 and one line."""
    with served(says(b"HTTP/1.1 200 OK\r\n\r\nnew")) as where:
        code, _, error = get("-o", str(tmp_path / "none" / "out"), where)
    assert (code, error.count("\n")) == (23, 1)


def test_a_terminal_is_not_driven() -> None:
    """On a terminal escape sequences are shown, and text in its charset is text."""
    text = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=gbk\r\n\r\n\x1b[31m你好\n"
    ours, theirs = pty.openpty()
    with served(says(text.encode("gbk"))) as where:
        subprocess.run([NETLAB, "get", where], stdout=theirs, timeout=30, check=True)
    os.close(theirs)
    assert os.read(ours, 1000).decode("utf-8") == "\\x1b[31m你好\r\n"
    os.close(ours)


def test_a_reader_that_has_enough() -> None:
    """`netlab get URL | head` ends without a traceback."""
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(4_000_000)
    serve = says(answer)

    def patient(connection: socket.socket) -> None:
        with suppress(OSError):
            serve(connection)

    with served(patient) as where:
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [NETLAB, "get", where], stdout=writer, stderr=subprocess.PIPE, timeout=30, check=False
        )
        os.close(writer)
    assert (done.returncode, done.stderr) == (23, b"")


def test_verbose_shows_the_wire() -> None:
    """-v shows on stderr what went out and came in, line by line, and when; stdout is the body."""
    heads = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX: \x1b\xc4\r\n"
    answer = heads + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: x\r\n\r\n"
    with served(says(answer)) as where:
        status, out, error = get("-v", "-H", "X-Me: 你好", f"{where}/a?b")
    assert (status, out) == (0, b"hi")
    lines = error.splitlines()
    assert [x for x in lines if x[0] == ">"][:2] == ["> GET /a?b HTTP/1.1", f"> Host: {where}"]
    assert "> X-Me: 你好" in lines
    came = [x for x in lines if x[0] == "<"]
    assert came[:2] == ["< HTTP/1.1 103 Early Hints", "<"]
    assert came[2:] == [
        "< HTTP/1.1 200 OK",
        r"< X: \x1b\xc4",
        "< Transfer-Encoding: chunked",
        "<",
        "< T: x",
        "<",
    ]
    facts = [x for x in lines if x[0] == "*"]
    patterns = [rf"connected to {where} in [\d.]+ ms", r"first byte after [\d.]+ ms"]
    patterns.append(r"2 bytes of body, whole after [\d.]+ ms")
    assert all(re.fullmatch(rf"\* {p}", x) for p, x in zip(patterns, facts, strict=True))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", "LF alone; HTTP wants CR LF"),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nhi", "space before the colon"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!!", "characters instead of bytes"),
        (b"http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "small letters"),
    ],
)
def test_what_a_student_should_mend(answer: bytes, why: str) -> None:
    """A server that is careless is understood, and told of in one line that names it."""
    with served(says(answer)) as where:
        status, out, error = get(where)
    assert (status, out) == (0, b"hi")
    assert error.startswith(f"Warning: {where} ")
    assert (why in error, error.count("\n")) == (True, 1)


def test_redirects_are_followed() -> None:
    """-L goes where it is sent; another server does not hear the password, and that is told."""
    heard_to: list[bytes] = []
    with served(says(b"HTTP/1.1 200 OK\r\n\r\nhi", heard_to=heard_to)) as other:
        moved = f"HTTP/1.1 302 F\r\nLocation: http://{other}/x\r\nContent-Length: 99\r\n\r\n"
        with served(says(moved.encode())) as where:
            status, out, error = get("-L", "-H", "Authorization: secret", "-H", "X: y", where)
    assert (status, out) == (0, b"hi")
    assert f"{where} redirects to {other}, which is not told Authorization" in error
    assert b"secret" not in heard_to[0]
    assert b"\r\nX: y\r\n" in heard_to[0]


def test_redirects_in_a_circle() -> None:
    """One redirect too many is 47 and names the circle."""
    back = says(b"HTTP/1.1 302 F\r\nLocation: /a\r\n\r\n")
    with served(*[back] * 4) as where:
        status, _, error = get("-L", "--max-redirs", "3", f"{where}/a")
    assert (status, "a circle" in error, error.count("\n")) == (47, True, 1)


def on_a_terminal(answer: bytes, *options: str) -> tuple[int, str, str]:
    """Exit status, what a terminal shows, and stderr."""
    ours, theirs = pty.openpty()
    with served(says(answer)) as where:
        done = subprocess.run(
            [NETLAB, "get", *options, where],
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    os.write(theirs, b"$")  # nothing at all could not be read
    os.close(theirs)
    shown = os.read(ours, 10_000).decode("utf-8")
    os.close(ours)
    return done.returncode, shown.removesuffix("$"), done.stderr.decode("utf-8")


def test_a_page_in_gbk_on_a_terminal() -> None:
    """Declared by the page, or by nobody: Chinese is Chinese, and what was missing is told."""
    plain = b"HTTP/1.1 200 OK\r\n\r\n"
    text = "<meta charset=gbk>你好"
    assert on_a_terminal(plain + text.encode("gbk")) == (0, text, "")
    status, shown, error = on_a_terminal(plain + "同学们好".encode("gbk"))
    assert (status, shown) == (0, "同学们好")
    assert "names no charset; it is no UTF-8, and is shown as GB18030" in error
    with served(says(plain + "同学们好".encode("gbk"))) as where:
        assert get(where) == (0, "同学们好".encode("gbk"), "")


def test_a_binary_body_on_a_terminal() -> None:
    """As with curl it is 23 and a hint; -o - shows it, and nothing in it drives the terminal."""
    answer = b"HTTP/1.1 200 OK\r\n\r\n\x00\x01\x1bc"
    status, shown, error = on_a_terminal(answer)
    assert (status, shown, "-o FILE" in error) == (23, "", True)
    assert on_a_terminal(answer, "-o", "-") == (0, r"\x00\x01\x1bc", "")
