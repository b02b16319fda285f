"""`netlab get` over https, against OpenSSL's own server; and what -v says of it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.answering import get, says, served
from support.certificates import self_signed
from support.daemon import PATIENCE_S
from support.outside import need


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tls")
    self_signed(directory)
    (directory / "page").write_bytes(b"hello over TLS\n")
    return directory


@pytest.fixture(scope="module")
def port(directory: Path) -> Iterator[int]:
    """openssl s_server, which serves the files of its directory."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = int(free.getsockname()[1])
    command = [need("openssl"), "s_server", "-accept", f"127.0.0.1:{number}", "-WWW"]
    command += ["-cert", "certificate.pem", "-key", "key.pem"]
    with subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        while b"ACCEPT" not in server.stdout.readline():
            assert server.poll() is None
        yield number
        server.kill()
        server.wait(PATIENCE_S)


def test_a_certificate_that_is_trusted(port: int, directory: Path) -> None:
    """--cacert makes a certificate good, and -v says so, and what was agreed on."""
    trusted = ("--cacert", str(directory / "certificate.pem"))
    status, out, error = get("-v", *trusted, f"https://localhost:{port}/page")
    assert (status, out) == (0, b"hello over TLS\n")
    assert "* TLS agreed in " in error
    assert "ms: TLSv1.3, TLS_" in error
    assert "* certificate of CN=localhost\n" in error
    assert "* the certificate is good for localhost, by --cacert\n" in error


def test_a_certificate_that_is_not(port: int, directory: Path) -> None:
    """Nobody's signature, or another name, is 60 with a remedy; -k asks for neither."""
    url = f"https://localhost:{port}/page"
    status, out, error = get(url)
    assert (status, out, error.count("\n")) == (60, b"", 1)
    assert "--cacert FILE" in error
    trusted = ("--cacert", str(directory / "certificate.pem"))
    status, _, error = get(*trusted, f"https://127.0.0.1:{port}/page")
    assert (status, "for another name" in error, error.count("\n")) == (60, True, 1)
    assert get("-k", f"https://127.0.0.1:{port}/page")[:2] == (0, b"hello over TLS\n")
    assert "NOT checked" in get("-kv", url)[2]


@pytest.mark.parametrize("content", [None, "no certificate\n", "-----BEGIN CERTIFICATE-----\nx"])
def test_a_file_without_certificates(tmp_path: Path, content: str | None) -> None:
    """--cacert with a file that is missing or holds none is 77, before anything is sent."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    status, _, error = get("--cacert", str(file), "https://127.0.0.1:1/")
    assert (status, error.count("\n")) == (77, 1)


def test_plain_http_where_tls_was_expected() -> None:
    """The error of OpenSSL gets a guess at the cause."""
    with served(lambda connection: connection.sendall(b"HTTP/1.1 400 No\r\n\r\n")) as where:
        status, _, error = get(f"https://{where}/")
    assert (status, "does it speak plain http?" in error) == (35, True)


@pytest.mark.parametrize("after", [b"", b"this is no record of TLS"])
def test_an_end_without_a_goodbye(directory: Path, after: bytes) -> None:
    """Over TLS a body without a length is not whole where the server just hangs up: 56."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1000)
            tls.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
            with socket.socket(fileno=tls.detach()) as plain:
                plain.sendall(after)

    with served(serve) as where:
        status, out, error = get("-k", f"https://{where}/")
    assert (status, out, error.count("\n")) == (56, b"hello", 1)


def test_from_https_to_http(port: int, directory: Path) -> None:
    """-L goes from https to http, and says what that means."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem", directory / "key.pem")
    with served(says(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")) as plain:

        def serve(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                says(f"HTTP/1.1 302 F\r\nLocation: http://{plain}/\r\n\r\n".encode())(tls)

        with served(serve) as where:
            status, out, error = get("-kL", f"https://{where}/")
    assert (status, out) == (0, b"hi")
    assert "redirects from https to http: what follows can be read" in error
