"""SIGHUP: a daemon that runs takes what can change from its file, and goes on."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support.crowd import Crowd, Voice
from support.daemon import PATIENCE_S, TWISTD, Daemon, clean_environment

FREE = (
    "[chat]\nport = 0\n{chat}\n[udp]\nport = 0\n{udp}\n"
    '[udp.stamp]\nport = "off"\n[udp.irtt]\nport = "off"\n'
    "[web]\nport = 0\n[mail.sandbox]\nport = 0\n"
)
DONE = "(reloaded: .* changed|reload: nothing has changed)"


class Lab(Daemon):
    """A daemon with a file."""

    def __init__(self, directory: Path, chat: str = "", udp: str = "") -> None:
        self.file = directory / "lab.toml"
        self.file.write_text(FREE.format(chat=chat, udp=udp))
        super().__init__(directory, "--config=lab.toml", free_ports=False)

    def reload(self, text: str | None = None) -> list[str]:
        """Let the file hold a text, and the daemon read it; returns what it says of that."""
        if text is not None:
            self.file.write_text(text)
        start = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(DONE, start)
        return [line for line in self.lines[start:] if " netlab: " in line]

    def answers(self, count: int) -> int:
        """How many of some datagrams come back."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.ports["udp"]))
            for _ in range(count):
                probe.send(b"ping")
            came = 0
            probe.settimeout(0.3)
            try:
                while came < count:
                    probe.recv(100)
                    came += 1
            except TimeoutError:
                pass
            return came


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as running:
        yield running


@contextmanager
def talking(lab: Lab, size: int, lines: int) -> Iterator[Crowd]:
    """Clients that each say a line now and again; at the end all have heard all of the others."""
    with Crowd(lab.ports["chat"], size) as crowd:
        crowd.rest(0.3)
        for voice in crowd.voices:
            voice.forget()
        talkers = list(crowd.voices)
        yield crowd
        crowd.run(lambda: all(said(v) >= (size - 1) * lines for v in talkers), 60)
        crowd.rest(0.2)
        for voice in talkers:
            assert not voice.ended
            heard = [line.rpartition(b"): ")[2] for line in voice.said()]
            assert len(set(heard)) == len(heard) == (size - 1) * lines
        assert not any(" left: " in line for line in lab.lines)


def said(voice: Voice) -> int:
    return voice.heard.count(b" of ")


def say(crowd: Crowd, number: int) -> None:
    """Let everyone say a line."""
    for voice in crowd.voices:
        crowd.send(voice, b"%d of %s\n" % (number, voice.peer.encode()))


def test_rate_and_loss_change_while_a_hundred_talk(tmp_path: Path) -> None:
    """None is cut, no line is lost, the new values hold, and the log names them."""
    with Lab(tmp_path) as lab, talking(lab, 100, 8) as crowd:
        for number in range(4):
            say(crowd, number)
            crowd.rest(0.1)
        assert lab.answers(5) == 5
        slow = FREE.format(chat="rate = 0.5\nburst = 1", udp="loss = 1.0")
        log = "\n".join(lab.reload(slow))
        assert "reload: chat.rate is now 0.5 (it was 10.0)" in log
        assert "reload: udp.loss is now 1.0 (it was 0.0)" in log
        assert lab.answers(5) == 0
        crowd.rest(0.5)
        before = said(crowd.voices[0])
        for number in range(4, 8):
            say(crowd, number)
        crowd.rest(1.5)
        assert before + 99 <= said(crowd.voices[0]) <= before + 2 * 99
        lab.reload(FREE.format(chat='rate = "off"', udp="loss = 0"))
        crowd.run(lambda: said(crowd.voices[0]) == 8 * 99, 3)
        assert lab.answers(5) == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FREE.format(chat='rate = "fast"', udp="loss = 1.0"), r"lab.toml:3: chat.rate = .* takes"),
        (FREE.format(chat="rat = 1.0", udp="loss = 1.0"), r"lab.toml:3: .* nearest known one is"),
        ("[udp]\nloss = 1.0\n[chat\n", r"lab.toml: not valid TOML: .* line 3"),
        ('[udp]\nloss = 1.0\n[web]\nroot = "nowhere"\n', r"lab.toml:4: web.root .* no such dir"),
        ("[udp]\nloss = 1.0\n# \udcff\n", r"lab.toml:3: not UTF-8; save the file as UTF-8"),
    ],
)
def test_a_broken_file_changes_nothing(lab: Lab, text: str, words: str) -> None:
    """The log has each mistake as an error with line and remedy, and the daemon goes on."""
    lab.file.write_bytes(text.encode("utf-8", "surrogateescape"))
    first, last = lab.reload()
    assert re.search(f"ERROR: reload: {re.escape(str(lab.file.parent))}/{words}", first)
    assert last.endswith("ERROR: reload: nothing has changed")
    assert lab.answers(5) == 5
    lab.reload(FREE.format(chat="", udp="loss = 1.0"))
    assert lab.answers(5) == 0


def test_what_cannot_change_is_named_and_stays(lab: Lab) -> None:
    """By each reload; what can change in the same file changes."""
    text = FREE.format(chat="", udp="loss = 1.0").replace("[chat]\nport = 0", "[chat]\nport = 9")
    for changed in (1, 0):
        log = lab.reload('services = ["chat"]\n' + text)
        assert sum("WARN: reload: chat.port stays 0 until a restart" in line for line in log) == 1
        assert sum("WARN: reload: services stays" in line for line in log) == 1
        assert log[-1].endswith(f"reloaded: {changed} changed, 2 wait for a restart")
    with Crowd(lab.ports["chat"], 1):
        assert lab.answers(5) == 0


def test_the_web_root_and_the_log_change(lab: Lab, tmp_path: Path) -> None:
    """The rooms that are not asked above, and what the log shows."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("another root")
    more = 'root = "www"\n[mail.sandbox]\nmax_size = 2048\n'
    text = FREE.format(chat="", udp="").replace("[mail.sandbox]\n", more)
    lab.reload(text)
    url = f"http://127.0.0.1:{lab.ports['web']}/"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        assert answer.read() == b"another root"
    with socket.create_connection(("127.0.0.1", lab.ports["mail"]), PATIENCE_S) as client:
        client.sendall(b"EHLO me\r\nQUIT\r\n")
        assert b"SIZE 2048" in b"".join(iter(lambda: client.recv(4096), b""))
    start = len(lab.lines)
    lab.file.write_text('log_level = "warn"\nlog_format = "json"\n' + text)
    lab.process.send_signal(signal.SIGHUP)
    lab.wait_for("log_level is now", start)
    with Crowd(lab.ports["chat"], 1):
        lab.file.write_text("what")
        lab.process.send_signal(signal.SIGHUP)
        lab.wait_for('"level": "error"', start)
        assert not any("joined" in line for line in lab.lines)


def test_virtual_hosts_come_and_go(lab: Lab, tmp_path: Path) -> None:
    """Another name, another directory, also for one whose connection was there before."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "who").write_text(name)
    connection = HTTPConnection("127.0.0.1", lab.ports["web"], PATIENCE_S)

    def who() -> tuple[int, bytes]:
        connection.request("GET", "/who", headers={"Host": "a.lab:80"})
        answer = connection.getresponse()
        return answer.status, answer.read()

    text = FREE.format(chat="", udp="")
    assert who()[0] == 404
    for name in ("a", "b"):
        lab.reload(f'{text}[web.hosts."a.lab"]\nroot = "{name}"\n')
        assert who() == (200, name.encode("ascii"))
    start = len(lab.lines)
    lab.file.write_text(f'{text}[web.hosts."a.lab"]\nroot = "none"\n')
    lab.process.send_signal(signal.SIGHUP)
    lab.wait_for("none", start)
    assert who() == (200, b"b")
    lab.reload(text)
    assert who()[0] == 404
    connection.close()


def test_a_file_that_has_gone_and_no_file_at_all(lab: Lab, tmp_path: Path) -> None:
    """Both are told, and nothing changes."""
    lab.file.unlink()
    first, _ = lab.reload()
    assert "ERROR: reload: " in first
    assert first.endswith("lab.toml: cannot read the configuration: No such file or directory")
    assert lab.answers(2) == 2
    other = tmp_path / "other"
    other.mkdir()
    with Daemon(other, "--services=udp") as daemon:
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("ERROR: reload: there is no file to read again; --config names one")
        daemon.wait_for("reload: nothing has changed")


def test_a_storm_of_signals_during_the_start_the_run_and_the_end(tmp_path: Path) -> None:
    """Many at once are one reload; none ends the daemon, delays it, or changes its status."""
    with Lab(tmp_path) as lab:
        lab.file.write_text(FREE.format(chat="rate = 5", udp=""))
        start = len(lab.lines)
        for number in range(500):
            lab.process.send_signal(signal.SIGHUP)
            time.sleep(number % 2 * 0.002)
        lab.wait_for("reload: chat.rate is now 5.0", start)
        time.sleep(0.5)
        assert 1 <= sum("netlab: reloaded" in line for line in lab.lines) <= 20
        lab.process.send_signal(signal.SIGTERM)
        lab.wait_for("netlab: stopping")
        while lab.process.poll() is None:
            lab.process.send_signal(signal.SIGHUP)
        assert lab.process.returncode in (0, -signal.SIGTERM)


def test_a_signal_before_the_reactor_turns_waits_for_it(tmp_path: Path) -> None:
    """From the moment the sockets are open: it is obeyed when the daemon is ready."""
    (tmp_path / "lab.toml").write_text("")
    code = (
        "import os, signal, sys\n"
        "from netlabsvc import tap\n"
        "options = tap.Options()\n"
        "options.parent = {'nodaemon': True}\n"
        "options.parseOptions(sys.argv[1:])\n"
        "tap.makeService(options).startService()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "from twisted.internet import reactor\n"
        "reactor.callLater(1, reactor.stop)\n"
        "from twisted.logger import globalLogBeginner, textFileLogObserver\n"
        "globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stdout)])\n"
        "reactor.run()\n"
    )
    names = ["--services=udp", "--udp-port=0", "--state-dir=state", "--config=lab.toml"]
    names += ["--stamp-port=off", "--irtt-port=off"]
    ended = subprocess.run(
        [TWISTD.with_name("python"), "-c", code, *names],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        env=clean_environment(),
        check=True,
    )
    assert "reloaded: 0 changed" in ended.stdout


def test_a_terminal_that_is_closed_ends_the_lab_in_its_foreground(tmp_path: Path) -> None:
    """Nobody could end it any more; while the terminal is there SIGHUP is a reload."""
    log = tmp_path / "lab.log"
    command = [str(TWISTD), "-n", "--pidfile=", f"--logfile={log}", "netlab", "--services=udp"]
    command += ["--udp-port=0", "--stamp-port=off", "--irtt-port=off", f"--state-dir={tmp_path}"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, clean_environment())
    wait_for(log, "ready")
    os.kill(pid, signal.SIGHUP)
    wait_for(log, "no file to read again")
    os.close(terminal)
    wait_for(log, "stopping")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def wait_for(log: Path, words: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not (log.exists() and words in log.read_text()):
        assert time.monotonic() < end, f"no {words!r} in {log.read_text()}"
        time.sleep(0.05)
