"""`netlab ctl`, as people run it, against a real daemon."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netlabsvc.cli.ctl_tables import table
from support.daemon import PATIENCE_S, Daemon
from support.outside import need

NETLAB = Path(sys.executable).with_name("netlab")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all that does not end it."""
    with Daemon(tmp_path_factory.mktemp("lab")) as running:
        yield running


def ctl(daemon: Daemon, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    command = [str(NETLAB), "ctl", "--control", str(daemon.control), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def ada(daemon: Daemon) -> Iterator[socket.socket]:
    """A client of that name."""
    with socket.create_connection(("127.0.0.1", daemon.ports["chat"]), PATIENCE_S) as sock:
        start = len(daemon.lines)
        sock.sendall("/nick 艾达\n".encode())
        daemon.wait_for("is now 艾达", start)
        yield sock
    daemon.wait_for("艾达 .* left", start)


def heard(sock: socket.socket, text: str) -> str:
    """What comes, up to a text."""
    data = b""
    while text not in data.decode("utf-8", "ignore"):
        more = sock.recv(4096)
        assert more, data
        data += more
    return data.decode()


def test_status_says_what_listens_where(daemon: Daemon) -> None:
    """The ports of every service, and what is off."""
    done = ctl(daemon, "status")
    assert (done.returncode, done.stderr) == (0, "")
    for service, port in daemon.ports.items():
        assert re.search(rf"^{service} +127\.0\.0\.1:{port} ", done.stdout, re.MULTILINE)
    assert re.search(r"^chat +off +chat\.raw_port$", done.stdout, re.MULTILINE)


def test_who_shows_clients_in_columns_and_as_json(daemon: Daemon, ada: socket.socket) -> None:
    """Chinese names do not push the columns askew."""
    head, row = ctl(daemon, "who").stdout.splitlines()
    assert head.split() == ["no", "name", "address", "idle", "encoding", "line", "end", "queued"]
    assert head.index("address") == row.index("127.0.0.1") + 2  # two wide characters before it
    (member,) = json.loads(ctl(daemon, "who", "--json").stdout)
    assert (member["name"], member["encoding"], member["muted"]) == ("艾达", "utf-8", False)


def test_say_tell_mute_and_kick_reach_the_client(daemon: Daemon, ada: socket.socket) -> None:
    """Each says what it did; the client reads it."""
    assert ctl(daemon, "say", "the", "bell", "rings").stdout == "said to 1\n"
    heard(ada, "operator (server): the bell rings")
    assert ctl(daemon, "tell", "艾达", "look here").stdout.startswith("told 艾达 (127.0.0.1:")
    heard(ada, " -> you] operator (server): look here")
    assert ctl(daemon, "mute", "艾达").stdout.endswith(" is muted\n")
    ada.sendall(b"hello?\n")
    heard(ada, "*** the operator has muted you")
    assert ctl(daemon, "mute", "艾达", "--off").stdout.endswith(" is heard again\n")
    assert ctl(daemon, "kick", "艾达", "too", "loud").stdout.endswith(" is gone\n")
    heard(ada, "*** the operator has removed you: too loud")


def test_bans_modes_and_topics(daemon: Daemon) -> None:
    """Each can be looked at, changed and taken back."""
    assert (
        ctl(daemon, "ban", "::ffff:10.0.0.9").stdout == "::ffff:10.0.0.9 is kept out; 0 removed\n"
    )
    assert ctl(daemon, "bans").stdout == "10.0.0.9\n"
    assert ctl(daemon, "unban", "10.0.0.9").returncode == 0
    assert ctl(daemon, "bans").stdout == "nobody is kept out\n"
    assert ctl(daemon, "mode", "echo").stdout.startswith("mode echo: what you say comes back")
    assert ctl(daemon, "mode").stdout.startswith("mode echo")
    assert ctl(daemon, "topic", "sockets", "and", "threads").returncode == 0
    assert json.loads(ctl(daemon, "topic", "--json").stdout)["topic"] == "sockets and threads"
    assert "no topic" in ctl(daemon, "topic", "--none").stdout
    assert ctl(daemon, "mode", "hub").returncode == 0


def test_faults_counters_and_mails(daemon: Daemon) -> None:
    """The loss holds from the next request on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE_S)
        assert ctl(daemon, "impair", "set", "100%").stdout.startswith("classic: up loss=100%")
        sock.sendto(b"lost", ("127.0.0.1", daemon.ports["udp"]))
        assert ctl(daemon, "impair", "set", "0").returncode == 0
        sock.sendto(b"kept", ("127.0.0.1", daemon.ports["udp"]))
        assert sock.recv(100).endswith(b"kept")
    counted = json.loads(ctl(daemon, "counters", "--json").stdout)[0]
    assert (counted["received"], counted["replied"], counted["impaired"]) == (2, 1, 1)
    assert ctl(daemon, "mails").stdout == "no mail yet\n"


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["kick", "nobody"], 1, "nobody here is called nobody"),
        (["impair", "set", "130%"], 1, "a probability is 0 to 1 or 0% to 100%"),
        (["ban", "1.2.3"], 1, "1.2.3 is no address; one is 10.0.0.5 or ::1"),
        (["say", "   "], 1, "takes a text of at least one character"),
        (["mode", "loud"], 2, "'loud' is not one of 'hub', 'echo', 'operator'"),
        (["events", "--after", "x"], 1, "is no id of an event"),
    ],
)
def test_a_refusal_is_one_line(daemon: Daemon, words: list[str], status: int, said: str) -> None:
    """On stderr, with a status that a script can tell apart."""
    done = ctl(daemon, *words)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr.splitlines()[-1]


def test_a_refusal_as_json_is_the_problem_document(daemon: Daemon) -> None:
    """For programs."""
    done = ctl(daemon, "kick", "nobody", "--json")
    assert (done.returncode, json.loads(done.stdout)["status"]) == (1, 404)


def test_events_are_followed(daemon: Daemon, ada: socket.socket) -> None:
    """As lines and as JSON, from where one wants."""
    command = [str(NETLAB), "ctl", "--control", str(daemon.control), "events", "--json"]
    options = ["--kinds", "chat.said", "--recent", "1"]
    ada.sendall("你好\x1b[2J\n".encode())
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        event: dict[str, str] = {}
        while event.get("text") != "你好\\x1b[2J":
            event = json.loads(following.stdout.readline())
        assert (event["kind"], event["name"]) == ("chat.said", "艾达")
        following.terminate()


def test_no_daemon_is_one_line_with_the_remedy_and_status_3(tmp_path: Path) -> None:
    """It says where it looked."""
    done = subprocess.run(
        [NETLAB, "ctl", "status"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "NETLAB_STATE_DIR": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{tmp_path}/netlab/control.sock: No such file or directory" in done.stderr
    assert "is it running?" in done.stderr


def test_a_reload_names_what_changes_and_what_cannot(tmp_path: Path) -> None:
    """And a broken file changes nothing: every mistake is told, with its line."""
    file = tmp_path / "netlab.toml"
    file.write_text("[chat]\nrate = 5.0\n")
    with Daemon(tmp_path, f"--config={file}") as daemon:
        assert ctl(daemon, "reload").stdout == "nothing has changed\n"
        file.write_text("[chat]\nrate = 7.0\nlength_port = 1234\n")
        assert ctl(daemon, "reload").stdout.splitlines() == [
            "chat.rate is now 7.0 (it was 5.0)",
            'chat.length_port stays "off" until a restart (1234)',
        ]
        file.write_text("[chat]\nrate = 9.0\nburst = 0\nrat = 1\n")
        broken = ctl(daemon, "reload")
        assert broken.returncode == 1
        assert f"nothing has changed: {file}:" in broken.stderr
        assert f"{file}:3: chat.burst = 0" in broken.stderr
        file.write_text("[chat]\nrate = 7.0\n")
        assert "nothing" in ctl(daemon, "reload").stdout


def test_the_log_level(daemon: Daemon) -> None:
    """It is shown and changed; what is less than it is not logged any more."""
    assert ctl(daemon, "loglevel").stdout == "info\n"
    assert ctl(daemon, "loglevel", "warn").stdout == "warn\n"
    lines = len(daemon.lines)
    ctl(daemon, "say", "unheard of")
    assert ctl(daemon, "loglevel", "info").stdout == "info\n"
    ctl(daemon, "say", "heard of")
    daemon.wait_for("heard of", lines)
    assert not any("unheard of" in line for line in daemon.lines[lines:])


def test_a_shutdown_ends_the_daemon(tmp_path: Path) -> None:
    """With the reason in its log."""
    with Daemon(tmp_path) as daemon:
        assert ctl(daemon, "shutdown", "end", "of", "class").returncode == 0
        daemon.wait_for("stopping: end of class")
        assert daemon.process.wait(PATIENCE_S) == 0


def test_bash_completes_commands_and_the_names_in_the_room(
    daemon: Daemon, ada: socket.socket
) -> None:
    """As a shell asks: with the words so far, in the environment that the script sets."""
    script = subprocess.run([NETLAB, "completion", "bash"], capture_output=True, check=True)
    subprocess.run([need("bash"), "-n"], input=script.stdout, check=True)
    for typed, offered in (
        ("netlab c", "ctl"),
        (f"netlab ctl --control {daemon.control} kick 艾", "艾达"),
    ):
        done = subprocess.run(
            [NETLAB],
            env={
                **os.environ,
                "_NETLAB_COMPLETE": "bash_complete",
                "COMP_WORDS": typed,
                "COMP_CWORD": str(len(typed.split()) - 1),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert f"plain,{offered}" in done.stdout.splitlines()


def test_a_table_keeps_its_columns_and_its_terminal() -> None:
    """Wide characters count twice, controls are shown."""
    assert list(table(("a", "b"), [("小", 1), ("x\x1b", 22)])) == [
        "a      b",
        "小     1",
        "x\\x1b  22",
    ]
