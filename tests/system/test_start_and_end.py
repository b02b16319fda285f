"""The daemon as a process: how it starts, what it says when it cannot, how it ends."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from support.certificates import self_signed
from support.daemon import PATIENCE_S, TWISTD, Daemon, clean_environment

ALL = {"chat", "udp", "stamp", "irtt", "web", "mail"}

#: The reflectors that have ports of their own, switched off.
ALONE = ("--udp-port=0", "--stamp-port=off", "--irtt-port=off")


def start(cwd: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run twistd netlab where it should end by itself."""
    return subprocess.run(
        [str(TWISTD), "-n", "--pidfile=", "netlab", *arguments],
        cwd=cwd,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        env={**clean_environment(), **environ},
        check=False,
    )


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_service_listens_and_says_how_to_try_it(daemon: Daemon) -> None:
    """One line per service with the real port, and how to open the lab."""
    assert daemon.ports.keys() == ALL
    log = "\n".join(daemon.lines)
    assert f"try: nc 127.0.0.1 {daemon.ports['chat']}" in log
    assert f"try: netlab ping 127.0.0.1:{daemon.ports['udp']}" in log
    assert "only this machine can connect; --host 0.0.0.0 (or ::) opens" in log
    for name in ("chat", "web", "mail"):
        socket.create_connection(("127.0.0.1", daemon.ports[name]), 5).close()


def test_the_state_directory_is_made_for_its_owner_only(daemon: Daemon) -> None:
    """Mode 0700."""
    assert stat.S_IMODE(daemon.state_dir.stat().st_mode) == 0o700


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_farewell(tmp_path: Path, sig: int) -> None:
    """Chat clients read a last line; the status is 0 or the signal's own."""
    with Daemon(tmp_path) as daemon:
        client = socket.create_connection(("127.0.0.1", daemon.ports["chat"]), 10)
        client.sendall(b"hello\n")
        daemon.wait_for(r"chat: guest1 \(127\.0\.0\.1:\d+\): hello")
        assert daemon.stop(sig) in (0, -sig)
        client.settimeout(10)
        said = b"".join(iter(lambda: client.recv(4096), b""))
        assert said.endswith(b"*** the server is going down; goodbye\n")


def test_a_second_signal_cuts_what_the_first_left(tmp_path: Path) -> None:
    """A client that never leaves holds the end up for the grace period, or until asked twice."""
    with Daemon(tmp_path, "--services=chat") as daemon:
        client = socket.create_connection(("127.0.0.1", daemon.ports["chat"]), 10)
        daemon.wait_for("guest1 .* joined")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        client.sendall(b"x\n" * 1000)
        os.kill(daemon.process.pid, signal.SIGCONT)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.wait_for("netlab: stopping")
        began = time.monotonic()
        assert daemon.stop() in (0, -signal.SIGTERM)
        assert time.monotonic() - began < 4


@pytest.mark.parametrize(
    ("service", "flag", "kind"),
    [
        ("chat", "--chat-port", socket.SOCK_STREAM),
        ("udp", "--udp-port", socket.SOCK_DGRAM),
        ("udp", "--stamp-port", socket.SOCK_DGRAM),
        ("udp", "--irtt-port", socket.SOCK_DGRAM),
        ("web", "--http-port", socket.SOCK_STREAM),
        ("mail", "--smtp-port", socket.SOCK_STREAM),
    ],
)
def test_a_taken_port_is_one_line_and_status_1(
    tmp_path: Path, service: str, flag: str, kind: socket.SocketKind
) -> None:
    """It names service, value and remedy; no traceback, no list of options."""
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        others = [word for word in ALONE if flag not in word]
        ended = start(tmp_path, *others, f"{flag}={port}", f"--services={service}", "--state-dir=s")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1, ended.stderr
    name = {"--stamp-port": "stamp", "--irtt-port": "irtt"}.get(flag, service)
    for word in (name, f"127.0.0.1:{port}", "Address already in use", flag):
        assert word in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--chat-port=x"], ["--chat-port", '"x"', "0 to 65535"]),
        (["--chat-prot=1"], ["chat-prot", "--help lists the options"]),
        (["--www=/no/such/dir"], ["--www", "/no/such/dir", "no such directory"]),
        (["--host=localhost"], ["--host", "127.0.0.1"]),
        (["--host=203.0.113.1"], ["203.0.113.1", "no address of this machine", "--host"]),
        (["--udp-loss=130%"], ["--udp-loss", "130%", "0% to 100%"]),
        (["--services=chat,gopher"], ["--services", "chat, udp, web, mail"]),
        (["--config=missing.toml"], ["missing.toml", "No such file"]),
        (["--state-dir=/proc/no"], ["state_dir", "/proc/no", "--state-dir"]),
        (["--services=chat,chat"], ["--services", "each word once"]),
        (["extra"], ["extra", "begin with --"]),
    ],
)
def test_a_mistake_is_one_line_and_status_1(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    """Whatever is wrong with the options, one line says what and what would be right."""
    ended = start(tmp_path, "--state-dir=s", "--chat-port=0", "--services=chat", *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.count("\n") == 1, ended.stderr
    for word in words:
        assert word in ended.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssl:0:privateKey=missing.pem", "missing.pem: No such file"),
        ("ssl:0:privateKey=lab.toml", "privateKey and certKey must be PEM files"),
        ("tcp", "not an endpoint that can listen; one is tcp:12000:interface=127.0.0.1 or ssl:"),
        ("tcp:abc", "not an endpoint that can listen; one is tcp:12000:"),
        ("gopher:70", "not an endpoint that can listen"),
        ("tcp:99999", "not an endpoint that can listen"),
        ("tcp:interface=127.0.0.1:port=-1", "not an endpoint that can listen"),
        ("tcp:0:interface=no.invalid", "no.invalid: "),
        ("ssl:interface=10.0.0.256:port=1", "10.0.0.256: "),
        ("systemd:domain=INET:index=9", "sockets of systemd are taken by their names"),
    ],
)
def test_a_bad_endpoint_string_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    """It names the key and what would be right, at --check-config and at a start alike."""
    file = tmp_path / "lab.toml"
    file.write_text(f'[chat]\nraw_listen = ["tcp:0:interface=127.0.0.1", "{text}"]\n')
    for option in ("--check-config", "--services=chat"):
        ended = start(tmp_path, "--config=lab.toml", "--state-dir=s", "--chat-port=0", option)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
        assert f'lab.toml:2: chat.raw_listen = "{text}": ' in ended.stderr
        assert words in ended.stderr
        assert not set(ended.stderr) & set("()[]"), "the words of a program"


def test_an_endpoint_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    """A taken port, a Unix socket in no directory, the address of another machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for text, words in (
            (f"tcp:{port}:interface=127.0.0.1", f"127.0.0.1:{port}: Address already in use; stop"),
            ("tcp:0:interface=192.0.2.1", "192.0.2.1:0: "),
            ("unix:/nowhere/lab.sock", "/nowhere/lab.sock"),
        ):
            (tmp_path / "lab.toml").write_text(f'[chat]\nlisten = ["{text}"]\n')
            ended = start(tmp_path, "--config=lab.toml", "--services=chat", "--state-dir=s")
            assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
            assert f'lab.toml:2: chat.listen = "{text}": ' in ended.stderr
            assert words in ended.stderr


def test_a_sound_configuration_passes_check_config(tmp_path: Path) -> None:
    """Status 0 and not a word."""
    ended = start(tmp_path, "--check-config")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("options", "redirection", "words"),
    [
        ("-n --pidfile= netlab --print-config", ">/dev/full", "No space left on device"),
        ("-n --pidfile= netlab --print-config", ">&-", "cannot write to stdout"),
        ("-n --pidfile= netlab --help", ">/dev/full", "No space left on device"),
        ("-n --pidfile= netlab --services chat --chat-port 0", ">&-", "stdout is closed"),
        ("-n --pidfile= --logfile no/x netlab --services chat --chat-port 0", "", "log no/x: No"),
        ("--pidfile= --logfile no/x netlab --services chat --chat-port 0", "", "log no/x: No"),
        ("--pidfile= --logfile - netlab --services chat --chat-port 0", "", "has no stdout"),
        (
            "--syslog -n --pidfile= netlab --log-level warn --chat-port 0",
            "",
            "level = warn: the log",
        ),
    ],
)
def test_what_cannot_be_written_is_one_line(
    tmp_path: Path, options: str, redirection: str, words: str
) -> None:
    """A full disk, a closed stdout, a log in no directory or not ours: status 1, no traceback."""
    ended = subprocess.run(
        ["sh", "-c", f"exec {TWISTD} {options} {redirection}"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=30,
        env={**clean_environment(), "NETLAB_STATE_DIR": "s"},
        check=False,
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1), ended.stderr
    assert words in ended.stderr


def test_sigusr1_begins_a_new_log_file(tmp_path: Path) -> None:
    """As with every program of twistd; what was logged is kept under the next number."""
    log, kept = tmp_path / "lab.log", tmp_path / "lab.log.1"
    command = [str(TWISTD), "-n", "--pidfile=", f"--logfile={log}", "netlab"]
    command += ["--services=chat", "--chat-port=0", f"--state-dir={tmp_path}"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment()) as process:
        eventually(lambda: log.exists() and "ready" in log.read_text())
        process.send_signal(signal.SIGUSR1)
        eventually(kept.exists)
        assert "ready" in kept.read_text()
        process.send_signal(signal.SIGTERM)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "stopping" in log.read_text()


def test_a_tls_listener_says_how_to_try_it_through_tls(tmp_path: Path) -> None:
    """The commands for plain TCP would hang, or show bytes of TLS."""
    key, certificate = self_signed(tmp_path)
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    lines = [f'[{table}]\nlisten = ["{endpoint}"]\n' for table in ("chat", "web", "mail.sandbox")]
    (tmp_path / "lab.toml").write_text("".join(lines))
    with Daemon(
        tmp_path, "--config=lab.toml", *ALONE, "--udp-port=off", free_ports=False
    ) as daemon:
        log = "\n".join(daemon.lines)
    assert f"try: netlab chat 127.0.0.1:{daemon.ports['chat']} --tls" in log
    assert f"try: curl https://127.0.0.1:{daemon.ports['web']}/" in log
    assert f"try: openssl s_client -quiet -connect 127.0.0.1:{daemon.ports['mail']}" in log
    for off in ("udp.port", "udp.stamp.port", "udp.irtt.port"):
        assert f" is off: {off} is off" in log
    assert "seed" not in log


def test_a_lab_that_listens_nowhere_says_so(tmp_path: Path) -> None:
    """And does not say who can connect to nothing."""
    with Daemon(tmp_path, "--services=chat", "--chat-port=off", free_ports=False) as daemon:
        log = "\n".join(daemon.lines)
    assert "chat is off: chat.port is off" in log
    assert "nothing listens: every port is off" in log
    assert "can connect" not in log


@pytest.mark.parametrize(("host", "near"), [("::1", "::1"), ("::", "::1"), ("::", "127.0.0.1")])
def test_every_service_over_ipv6(tmp_path: Path, host: str, near: str) -> None:
    """--host takes IPv6 addresses for all of them; :: serves IPv4 too."""
    with Daemon(tmp_path, f"--host={host}") as daemon:
        assert daemon.ports.keys() == ALL
        for name in ("chat", "web", "mail"):
            with socket.create_connection((near, daemon.ports[name]), 10) as client:
                client.sendall(b"HEAD / HTTP/1.0\r\n\r\n" if name == "web" else b"")
                assert client.recv(100)
        family = socket.AF_INET6 if ":" in near else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.settimeout(10)
            probe.sendto(b"ping", (near, daemon.ports["udp"]))
            assert probe.recv(100).endswith(b"ping")
        assert any("only this machine" in line for line in daemon.lines) is (host == "::1")


def test_the_end_waits_no_longer_than_the_grace_period(tmp_path: Path) -> None:
    """A client that neither reads nor closes is cut when shutdown_grace_s is over."""
    with (tmp_path / "big").open("wb") as big:
        big.truncate(1 << 26)
    options = ("--services=web", f"--www={tmp_path}")
    with (
        Daemon(tmp_path, *options, NETLAB_SHUTDOWN_GRACE_S="1") as daemon,
        socket.create_connection(("127.0.0.1", daemon.ports["web"]), 10) as client,
    ):
        client.sendall(b"GET /big HTTP/1.1\r\nHost: lab\r\n\r\n")
        client.recv(1)
        began = time.monotonic()
        assert daemon.stop() in (0, -signal.SIGTERM)
        assert 0.9 < time.monotonic() - began < 4


def test_help_names_the_command_once(tmp_path: Path) -> None:
    """As it is typed."""
    ended = start(tmp_path, "--help")
    assert ended.stdout.startswith("Usage: twistd [options] netlab [options]\n")
    assert (ended.returncode, ended.stdout.count("Usage:")) == (0, 1)


def test_a_file_with_endpoint_strings(tmp_path: Path) -> None:
    """Several listeners, one of them a Unix socket, share one hub."""
    file = tmp_path / "lab.toml"
    file.write_text('[chat]\nlisten = ["tcp:0:interface=127.0.0.1", "unix:chat.sock"]\n')
    with Daemon(tmp_path, "--config=lab.toml", "--services=chat", free_ports=False) as daemon:
        daemon.wait_for("chat listens on .*chat.sock")
        tcp = socket.create_connection(("127.0.0.1", daemon.ports["chat"]), 10)
        with tcp, tcp.makefile(encoding="utf-8") as heard, socket.socket(socket.AF_UNIX) as unix:
            assert "welcome" in heard.readline()
            unix.connect(str(tmp_path / "chat.sock"))
            unix.sendall("你好\n".encode())
            assert any(x.endswith("guest2 (unix): 你好\n") for x in iter(heard.readline, ""))


def test_print_config_and_version(tmp_path: Path) -> None:
    """The effective configuration with its sources, and netlab's own version."""
    ended = start(tmp_path, "--udp-loss=30%", "--print-config", NETLAB_CHAT_PORT="12345")
    assert ended.returncode == 0
    assert "loss = 0.3  # --udp-loss" in ended.stdout
    assert "port = 12345  # $NETLAB_CHAT_PORT" in ended.stdout
    assert start(tmp_path, "--version").stdout.startswith("netlab 0.")


def test_json_logs_are_objects_line_by_line(tmp_path: Path) -> None:
    """What a client says is a field, and cannot break the line."""
    with Daemon(tmp_path, "--log-format=json", "--services=chat") as daemon:
        with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), 10) as client:
            client.sendall(b'"\x1b[31m}{\r\n')
            said = json.loads(daemon.wait_for('"event": "said"'))
        assert said["text"] == r'"\x1b[31m}{'
        assert (said["level"], said["logger"], said["name"]) == ("info", "chat", "guest1")
    assert all(json.loads(line) for line in daemon.lines)


def test_descriptors_run_out_and_the_daemon_recovers(tmp_path: Path) -> None:
    """New connections are refused, one line a minute says so, and later ones are served again."""
    with Daemon(tmp_path, "--services=chat") as daemon:
        hard = 40
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        port = daemon.ports["chat"]
        clients = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(60)]
        daemon.wait_for("WARN: out of file descriptors")
        for client in clients[1:]:
            client.close()
        daemon.wait_for("guest5 .* left")
        with socket.create_connection(("127.0.0.1", port), 10) as late:
            assert b"welcome" in late.recv(4096)
        clients[0].sendall(b"still here\n")
        daemon.wait_for("guest1 .*: still here")
        assert sum("out of file descriptors" in line for line in daemon.lines) == 1


def test_the_soft_limit_of_descriptors_is_raised(daemon: Daemon) -> None:
    """To the hard one."""
    soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard
