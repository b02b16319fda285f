"""`netlab chat` as a process: in a pipe, on a terminal, over TLS, after a lost connection."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.certificates import self_signed
from support.daemon import NETLAB, PATIENCE_S, Daemon
from support.outside import need
from support.screen import Screen

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


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["a..b"], "no address for 'a..b': that is no host name"),
        (["a..b", "--tls", "--reconnect"], "no address for 'a..b': that is no host name"),
        (["a" * 300], "that is no host name"),
        (["127.0.0.1", "--encoding", "utf-16"], "in utf-16 a line does not end with LF"),
        (["127.0.0.1", "--encoding", "idna"], "'idna' is no encoding"),
        (["127.0.0.1", "--encoding", "klingon"], "'klingon' is no encoding"),
    ],
)
def test_mistakes_are_named(arguments: list[str], why: str) -> None:
    """The last line of stderr says what is wrong with a host or an encoding."""
    ended = chat(*arguments, check=False)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert why in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_what_is_typed_stays_whole_while_others_talk(daemon: Daemon) -> None:
    """On a terminal, lines that arrive are printed above the one being typed."""
    where = f"127.0.0.1:{daemon.ports['chat']}"
    with Screen(f"{NETLAB} chat {where} --name ada; echo ended $?; sleep 30") as screen:
        screen.until("is now ada")
        screen.type("half a l")
        screen.until("> half a l")
        chat(where, said="from outside\n")
        shown = screen.until(r"from outside\n(.*\n)*> half a l *\n")
        assert shown.count("half a l") == 1
        screen.type("ine")
        screen.press("Enter")
        daemon.wait_for("ada .*: half a line")
        screen.press("C-d")
        screen.until("ended 0")


def test_ctrl_d_leaves_while_there_is_no_connection() -> None:
    """Nobody stands in a room without a prompt: the pause before the next attempt ends too."""
    with Screen(f"{NETLAB} chat 127.0.0.1:1 --reconnect; echo ended $?; sleep 30") as screen:
        screen.until("trying again in 4 s")
        screen.press("C-d")
        began = time.monotonic()
        screen.until("ended 0")
        assert time.monotonic() - began < 3


def started(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """It, running, all its files pipes."""
    return subprocess.Popen(
        [NETLAB, "chat", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, **environ},
    )


def test_a_reader_that_goes_away_ends_it_quietly(daemon: Daemon) -> None:
    """`netlab chat ... | head -1` ends when head does, without a word on stderr."""
    with started(f"127.0.0.1:{daemon.ports['chat']}") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        chat(f"127.0.0.1:{daemon.ports['chat']}", said="anyone?\n")
        assert process.wait(PATIENCE_S) == 0
        assert process.stderr.read() == ""


def test_a_reader_that_is_slow_misses_nothing(tmp_path: Path) -> None:
    """More than a pipe holds waits for the reader, and no traceback comes of it."""
    with (
        Daemon(tmp_path, "--services=chat", NETLAB_CHAT_RATE="off") as daemon,
        started(f"127.0.0.1:{daemon.ports['chat']}") as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as other:
            other.sendall(b"".join(b"n%d %s\n" % (n, b"x" * 900) for n in range(200)) + b"q\n")
            while other.recv(65536):
                pass
        heard = (line for line in process.stdout if "): n" in line)
        assert [next(heard).split("): n")[1].split()[0] for _ in range(200)] == [
            str(n) for n in range(200)
        ]
        process.stdin.close()
        assert process.stderr.read() == ""


def test_what_the_output_cannot_encode_is_shown_as_an_escape(daemon: Daemon) -> None:
    """A terminal of ASCII: the connection lasts, and no character is lost."""
    where = f"127.0.0.1:{daemon.ports['chat']}"
    with started(where, PYTHONIOENCODING="ascii") as process:
        assert process.stdout is not None
        process.stdout.readline()
        chat(where, said="你好\nstill here?\n")
        shown, errors = process.communicate(timeout=PATIENCE_S)
    assert "): \\u4f60\\u597d\n" in shown
    assert "): still here?\n" in shown
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_pipe_quietly(daemon: Daemon, number: signal.Signals) -> None:
    """Ctrl-C, and kill: it dies of it as other tools do, which a shell shows as 130 and 143."""
    with started(f"127.0.0.1:{daemon.ports['chat']}") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, errors) == (-number, "")


def test_a_program_of_gbk(daemon: Daemon) -> None:
    """What is said in GBK is read by others in UTF-8, and their words come back whole."""
    where = f"127.0.0.1:{daemon.ports['chat']}"
    with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as other:
        other.recv(4096)
        with started(where, "--encoding", "gbk") as process:
            assert process.stdin is not None
            process.stdin.write("大家早上好\n")
            process.stdin.flush()
            daemon.wait_for(": 大家早上好")
            other.sendall("你也早\n".encode())
            daemon.wait_for(": 你也早")
            shown, _ = process.communicate(timeout=PATIENCE_S)
        heard = other.recv(65536).decode()
    assert "): 大家早上好\n" in heard
    assert "): 你也早\n" in shown


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


def test_the_right_certificate_may_stand_anywhere_in_a_bundle(
    tls: tuple[Daemon, Path], tmp_path: Path
) -> None:
    """All certificates of a file are trusted, not the first alone; a file without any is told."""
    daemon, certificate = tls
    where, other = f"localhost:{daemon.ports['chat']}", tmp_path / "other"
    other.mkdir()
    _, stranger = self_signed(other, "elsewhere")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# two\n{stranger.read_text()}\n{certificate.read_text()}")
    assert "welcome" in chat(where, "--cacert", str(bundle), said="hi\n").stdout
    bundle.write_text("no certificate")
    refused = chat(where, "--cacert", str(bundle), check=False)
    assert "bundle.pem holds no certificate in PEM" in refused.stderr


def test_a_pipe_ends_in_a_room_that_never_falls_silent(tls: tuple[Daemon, Path]) -> None:
    """Over TLS the server cannot be told that the input has ended: 5 s later it ends anyway."""
    daemon, _ = tls
    where, ended = f"localhost:{daemon.ports['chat']}", threading.Event()
    with started(where, "-k") as talker:
        assert talker.stdin is not None

        def talk() -> None:
            assert talker.stdin is not None
            while not ended.wait(0.2):
                talker.stdin.write("and another thing\n")
                talker.stdin.flush()

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            shown = chat(where, "-k", said="hi\n").stdout
        finally:
            ended.set()
            thread.join()
            talker.kill()
    assert shown.count("and another thing") > 10


def test_a_pipe_ends_though_the_server_never_says_goodbye(tmp_path: Path) -> None:
    """A TLS server that has stopped: what was said is there, and the pipe leaves it alone."""
    key, certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        ThreadPoolExecutor() as pool,
    ):
        server = f"127.0.0.1:{listening.getsockname()[1]}"
        ended = pool.submit(chat, server, "--tls", "-k", said="hello\n")
        with context.wrap_socket(listening.accept()[0], server_side=True) as client:
            assert client.recv(100) == b"hello\n"
            assert ended.result(PATIENCE_S).returncode == 0


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
