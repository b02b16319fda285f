"""The chat hub with the programs that people really use."""

from __future__ import annotations

import re
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.daemon import PATIENCE_S, Daemon
from support.outside import need

HEADER = r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (\S+) \(127\.0\.0\.1:\d+\): "


class Program:
    """A running program whose output is collected by a file object."""

    def __init__(self, daemon: Daemon, *command: str) -> None:
        self.process = subprocess.Popen(
            [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.port = daemon.ports["chat"]

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read_until(self, text: str) -> str:
        """Read lines up to one that holds a text; returns it."""
        assert self.process.stdout is not None
        for line in iter(self.process.stdout.readline, b""):
            if text in line.decode():
                return line.decode()
        pytest.fail(f"the output ended before {text!r}")


@contextmanager
def running(daemon: Daemon, *command: str) -> Iterator[Program]:
    """Run an outside program that has read its greeting; `{port}` in the command is replaced."""
    port = str(daemon.ports["chat"])
    program = Program(daemon, *(word.replace("{port}", port) for word in command))
    # Whatever waits for output in vain sees its end.
    impatience = threading.Timer(PATIENCE_S, program.process.kill)
    impatience.start()
    try:
        program.read_until("/help")
        yield program
    finally:
        impatience.cancel()
        program.process.kill()
        program.process.communicate()


@contextmanager
def raw(daemon: Daemon) -> Iterator[socket.socket]:
    """A plain socket that has read its greeting."""
    with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as client:
        client.recv(4096)
        yield client


def test_two_nc_talk(daemon: Daemon) -> None:
    """Each reads the other's lines with time, name and address, and the log shows both."""
    nc = need("nc")
    with (
        running(daemon, nc, "127.0.0.1", "{port}") as ada,
        running(daemon, nc, "127.0.0.1", "{port}") as bob,
    ):
        ada.send("/nick ada\n你好\n".encode())
        assert re.search(HEADER + "你好\n$", bob.read_until("你好")).group(1) == "ada"  # type: ignore[union-attr]
        bob.send(b"hi\n")
        assert re.match(HEADER + "hi\n", ada.read_until("hi\n"))
        ada.send(b"q\n")
        assert "ada" in bob.read_until("left: quit")
    daemon.wait_for(r"chat: ada \(127\.0\.0\.1:\d+\): 你好")


def test_nc_that_ends_its_input_still_reads_answers(daemon: Daemon) -> None:
    """nc -N half-closes: its last line needs no line end."""
    nc = need("nc")
    with raw(daemon) as other:
        ended = subprocess.run(
            [nc, "-N", "127.0.0.1", str(daemon.ports["chat"])],
            input=b"one\ntwo",
            capture_output=True,
            timeout=20,
            check=True,
        )
        heard = other.makefile(encoding="utf-8")
        texts = [re.sub(HEADER, "", heard.readline()) for _ in range(3)]
        assert texts[1:] == ["one\n", "two\n"]
        assert "left: end of input" in heard.readline()
    assert b"welcome" in ended.stdout


def test_ncat_with_crlf(daemon: Daemon) -> None:
    """ncat -C sends and gets CR LF."""
    with running(daemon, need("ncat"), "-C", "127.0.0.1", "{port}") as ncat, raw(daemon) as other:
        ncat.send(b"first\n")
        assert re.search(HEADER + "first\n$", other.recv(4096).decode(), re.MULTILINE)
        other.sendall(b"second\n")
        assert ncat.read_until("second").endswith("second\r\n")


def test_telnet_survives_ctrl_c_and_ctrl_z(daemon: Daemon) -> None:
    """After Ctrl-C telnet discards all output until its TIMING-MARK is answered."""
    script = f"""
        set timeout 10
        spawn {need("telnet")} 127.0.0.1 {daemon.ports["chat"]}
        expect "welcome"
        send "\\003"
        sleep 0.3
        send "after\\r"
        sleep 0.3
        send "/who\\r"
        expect "idle 0 s" {{}} timeout {{ exit 3 }}
        send "\\035"
        expect "telnet> "
        send "send susp\\r"
        sleep 0.3
        send "still\\r"
        send "/xyzzy\\r"
        expect "no command" {{}} timeout {{ exit 4 }}
        send "q\\r"
        expect "goodbye" {{}} timeout {{ exit 5 }}
    """
    with raw(daemon) as other:
        subprocess.run([need("expect"), "-c", script], timeout=60, check=True, capture_output=True)
        time.sleep(0.2)
        heard = other.recv(65536).decode()
    assert re.search(HEADER + "after$", heard, re.MULTILINE)
    assert re.search(HEADER + "still$", heard, re.MULTILINE)


def reset(client: socket.socket) -> None:
    """Close with RST."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def test_clients_that_reset_scan_or_babble_stop_nobody(daemon: Daemon) -> None:
    """Resets, scans, half lines, long lines and bytes that are no text: the room goes on."""
    address = ("127.0.0.1", daemon.ports["chat"])
    with raw(daemon) as ada, raw(daemon) as bob:
        for _ in range(50):
            reset(socket.create_connection(address))
            with socket.create_connection(address) as half:
                half.sendall(b"half a line")
            with socket.create_connection(address) as odd:
                odd.sendall(b"\xff\xff\xfe\x00\x1b[2J" + b"x" * 5000)
        ada.sendall(b"are you there\n")
        bob.settimeout(10)
        heard = b""
        while b"are you there\n" not in heard:
            heard += bob.recv(65536)
        assert b"\x1b" not in heard


def test_a_stopped_nc_is_cut_and_the_room_sees_why(tmp_path: Path) -> None:
    """A client that does not read is cut; the others go on meanwhile."""
    nc = need("nc")
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off") as daemon,
        running(daemon, nc, "127.0.0.1", "{port}") as stopped,
        raw(daemon) as ada,
        raw(daemon) as bob,
    ):
        stopped.process.send_signal(signal.SIGSTOP)
        heard = b""
        bob.settimeout(PATIENCE_S)
        while b"cut: " not in heard:
            ada.sendall(b"x" * 2000 + b"\n")
            heard = heard[-2000:] + bob.recv(65536)
        assert re.search(rb"guest1 \(\S+\) left: cut: (read nothing|does not read)", heard)
