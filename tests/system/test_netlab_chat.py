"""`netlab chat` as a process: in a pipe, on a terminal, over TLS, after a lost connection."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import self_signed
from support.daemon import NETLAB, PATIENCE_S, Daemon
from support.outside import need

HEADER = r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (\S+) \(127\.0\.0\.1:\d+\): "


def chat(*arguments: str, said: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run it with an input, to its end."""
    return subprocess.run(
        [NETLAB, "chat", *arguments],
        input=said,
        encoding="utf-8",
        capture_output=True,
        timeout=PATIENCE_S,
        check=check,
    )


def test_netlab_chat_in_a_pipe(daemon: Daemon) -> None:
    """Takes its name, sends its lines, prints what comes, and ends by itself."""
    with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as other:
        other.recv(4096)
        ended = subprocess.run(
            [NETLAB, "chat", f"127.0.0.1:{daemon.ports['chat']}", "--name", "小明"],
            input="早\nwell\n",
            encoding="utf-8",
            capture_output=True,
            timeout=20,
            check=True,
        )
        heard = other.recv(65536).decode()
    assert "welcome" in ended.stdout
    assert [re.sub(HEADER, "", x) for x in heard.splitlines() if "小明 (" in x and "[" in x] == [
        "早",
        "well",
    ]


def test_netlab_chat_says_in_one_line_why_it_cannot(daemon: Daemon) -> None:
    """A port where nothing listens, and a host that does not exist."""
    for server, why in [
        ("127.0.0.1:1", "Connection refused"),
        ("no.invalid:1", "no host is called"),
    ]:
        ended = subprocess.run(
            [NETLAB, "chat", server], input="", encoding="utf-8", capture_output=True, check=False
        )
        assert ended.returncode == 1
        assert why in ended.stderr
        assert ended.stderr.count("\n") == 1
    assert daemon.ports


def test_what_is_typed_stays_whole_while_others_talk(daemon: Daemon) -> None:
    """On a terminal, lines that arrive are printed above the one being typed."""
    tmux, session = need("tmux"), f"netlab-{uuid.uuid4().hex[:8]}"
    where = f"127.0.0.1:{daemon.ports['chat']}"

    def run(*words: str) -> str:
        return subprocess.run(
            [tmux, *words], capture_output=True, encoding="utf-8", check=True
        ).stdout

    def screen_until(pattern: str) -> str:
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, shown := run("capture-pane", "-p", "-t", session)):
            assert time.monotonic() < end, f"no {pattern!r} on the screen:\n{shown}"
            time.sleep(0.05)
        return shown

    command = f"{NETLAB} chat {where} --name ada; echo ended $?; sleep 30"
    run("new-session", "-d", "-s", session, "-x", "100", "-y", "20", command)
    try:
        screen_until("is now ada")
        run("send-keys", "-t", session, "-l", "half a l")
        screen_until("> half a l")
        chat(where, said="from outside\n")
        shown = screen_until(r"from outside\n(.*\n)*> half a l *\n")
        assert shown.count("half a l") == 1
        run("send-keys", "-t", session, "ine", "Enter")
        daemon.wait_for("ada .*: half a line")
        run("send-keys", "-t", session, "C-d")
        screen_until("ended 0")
    finally:
        run("kill-session", "-t", session)


def test_a_lost_connection_is_taken_up_again(tmp_path: Path) -> None:
    """With --reconnect it waits for the server, takes its name again, and goes on."""
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    with Daemon(first, "--services=chat") as daemon:
        port = str(daemon.ports["chat"])
        process = subprocess.Popen(
            [NETLAB, "chat", f"127.0.0.1:{port}", "--name", "ada", "--reconnect"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        daemon.wait_for("is now ada")
    arguments = ("--services=chat", f"--chat-port={port}")
    with Daemon(second, *arguments, free_ports=False) as daemon:
        daemon.wait_for("is now ada")
        shown, _ = process.communicate("back again\n", timeout=PATIENCE_S)
        daemon.wait_for("ada .*: back again")
    assert "*** the server is going down; goodbye" in shown
    assert "*** not connected; trying again in 1 s" in shown
    assert process.returncode == 0


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[Daemon, Path]]:
    """A daemon whose chat speaks TLS, and its certificate."""
    key, certificate = self_signed(tmp_path)
    file = tmp_path / "lab.toml"
    endpoint = f"ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1"
    file.write_text(f'[chat]\nlisten = ["{endpoint}"]\n')
    arguments = (f"--config={file}", "--services=chat")
    with Daemon(tmp_path, *arguments, free_ports=False, NETLAB_CHAT_RATE="off") as daemon:
        yield daemon, certificate


def test_over_tls(tls: tuple[Daemon, Path]) -> None:
    """A certificate one trusts, any certificate, and none that one does not trust."""
    daemon, certificate = tls
    where = f"localhost:{daemon.ports['chat']}"
    assert "welcome" in chat(where, "--tls", "--cacert", str(certificate), said="hi\n").stdout
    daemon.wait_for("guest1 .*: hi")
    assert "welcome" in chat(where, "-k", said="hi\n").stdout
    refused = chat(where, "--tls", check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "certificate verify failed" in refused.stderr


def test_much_over_tls_arrives_whole(tls: tuple[Daemon, Path]) -> None:
    """Back-pressure holds over TLS too: a burst is complete, at a reader that is slow at first."""
    daemon, _ = tls
    where = f"localhost:{daemon.ports['chat']}"
    lines = 20_000
    reader = subprocess.Popen(
        [need("openssl"), "s_client", "-quiet", "-connect", where],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert reader.stdout is not None
    reader.stdout.readline()
    said = "".join(f"n{k}\n" for k in range(lines))
    sender = threading.Thread(target=chat, args=(where, "-k"), kwargs={"said": said})
    sender.start()
    heard = (line for line in reader.stdout if "): n" in line)
    numbers = [int(next(heard).rpartition("n")[2]) for _ in range(lines)]
    sender.join()
    reader.kill()
    reader.communicate()
    assert numbers == list(range(lines))


def test_a_plain_client_at_a_tls_port_stops_nobody(tls: tuple[Daemon, Path]) -> None:
    """Garbage instead of a handshake ends that connection alone."""
    daemon, _ = tls
    address = ("127.0.0.1", daemon.ports["chat"])
    for garbage in (b"hello\n", b"\x16\x03\x01\x00\x05hello", b""):
        with socket.create_connection(address, PATIENCE_S) as plain:
            plain.sendall(garbage)
    assert "welcome" in chat(f"localhost:{address[1]}", "-k", said="hi\n").stdout
