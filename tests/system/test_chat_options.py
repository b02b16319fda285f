"""The options of the chat, through a real daemon and plain sockets."""

from __future__ import annotations

import re
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.daemon import PATIENCE_S, Daemon


@contextmanager
def chat(tmp_path: Path, *arguments: str, **environ: str) -> Iterator[Daemon]:
    with Daemon(tmp_path, "--services=chat", *arguments, free_ports=True, **environ) as daemon:
        yield daemon


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE_S)


def read_until(client: socket.socket, end: bytes) -> bytes:
    """What comes, up to and with these bytes."""
    heard = b""
    while end not in heard:
        data = client.recv(4096)
        assert data, heard
        heard += data
    return heard


def other_port(daemon: Daemon, what: str) -> int:
    """The port of a listener beside the usual one, by what its start line says of it."""
    line = daemon.wait_for(re.escape(what))
    return int(re.findall(r"127\.0\.0\.1:(\d+)/tcp", line)[0])


def test_a_program_without_line_ends_finds_the_raw_port(tmp_path: Path) -> None:
    """Each of its chunks is a message for those at the usual port."""
    with chat(tmp_path, "--chat-raw-port=0") as daemon:
        usual = other_port(daemon, "try: nc")  # of the two, the first
        with connect(usual) as reader, connect(other_port(daemon, "each chunk")) as program:
            read_until(reader, b"joined\n")
            program.sendall("你好".encode())
            assert re.search(r"\): 你好\n$", read_until(reader, "你好\n".encode()).decode())


def test_the_length_port(tmp_path: Path) -> None:
    """Lengths in, lengths out."""
    with (
        chat(tmp_path, "--chat-length-port=0") as daemon,
        connect(other_port(daemon, "4 bytes of length")) as one,
        connect(other_port(daemon, "4 bytes of length")) as other,
    ):
        read_until(one, b"joined")
        other.sendall(struct.pack("!I", 5) + b"hello")
        heard = read_until(one, b": hello")
        at = heard.index(b"[2") - 4
        (length,) = struct.unpack_from("!I", heard, at)
        assert heard[at + 4 : at + 4 + length].endswith(b": hello")


def test_echo_mode_on_the_raw_port_gives_the_very_bytes(tmp_path: Path) -> None:
    """And nothing else, whatever they are."""
    with (
        chat(tmp_path, "--chat-raw-port=0", "--chat-mode=echo") as daemon,
        connect(other_port(daemon, "each chunk")) as program,
    ):
        program.sendall(b"\x00\xffping 1\r\n")
        assert program.recv(4096) == b"\x00\xffping 1\r\n"


def test_the_login_prompt(tmp_path: Path) -> None:
    """The first line is the name."""
    with (
        chat(tmp_path, "--chat-login=prompt") as daemon,
        connect(daemon.ports["chat"]) as client,
    ):
        read_until(client, b"what is your name?\n")
        client.sendall(b"ada\n")
        assert b"welcome, you are ada" in read_until(client, b"leaves\n")


def test_the_history_survives_a_restart(tmp_path: Path) -> None:
    """With `transcript = true` a newcomer reads what was said before the daemon ended."""
    for number, said in enumerate((b"before", b"after")):
        with chat(tmp_path, NETLAB_CHAT_TRANSCRIPT="true") as daemon:
            with connect(daemon.ports["chat"]) as client:
                greeting = read_until(client, b"leaves\n" if number == 0 else b"before\n")
                assert (b"): before\n" in greeting) == (number == 1)
                client.sendall(said + b"\n")
                daemon.wait_for(said.decode() + "$")
            assert daemon.stop() in (0, -signal.SIGTERM)
    text = (tmp_path / "state" / "chat.jsonl").read_text()
    assert text.count('"event": "said"') == 2
