"""The daemon under a service manager: what it tells, which sockets it takes, and a restart."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from support.daemon import NETLAB, PATIENCE_S, TWISTD, Daemon, clean_environment
from support.manager import NotifySocket, hand_over
from support.outside import need

UDP = socket.SOCK_DGRAM
#: The reflectors that have ports of their own, switched off.
ALONE = ("--stamp-port=off", "--irtt-port=off")
_WHERE = re.compile(r"(\w+) (\S+):(\d+)/(tcp|udp)")


def listening(host: str = "127.0.0.1") -> socket.socket:
    """A TCP socket as systemd opens it."""
    return socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1024
    )


def bound(host: str = "127.0.0.1") -> socket.socket:
    """A UDP socket as systemd opens it."""
    one = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, UDP)
    one.bind((host, 0))
    return one


def greeting(port: int, host: str = "127.0.0.1") -> bytes:
    """Connect to a chat, and read until it has welcomed us."""
    with socket.create_connection((host, port), PATIENCE_S) as client:
        heard = b""
        while b"welcome" not in heard:
            data = client.recv(4096)
            assert data, heard
            heard += data
    return heard


#: An irtt client asks for 300 ms of probes, 200 ms apart.
IRTT_OPEN = bytes.fromhex("14a75b01010202808c8d9e02038088debe0106040702")


def echo(port: int, host: str = "127.0.0.1", said: bytes = b"ping") -> bytes:
    """What the reflector answers."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, UDP) as probe:
        probe.settimeout(PATIENCE_S)
        probe.sendto(said, (host, port))
        return probe.recv(100)


@pytest.mark.parametrize("abstract", [False, True])
def test_ready_means_that_every_port_listens(tmp_path: Path, abstract: bool) -> None:
    """At the moment of READY=1 each port accepts; its STATUS says which they are."""
    name = f"@netlab-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    free = [listening() for _ in range(3)]
    ports = [one.getsockname()[1] for one in free]
    for one in free:
        one.close()
    options = [f"--{n}-port={p}" for n, p in zip(("chat", "http", "smtp"), ports, strict=True)]
    accepted = []
    with NotifySocket(name) as manager:

        def connect_when_ready() -> None:
            manager.wait_for("^READY=1")
            for port in ports:
                socket.create_connection(("127.0.0.1", port), 5).close()
                accepted.append(port)

        thread = threading.Thread(target=connect_when_ready)
        thread.start()
        with Daemon(
            tmp_path, *options, "--udp-port=0", *ALONE, free_ports=False, NOTIFY_SOCKET=name
        ) as daemon:
            thread.join(PATIENCE_S)
        first = manager.heard[0][1]
    assert accepted == ports
    status = {m[1]: int(m[3]) for m in _WHERE.finditer(first)}
    assert status == daemon.ports
    assert first.startswith("READY=1\nSTATUS=")


def test_the_end_is_told_before_connections_are_gone(tmp_path: Path) -> None:
    """STOPPING=1 comes while a transfer still goes on, and says for how long that may."""
    with (tmp_path / "big").open("wb") as big:
        big.truncate(1 << 26)
    options = ("--services=web", f"--www={tmp_path}")
    name = str(tmp_path / "notify")
    with (
        NotifySocket(name) as manager,
        Daemon(tmp_path, *options, NOTIFY_SOCKET=name, NETLAB_SHUTDOWN_GRACE_S="1") as daemon,
        socket.create_connection(("127.0.0.1", daemon.ports["web"]), 10) as client,
    ):
        client.sendall(b"GET /big HTTP/1.1\r\nHost: lab\r\n\r\n")
        client.recv(1)
        daemon.process.send_signal(signal.SIGTERM)
        stopping = manager.wait_for("STOPPING=1")
        assert daemon.process.poll() is None
        assert "may go on for 1 s" in stopping


def test_a_reload_is_told_from_its_begin_to_its_end(tmp_path: Path) -> None:
    """RELOADING=1 and then READY=1, also where the file has a mistake: systemd would wait."""
    name, file = str(tmp_path / "notify"), tmp_path / "lab.toml"
    file.write_text("")
    with (
        NotifySocket(name) as manager,
        Daemon(tmp_path, "--services=chat", f"--config={file}", NOTIFY_SOCKET=name) as daemon,
    ):
        manager.wait_for("READY=1")
        for text in ("[chat]\nrate = 5\n", "[chat\n"):
            heard = len(manager.heard)
            file.write_text(text)
            daemon.process.send_signal(signal.SIGHUP)
            manager.wait_for("READY=1", start=heard)
            first = manager.heard[heard][1]
            assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", first)


def test_the_watchdog_is_fed_in_time_and_a_stopped_process_starves_it(tmp_path: Path) -> None:
    """Pings at half of WATCHDOG_USEC; none while the process is stopped; then again."""
    name, watchdog_s = str(tmp_path / "notify"), 1.0
    environ = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}
    with NotifySocket(name) as manager, Daemon(tmp_path, free_ports=True, **environ) as daemon:
        manager.wait_for("READY")
        time.sleep(2.2 * watchdog_s)
        pings = manager.pings()
        assert 4 <= len(pings) <= 6
        assert max(after - before for before, after in pairwise(pings)) < watchdog_s
        daemon.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        time.sleep(1.5 * watchdog_s)
        daemon.process.send_signal(signal.SIGCONT)
        heard = len(manager.heard)
        assert manager.pings()[-1] < stopped + 0.1
        manager.wait_for("WATCHDOG=1", start=heard)


def test_sockets_are_taken_by_name(tmp_path: Path) -> None:
    """TCP and UDP, IPv4 and IPv6, two of one name; the keys' ports are not opened beside them."""
    sockets = [listening(), listening("::1"), listening(), listening(), listening()]
    sockets += [bound("::1"), bound(), bound()]
    before = hand_over("chat:chat:web:smtp:chat-raw:udp:stamp:irtt", sockets)
    chat4, chat6, web, smtp, raw, udp, stamp, irtt = (one.getsockname()[1] for one in sockets)
    with Daemon(
        tmp_path, "--chat-port=off", "--udp-port=off", *ALONE, free_ports=False, before=before
    ) as daemon:
        for one in sockets:
            one.close()
        assert b"welcome" in greeting(chat4) + greeting(chat6, "::1") + greeting(raw)
        assert echo(udp, "::1").endswith(b"ping")
        assert len(echo(stamp, said=bytes(44))) == 44
        assert echo(irtt, said=IRTT_OPEN).startswith(IRTT_OPEN[:3])
        with socket.create_connection(("127.0.0.1", smtp), 10) as client:
            assert client.recv(100).startswith(b"220 ")
        with socket.create_connection(("127.0.0.1", web), 10) as client:
            client.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
            assert b" 200 " in client.recv(100)
        log = "\n".join(daemon.lines)
        path = daemon.wait_for("control listens on").split("listens on ")[1].split()[0]
        command = [str(NETLAB), "ctl", "--control", path, "status"]
        status = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert status.count("tcp, systemd") == 5
    assert log.count("a socket of systemd") == 8
    assert f"udp listens on [::1]:{udp}/udp, a socket of systemd" in log
    assert len(re.findall(r" listens on \S+/(?:tcp|udp)", log)) == 8
    assert "the addresses in its socket units open the lab" in log
    assert "--host" not in log


def test_endpoints_are_opened_beside_a_socket(tmp_path: Path) -> None:
    """A door of one's own, with TLS say, stays open when systemd brings another."""
    (tmp_path / "lab.toml").write_text('[chat]\nlisten = ["tcp:0:interface=127.0.0.1"]\n')
    sockets = [listening()]
    before, options = hand_over("chat", sockets), ("--config=lab.toml", "--services=chat")
    with Daemon(tmp_path, *options, free_ports=False, before=before) as daemon:
        log = "\n".join(daemon.lines)
        assert log.count("chat listens on") == 2
        for port in (daemon.ports["chat"], sockets[0].getsockname()[1]):
            assert b"welcome" in greeting(port)


def refused(tmp_path: Path, names: str, *sockets: socket.socket, options: str = "") -> str:
    """The one line that ends a start with these sockets."""
    command = [*hand_over(names, sockets), str(TWISTD), "-n", "--pidfile=", "netlab"]
    command += ["--state-dir=s", *ALONE, *(options or "--services=chat,udp").split()]
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        close_fds=False,
        env=clean_environment(),
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (1, "", 1), ended.stderr
    return ended.stderr


def test_a_socket_that_no_service_can_use_is_one_line(tmp_path: Path) -> None:
    """It names the socket and what would be right, and status 1."""
    tcp, udp = listening(), bound()
    unix = socket.socket(socket.AF_UNIX)
    not_listening = socket.socket()
    not_listening.bind(("127.0.0.1", 0))
    where = f"127.0.0.1:{tcp.getsockname()[1]}"
    assert "'gopher', which no service knows" in refused(tmp_path, "gopher", tcp)
    assert "chat, chat-raw, chat-length, udp, stamp, irtt, web, smtp" in refused(
        tmp_path, "gopher", tcp
    )
    assert f"udp on {where}, which is not udp" in refused(tmp_path, "udp", tcp)
    assert "ListenStream=" in refused(tmp_path, "chat", udp)
    assert "AF_UNIX; its unit needs a port" in refused(tmp_path, "chat", unix)
    assert "which does not listen" in refused(tmp_path, "chat", not_listening)
    assert "a second one" in refused(tmp_path, "udp:udp", udp, bound())
    assert "web does not run (--services); add web" in refused(tmp_path, "web", tcp)
    assert "2 sockets and 0 names" in refused(tmp_path, "", tcp, udp)


def test_an_endpoint_of_systemd_says_what_to_write_instead(tmp_path: Path) -> None:
    """The sockets are taken by name; Twisted's own way to them is gone by then."""
    (tmp_path / "lab.toml").write_text('[chat]\nlisten = ["systemd:domain=INET:name=chat"]\n')
    said = refused(tmp_path, "chat", listening(), options="--services=chat --config=lab.toml")
    assert said.startswith('netlab: lab.toml:2: chat.listen = "systemd:domain=INET:name=chat": ')
    assert "FileDescriptorName=" in said


def test_variables_of_another_process_are_not_ours(tmp_path: Path) -> None:
    """LISTEN_PID of a parent: the daemon opens its own ports."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "gopher"}
    with Daemon(tmp_path, "--services=chat", free_ports=True, **environ) as daemon:
        assert greeting(daemon.ports["chat"])


@contextmanager
def running(command: Sequence[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended whatever comes of the test."""
    with subprocess.Popen(command, cwd=directory) as process:
        try:
            yield process
        finally:
            process.terminate()


@pytest.mark.parametrize("cache", [True, False])
def test_systemd_socket_activate_starts_it_for_the_first_client(
    tmp_path: Path, cache: bool
) -> None:
    """systemd's own program; also where Twisted reads every plugin, and with it LISTEN_FDS."""
    with listening() as free:
        port = free.getsockname()[1]
    program = [need("systemd-socket-activate"), "-l", f"127.0.0.1:{port}", "--fdname=chat"]
    twistd = [str(TWISTD), "-n", "--pidfile=", "netlab", "--services=chat", "--state-dir=s"]
    if not cache:  # the module that consumes them comes first
        code = (
            "import sys, twisted.internet.endpoints; from twisted.scripts.twistd import run; run()"
        )
        twistd = [str(TWISTD.with_name("python")), "-c", code, *twistd[1:]]
    environ = {**clean_environment(), "NETLAB_CHAT_PORT": "off"}
    setenv = [f"--setenv={name}={value}" for name, value in environ.items()]
    with running([*program, *setenv, *twistd], tmp_path) as process:
        connect_patiently(port).close()
        assert b"welcome" in greeting(port)
    assert process.returncode in (0, -signal.SIGTERM)


def connect_patiently(port: int) -> socket.socket:
    """Connect to what another process will open."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_systemd_socket_activate_hands_over_udp(tmp_path: Path) -> None:
    """The datagram that started the daemon is answered."""
    with bound() as free:
        port = free.getsockname()[1]
    program = [need("systemd-socket-activate"), "-d", "-l", f"127.0.0.1:{port}", "--fdname=udp"]
    setenv = [f"--setenv={name}={value}" for name, value in clean_environment().items()]
    twistd = [str(TWISTD), "-n", "--pidfile=", "netlab", "--services=udp", "--state-dir=s", *ALONE]
    with (
        running([*program, *setenv, *twistd], tmp_path),
        socket.socket(socket.AF_INET, UDP) as probe,
    ):
        probe.connect(("127.0.0.1", port))
        probe.settimeout(0.2)
        end = time.monotonic() + PATIENCE_S
        heard = b""
        while not heard and time.monotonic() < end:
            try:
                probe.send(b"ping")
                heard = probe.recv(100)
            except (ConnectionRefusedError, TimeoutError):
                time.sleep(0.05)
    assert heard.endswith(b"ping")


class Crowd:
    """Clients that connect, read the greeting, leave, and come again; a context manager.

    :ivar visits: of each, when it connected and when it was greeted.
    """

    def __init__(self, port: int, size: int) -> None:
        self._port = port
        self._over = threading.Event()
        self.failures: list[BaseException] = []
        self.visits: list[tuple[float, float]] = []
        self._threads = [threading.Thread(target=self._come_and_go) for _ in range(size)]

    def _come_and_go(self) -> None:
        while not self._over.wait(0.05):
            try:
                with socket.create_connection(("127.0.0.1", self._port), PATIENCE_S) as client:
                    connected = time.monotonic()
                    assert client.recv(4096), "closed without a word"
                    self.visits.append((connected, time.monotonic()))
            except (OSError, AssertionError) as error:
                self.failures.append(error)

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Wait until the last one has gone."""
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def wait_for_visits(self, more: int) -> None:
        """Wait until there were so many more."""
        end, enough = time.monotonic() + PATIENCE_S, len(self.visits) + more
        while len(self.visits) < enough:
            assert time.monotonic() < end, self.failures[:3]
            time.sleep(0.02)


def test_a_restart_under_50_connecting_clients_refuses_none(tmp_path: Path) -> None:
    """Who connects between two daemons waits, and is greeted by the second; datagrams too."""
    sockets = [listening(), bound()]
    chat, udp = (one.getsockname()[1] for one in sockets)
    before, options = hand_over("chat:udp", sockets), ("--services=chat,udp", *ALONE)
    probe = socket.socket(socket.AF_INET, UDP)
    probe.settimeout(PATIENCE_S)
    with probe, Crowd(chat, 50) as crowd:
        with Daemon(tmp_path, *options, free_ports=False, before=before) as first:
            crowd.wait_for_visits(100)
            assert echo(udp).endswith(b"ping")
            assert first.stop() in (0, -signal.SIGTERM)
        gone = time.monotonic()
        probe.sendto(b"between", ("127.0.0.1", udp))
        time.sleep(0.5)
        back = time.monotonic()
        with Daemon(tmp_path, *options, free_ports=False, before=before):
            assert probe.recv(100).endswith(b"between")
            crowd.wait_for_visits(100)
            crowd.end()
    assert not crowd.failures, crowd.failures[:3]
    between = [visit for visit in crowd.visits if gone < visit[0] < back]
    assert len(between) >= 40
    assert all(greeted > back for _, greeted in between)
