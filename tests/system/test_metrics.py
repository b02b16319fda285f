"""What a real daemon tells of itself: figures of what was done to it, health, readiness, lag."""

from __future__ import annotations

import json
import signal
import smtplib
import socket
import subprocess
import time
from email.message import EmailMessage
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.crowd import Crowd
from support.daemon import PATIENCE_S, Daemon
from support.outside import need

Figures = dict[str, float]


def curl(url: str, *options: str) -> tuple[int, str]:
    """Status and body of an answer."""
    command = [need("curl"), "-s", "-m", str(PATIENCE_S), *options, "-w", "\n%{http_code}", url]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def scrape(daemon: Daemon) -> Figures:
    """All figures, by name and labels as ``name{label=value}``."""
    status, body = curl(f"http://127.0.0.1:{daemon.ports['web']}/metrics")
    assert status == 200
    samples = [s for f in text_string_to_metric_families(body) for s in f.samples]
    labels = ("".join(f"{{{k}={v}}}" for k, v in sorted(s.labels.items())) for s in samples)
    return {s.name + words: s.value for s, words in zip(samples, labels, strict=True)}


def expect(figures: Figures, room: str, **expected: float) -> None:
    """Figures of a room; what stands behind a double underscore is the value of a label."""
    # Of the reflectors the classic one is meant.
    for name, value in expected.items():
        name, _, word = name.partition("__")
        found = [
            n
            for k, n in figures.items()
            if k.startswith(f"netlab_{room}_{name}")
            and (not word or f"={word}}}" in k)
            and "=stamp}" not in k
            and "=irtt}" not in k
        ]
        assert found == [value], (name, word)


def test_chat(daemon: Daemon) -> None:
    """Three clients, one of them nc, of whom two speak; and one that speaks TLS."""
    port = daemon.ports["chat"]
    with Crowd(port, 2) as crowd:
        crowd.knock(1)[0].sock.sendall(b"\x16\x03\x01\x00\x00")
        daemon.wait_for("spoke TLS")
        command = [need("nc"), "-N", "127.0.0.1", str(port)]
        subprocess.run(command, input=b"one\ntwo\n", stdout=subprocess.PIPE, check=True)
        crowd.send(crowd.voices[0], b"three\n")
        crowd.run(lambda: b": three\n" in crowd.voices[1].heard)
        figures = scrape(daemon)
    expect(figures, "chat", clients=2, held_clients=0, queued_bytes=0, connections_total=4)
    expect(figures, "chat", lines_total=3, cut_total__wrong_protocol=1, cut_total__stalled=0)
    # "one" and "two" reach the two others; "three" the one that is left.
    expect(figures, "chat", copies_total=5, refused_total__full=0)


def test_udp(daemon: Daemon) -> None:
    """Requests that are answered, and one that has been through two reflectors."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect(("127.0.0.1", daemon.ports["udp"]))
        for payload in (b"a", b"1700000000123 1700000000123 x", b"b", b"c"):
            client.send(payload)
        replies = [client.recv(100)[-1:] for _ in range(3)]
    figures = scrape(daemon)
    assert replies == [b"a", b"b", b"c"]
    expect(figures, "udp", received_total=4, replied_total=3, dropped_total__loop_suspect=1)
    expect(figures, "udp", dropped_total__impaired=0, dropped_total__send_error=0)


def test_web(daemon: Daemon) -> None:
    """Answers by method and status; the scrape itself is counted by the next one."""
    base = f"http://127.0.0.1:{daemon.ports['web']}"
    for path, *options in (("/", "-I"), ("/none",), ("/style.css",), ("/", "-X", "FROBNICATE")):
        curl(base + path, *options)
    scrape(daemon)
    figures = scrape(daemon)
    asked = {k.partition("{")[2]: n for k, n in figures.items() if "web_requests_total" in k}
    assert asked == {
        "method=GET}{status=200}": 2,
        "method=GET}{status=404}": 1,
        "method=HEAD}{status=200}": 1,
        "method=other}{status=501}": 1,
    }
    expect(figures, "web", connections_total=6, open_connections=1)


def test_mail(daemon: Daemon) -> None:
    """A message that is kept, and a recipient who is none."""
    message = EmailMessage()
    message["Subject"] = "x"
    with smtplib.SMTP("127.0.0.1", daemon.ports["mail"], timeout=PATIENCE_S) as client:
        client.send_message(message, "ada@lab", ["bob@lab"])
        client.mail("ada@lab")
        assert client.rcpt("no address")[0] == 553
    figures = scrape(daemon)
    expect(figures, "mail", messages_total__kept=1, messages_total__refused=0)
    expect(figures, "mail", connections_total=1, kept_bytes_total=14)
    assert figures["netlab_mail_refused_total{class=5xx}{what=RCPT}"] == 1


def test_the_process_and_what_runs(daemon: Daemon) -> None:
    """Build, start, memory."""
    figures = scrape(daemon)
    (build,) = (name for name in figures if name.startswith("netlab_build_info"))
    assert "{version=0." in build
    assert time.time() - 60 < figures["netlab_start_time_seconds"] <= time.time()
    assert 0 < figures["process_cpu_seconds_total"] < 60
    assert figures["process_resident_memory_bytes"] > 10_000_000
    assert 10 < figures["process_open_fds"] < figures["process_max_fds"]


def test_a_stopped_process_is_a_lag_that_a_later_scrape_sees(daemon: Daemon) -> None:
    """Nothing runs for 2 s, as when a callback blocks: the figures say so, and for how long."""
    before = scrape(daemon)
    daemon.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    daemon.process.send_signal(signal.SIGCONT)
    time.sleep(1)
    after = scrape(daemon)
    name = "netlab_reactor_lag_seconds"
    assert before["netlab_reactor_max_lag_seconds"] < 1
    assert 1.4 < after["netlab_reactor_max_lag_seconds"] < 5
    assert after["netlab_reactor_last_lag_seconds"] < 1
    assert after[f"{name}_count"] - after[f"{name}_bucket{{le=1.0}}"] == 1


def own_address() -> str:
    """An address of this machine that is not loopback; no packet is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address: str = probe.getsockname()[0]
    return address


@pytest.mark.parametrize(
    ("status", "here", "elsewhere"),
    [("loopback", 200, 403), ("all", 200, 200), ("off", 404, 404)],
)
def test_who_is_answered(tmp_path: Path, status: str, here: int, elsewhere: int) -> None:
    """From loopback, and from another address of this machine; the refusal names the key."""
    address = own_address()
    options = ("--host=0.0.0.0", "--services=web")
    with Daemon(tmp_path, *options, NETLAB_WEB_STATUS=status) as daemon:
        for path in ("metrics", "healthz", "readyz"):
            for host, expected in (("127.0.0.1", here), (address, elsewhere)):
                found, body = curl(f"http://{host}:{daemon.ports['web']}/{path}")
                assert found == expected, (path, host)
                if found == 403:
                    assert 'status = "all" in [web]' in body


def test_a_unix_socket_is_this_machine(tmp_path: Path) -> None:
    """Whoever can open it may read."""
    (tmp_path / "lab.toml").write_text('[web]\nlisten = ["unix:web.sock"]\n')
    with Daemon(tmp_path, "--config=lab.toml", "--services=web", free_ports=False):
        path = str(tmp_path / "web.sock")
        assert curl("http://lab/readyz", "--unix-socket", path) == (200, "ready\n")


def test_head_other_methods_and_openmetrics(daemon: Daemon) -> None:
    """As curl sees it."""
    url = f"http://127.0.0.1:{daemon.ports['web']}/metrics"
    status, head = curl(url, "-I")
    assert (status, "Content-Type: text/plain; version=0.0.4" in head) == (200, True)
    status, answer = curl(url, "-i", "-X", "DELETE")
    assert (status, "\nAllow: GET, HEAD" in answer) == (405, True)
    status, body = curl(url, "-H", "Accept: application/openmetrics-text; version=1.0.0")
    assert (status, body.endswith("# EOF\n")) == (200, True)


def test_a_scrape_of_a_thousand_clients_takes_milliseconds(daemon: Daemon) -> None:
    """So long does it keep the room waiting."""
    with Crowd(daemon.ports["chat"], 1000):
        web = HTTPConnection("127.0.0.1", daemon.ports["web"], timeout=PATIENCE_S)
        times_s = []
        for _ in range(9):
            began = time.monotonic()
            web.request("GET", "/metrics")
            body = web.getresponse().read()
            times_s.append(time.monotonic() - began)
        web.close()
    print(json.dumps([round(t * 1e3, 1) for t in sorted(times_s)]), "ms")
    assert b"\nnetlab_chat_clients 1000.0\n" in body
    assert sorted(times_s)[4] < 0.05
