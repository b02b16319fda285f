"""`netlab get` as a user runs it, against small servers written by hand."""

from __future__ import annotations

import os
import pty
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support.outside import need

NETLAB = Path(sys.executable).with_name("netlab")
Server = Callable[[socket.socket], None]


def get(*arguments: str) -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of a run."""
    done = subprocess.run([NETLAB, "get", *arguments], capture_output=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr.decode("utf-8")


@contextmanager
def served(serve: Server) -> Iterator[str]:
    """A server in a thread that treats one connection as it is told; gives its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def once() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                serve(connection)

        thread = threading.Thread(target=once)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(20)


def says(answer: bytes) -> Server:
    """A server that reads one request, answers and closes."""

    def serve(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += connection.recv(65536)
        connection.sendall(answer)

    return serve


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.0 200 OK\nServer: mine\n\nhel\x1b\xfflo", b"hel\x1b\xfflo"),
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
        (b"HTTP/1.1 200 O", 18, "before the end of the headers"),
        (b"220 mail ESMTP\r\n", 8, "no HTTP/1.1 status line"),
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
    assert (code, "0.3 s" in error) == (28, True)


def test_a_server_that_is_not_there() -> None:
    """A refused connection is 7, and names the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
    code, _, error = get(where)
    assert (code, error) == (7, f"Error: cannot connect to {where}: Connection refused\n")


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


def test_a_certificate_that_nobody_signed(tmp_path: Path) -> None:
    """A self-signed certificate is 60, and what does not speak TLS is 35."""
    openssl = need("openssl")
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-keyout", key, "-out", certificate, "-subj", "/CN=localhost"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(connection: socket.socket) -> None:
        with suppress(OSError):
            context.wrap_socket(connection, server_side=True).recv(1)

    with served(serve) as where:
        code, _, error = get(f"https://{where}/")
    assert (code, "certificate verify failed" in error) == (60, True)
    with served(lambda connection: connection.sendall(b"HTTP/1.1 400 No\r\n\r\n")) as where:
        assert get(f"https://{where}/")[0] == 35
