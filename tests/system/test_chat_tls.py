"""The chat behind TLS: what holds for plain clients holds there, and no peer upsets the log."""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.crowd import answering, reset
from support.daemon import PATIENCE_S, Daemon
from support.outside import need

FAREWELL = b"*** the server is going down; goodbye\n"


class Secure:
    """A daemon with a plain and a TLS listener."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        listening = [x for x in daemon.lines if "chat listens on" in x]
        self.plain, self.tls = (int(re.findall(r":(\d+)/tcp", x)[0]) for x in listening)

    def raw(self) -> socket.socket:
        """A connection to the TLS port that has not said anything yet."""
        return socket.create_connection(("127.0.0.1", self.tls), PATIENCE_S)

    def shake_hands(self, client: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(client, suppress_ragged_eofs=False)

    def join(self) -> ssl.SSLSocket:
        """A client that has read its greeting; the end of its stream must be authentic."""
        client = self.shake_hands(self.raw())
        heard = b""
        while b"/help" not in heard:
            heard += client.recv(4096)
        return client


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[Secure]:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([need("openssl"), *request, *files], check=True, capture_output=True)
    ssl_endpoint = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    file = tmp_path / "lab.toml"
    file.write_text(
        f'[chat]\nrate = "off"\nlisten = ["tcp:0:interface=127.0.0.1", "{ssl_endpoint}"]\n'
    )
    arguments = (f"--config={file}", "--services=chat")
    with Daemon(tmp_path, *arguments, free_ports=False) as daemon:
        yield Secure(daemon)


def rest_of(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_the_goodbye_arrives(secure: Secure) -> None:
    """Who leaves reads a last line, and TLS says that it was the last."""
    with secure.join() as client:
        client.sendall(b"q\n")
        assert rest_of(client).endswith(b"*** goodbye\n")


def test_the_farewell_arrives(secure: Secure) -> None:
    """When the daemon ends, too."""
    with secure.join() as client:
        secure.daemon.process.send_signal(signal.SIGTERM)
        assert rest_of(client).endswith(FAREWELL)


def test_a_paste_is_whole(secure: Secure) -> None:
    """50 000 lines from one TLS client to another."""
    said = b"".join(b"%063d\n" % n for n in range(50_000))
    with secure.join() as ada, secure.join() as bob:
        sender = threading.Thread(target=ada.sendall, args=(said,), daemon=True)
        sender.start()
        heard = bytearray()
        while not heard.endswith(said[-64:]):
            heard += bob.recv(65536)
        sender.join(PATIENCE_S)
        texts = [x.rpartition(b"): ")[2] for x in heard.split(b"\n") if x.startswith(b"[")]
        assert texts == said.split(b"\n")[:-1]


def test_who_has_not_agreed_on_tls_has_no_seat(secure: Secure) -> None:
    """A silent client is cut within 10 s with one line of the log; nobody in the room hears of it.

    One that says hello a little later is let in.
    """
    began = time.monotonic()
    with secure.join() as ada, secure.raw() as silent, secure.raw() as late:
        peer = f"127.0.0.1:{silent.getsockname()[1]}"
        ada.settimeout(PATIENCE_S)
        time.sleep(0.5)
        assert not any("guest2 " in line for line in secure.daemon.lines)
        with secure.shake_hands(late) as bob:
            heard = b""
            while b"/help" not in heard:
                heard += bob.recv(4096)
            assert b"you are guest2; one other is here" in heard
            silent.settimeout(PATIENCE_S)
            with pytest.raises(ConnectionResetError):
                silent.recv(1)
            assert 10 <= time.monotonic() - began < 15
            ada.sendall(b"q\n")
            told = re.findall(rb"\*\*\* (.*)\n", rest_of(ada))
            assert told[1:] == [b"goodbye"]
            assert re.fullmatch(rb"guest2 \(\S+\) joined", told[0])
    (line,) = (line for line in secure.daemon.lines if peer in line)
    assert line.endswith(f"{peer} cut: no TLS within 10 s")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"hello\n", "wrong version number"),
        (b"GET / HTTP/1.1\r\n\r\n", "http request"),
        (b"\x16\x03\x01", "connection lost"),
        (b"", "connection lost"),
    ],
)
def test_who_speaks_no_tls_is_one_line_of_the_log(secure: Secure, said: bytes, why: str) -> None:
    """It says what came instead, and from where."""
    with secure.raw() as client:
        peer = f"127.0.0.1:{client.getsockname()[1]}"
        client.sendall(said)
        if said.endswith(b"\n"):
            assert client.recv(64)[:1] in (b"\x15", b"")  # an alert of TLS
    line = secure.daemon.wait_for(peer)
    assert line.endswith(f"{peer} left before TLS was agreed on: {why}")
    with secure.join():
        assert sum(peer in line for line in secure.daemon.lines) == 1


def test_the_end_waits_for_no_handshake(secure: Secure) -> None:
    """The daemon ends at once, though a client has not said hello yet."""
    with secure.raw():
        time.sleep(0.2)
        began = time.monotonic()
        secure.daemon.stop()
        assert time.monotonic() - began < 3


def test_who_stops_reading_is_cut(secure: Secure) -> None:
    """The others go on."""
    with (
        secure.join(),
        socket.create_connection(("127.0.0.1", secure.plain), PATIENCE_S) as talker,
        answering(secure.plain),
    ):
        end = time.monotonic() + 15
        while not any("left: cut: " in line for line in secure.daemon.lines):
            assert time.monotonic() < end
            talker.sendall(b"x" * 1999 + b"\n")
            time.sleep(0.0005)


def test_garbage_and_broken_handshakes(secure: Secure) -> None:
    """Whatever comes instead of a handshake, and wherever it breaks off, harms nobody."""
    hello = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        hello.wrap_bio(incoming, outgoing, server_hostname="lab").do_handshake()
    first = outgoing.read()
    with answering(secure.plain):
        for data in (b"", b"hello\n", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, first):
            for size in {len(data), len(data) // 2}:
                for end in (socket.socket.close, reset, lambda s: s.shutdown(socket.SHUT_WR)):
                    client = secure.raw()
                    client.sendall(data[:size])
                    end(client)
        with secure.join() as client:
            client.sendall(b"fine\n")
        secure.daemon.wait_for(": fine")


def test_renegotiation_is_refused(secure: Secure) -> None:
    """TLS 1.2 would let a client ask for expensive handshakes for ever."""
    command = [need("openssl"), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{secure.tls}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        while b"/help" not in client.stdout.readline():
            pass
        client.stdin.write(b"R\n")
        client.stdin.flush()
        assert b"no renegotiation" in client.stdout.read()
