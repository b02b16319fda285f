"""The reflectors of a real daemon, asked by real clients; what they see is what was decided."""

from __future__ import annotations

import json
import re
import socket
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from support.daemon import NETLAB, TWISTD, Daemon, clean_environment
from support.outside import need

PATIENCE_S = 30


def run(*command: str) -> str:
    """What a client prints; it must not end with a usage error or a crash."""
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


def ctl(daemon: Daemon, *words: str) -> Any:
    """What `netlab ctl` answers."""
    return json.loads(run(str(NETLAB), "ctl", "--control", str(daemon.control), *words, "--json"))


def decided(path: Path, reflector: str = "classic") -> list[dict[str, Any]]:
    """The decision log."""
    lines = (json.loads(line) for line in path.read_text("ascii").splitlines())
    return [one for one in lines if one["reflector"] == reflector]


def numbers(log: list[dict[str, Any]], direction: str, verdict: str) -> list[int]:
    """The requests to which this happened on this way."""
    return [
        one["number"] for one in log if one["direction"] == direction and one["verdict"] == verdict
    ]


IRTT = ("-i", "10ms", "-d", "300ms")
#: How long the client waits for each of its open requests; 200 ms is the least it takes.
TRIES = "--timeouts=" + ",".join(["200ms"] * 8)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--tstamp=midpoint",),
        ("--tstamp=send",),
        ("--tstamp=receive", "--clock=wall"),
        ("--stats=none", "--tstamp=none"),
        ("--fill=rand", "--sfill=rand", "-l", "400"),
        ("-6",),
    ],
)
def test_irtt_client(tmp_path: Path, options: tuple[str, ...]) -> None:
    """The real client runs to its end and has lost nothing, either way."""
    irtt = need("irtt")
    host = "[::1]" if "-6" in options else "127.0.0.1"
    with Daemon(tmp_path, f"--host={host.strip('[]')}", "--services=udp") as daemon:
        said = run(irtt, "client", *IRTT, *options, f"{host}:{daemon.ports['irtt']}")
        (counted,) = ctl(daemon, "counters", "-r", "irtt")
    assert re.search(r"packets sent/received: (\d+)/\1 \(0.00% loss\)", said), said
    if "--stats=none" not in options:
        assert re.search(r"server packets received: (\d+)/\1 \(0.00%/0.00% loss", said), said
    assert "Error" not in said
    assert counted["replied"] == counted["received"] - 1  # closing gets no answer
    assert counted["no_reply_due"] == 1


def test_irtt_client_with_a_key(tmp_path: Path) -> None:
    """With the key it runs; with another, or none, it gets no answer, and that is counted."""
    irtt, key = need("irtt"), tmp_path / "key"
    key.write_text("swordfish\n")
    with Daemon(tmp_path, "--services=udp", NETLAB_UDP_IRTT_KEY_FILE=str(key)) as daemon:
        where = f"127.0.0.1:{daemon.ports['irtt']}"
        said = run(irtt, "client", *IRTT, "--hmac=swordfish", where)
        assert "(0.00% loss)" in said, said
        run(irtt, "client", *IRTT, "--timeouts=200ms", "--hmac=cod", where)
        run(irtt, "client", *IRTT, "--timeouts=200ms", where)
        (counted,) = ctl(daemon, "counters", "-r", "irtt")
    assert counted["bad_hmac"] == 2


def test_irtt_sees_what_the_log_says(tmp_path: Path) -> None:
    """Sent, received, and lost each way: the figures of the client are those of the log."""
    irtt, log = need("irtt"), tmp_path / "log"
    faults = "up loss=20%; down loss=10% delay=2ms~1ms"
    options = (f"--udp-impair={faults}", f"--udp-decisions={log}", "--seed=5", "--services=udp")
    with Daemon(tmp_path, *options) as daemon:
        where = f"127.0.0.1:{daemon.ports['irtt']}"
        # The open request meets the faults as well: irtt asks again.
        said = run(irtt, "client", "-i", "10ms", "-d", "2s", TRIES, where)
        time.sleep(0.1)
    told = re.search(r"packets sent/received: (\d+)/(\d+) ", said)
    server = re.search(r"server packets received: (\d+)/(\d+) ", said)
    assert told, said
    assert server, said
    found = decided(log, "irtt")
    opening = min(numbers(found, "down", "sent"))  # the open reply that got through
    up = [n for n in numbers(found, "up", "sent") if n > opening]
    lost_up = [n for n in numbers(found, "up", "lost") if n > opening]
    down = [n for n in numbers(found, "down", "sent") if n > opening]
    # The last packet is the close: with no reply due, if it was not lost.
    last = max([*up, *lost_up])
    assert int(told[1]) == len(up) + len(lost_up) - 1
    assert int(told[2]) == len(down)
    # The client knows of what the server had by its last reply that arrived.
    assert int(server[1]) == len([n for n in up if n <= max(down) and n != last])


def test_twampy_sees_what_the_log_says(tmp_path: Path) -> None:
    """A TWAMP-Light sender of another house: its loss each way is that of the log."""
    if find_spec("twampy") is None:
        pytest.skip("needs twampy, which no registry has: github.com/nokia/twampy, on PYTHONPATH")
    log = tmp_path / "log"
    options = ("--udp-impair=up loss=20%; down loss=10%", f"--udp-decisions={log}", "--seed=5")
    with Daemon(tmp_path, *options, "--services=udp") as daemon:
        where = (f"127.0.0.1:{daemon.ports['stamp']}", "127.0.0.1:0")
        said = run(sys.executable, "-m", "twampy", "sender", *where, "-c", "40", "-i", "100")
    found = decided(log, "stamp")
    sent, had = 40, len(numbers(found, "up", "sent"))
    back = len(numbers(found, "down", "sent"))
    told = [float(one) for one in re.findall(r"([\d.]+)%", said)]
    # What came after the last reply it can only take for lost on the way there.
    last = max(numbers(found, "down", "sent"))
    unknown = len([n for n in numbers(found, "up", "sent") if n > last])
    assert told == [
        pytest.approx(100 * lost / sent, abs=0.06)
        for lost in (sent - had + unknown, had - unknown - back, sent - back)
    ], said


@pytest.mark.parametrize(("reflector", "service"), [("classic", "udp"), ("stamp", "stamp")])
def test_netlab_ping_sees_what_the_log_says(tmp_path: Path, reflector: str, service: str) -> None:
    """Each probe's fate and copies are those of the decision log; STAMP tells the ways apart."""
    log = tmp_path / "log"
    faults = "up loss=20% delay=3ms~2ms fifo; down loss=10% dup=20%"
    options = (f"--udp-impair={faults}", f"--udp-decisions={log}", "--seed=7", "--services=udp")
    proto = "stamp" if service == "stamp" else "text"
    words = ("ping", "--json", "-c", "100", "-i", "0.01", "-W", "0.5", "--proto", proto)
    with Daemon(tmp_path, *options) as daemon:
        told = json.loads(run(str(NETLAB), *words, f"127.0.0.1:{daemon.ports[service]}"))
    found = decided(log, reflector)
    sent = numbers(found, "down", "sent")
    probes, summary = told["probes"], told["summary"]
    assert [one["seq"] for one in probes if one["fate"] == "ok"] == sorted(set(sent))
    assert [1 + one["duplicates"] for one in probes if one["fate"] == "ok"] == [
        sent.count(n) for n in sorted(set(sent))
    ]
    assert summary["lost"] > 10
    assert summary["duplicates"] > 3
    lost_up = set(numbers(found, "up", "lost"))
    for one in probes:
        if one["lost_direction"] is not None:
            assert (one["lost_direction"] == "up") == (one["seq"] in lost_up)
    if service == "stamp":
        ways = summary["directions"]
        last = max(sent)
        assert ways["lost_up"] + ways["lost_down"] == sum(n not in sent for n in range(1, last))
        assert ways["lost_up"] == len([n for n in lost_up if n < last])


def test_the_same_seed_makes_the_same_log(tmp_path: Path) -> None:
    """Two runs with the same arrivals: byte for byte, but for the fields that are measured."""
    faults, logs = "both loss=20% dup=10% corrupt=10%; up delay=2ms~1ms:normal fifo", []
    for run_ in ("a", "b"):
        log = tmp_path / run_
        options = (f"--udp-impair={faults}", f"--udp-decisions={log}", "--seed=11")
        with (
            Daemon(tmp_path, *options, "--services=udp") as daemon,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
        ):
            client.connect(("127.0.0.1", daemon.ports["udp"]))
            for number in range(60):
                client.send(b"%d" % number)
                time.sleep(0.005)
            time.sleep(0.2)
        text = re.sub(r'"(applied_ns|t_ns)":\w+', r'"\1":0', log.read_text("ascii"))
        logs.append(sorted(re.sub(r'"client":"[^"]+"', "", text).splitlines()))
    assert logs[0] == logs[1]
    assert len(logs[0]) > 200


def test_a_delay_is_kept(tmp_path: Path) -> None:
    """What was to be held back for 10 ms waited that long, never less, and little more."""
    log = tmp_path / "log"
    options = ("--udp-impair=up delay=10ms", f"--udp-decisions={log}", "--services=udp")
    with Daemon(tmp_path, *options) as daemon:
        where = f"127.0.0.1:{daemon.ports['udp']}"
        run(str(NETLAB), "ping", "-c", "40", "-i", "0.02", "-W", "0.5", where)
        held = [d for d in decided(log) if (d["direction"], d["stage"]) == ("up", "sent")]
    assert len(held) == 40
    assert min(d["applied_ns"] for d in held) >= 10_000_000
    assert statistics.median(d["applied_ns"] for d in held) < 15_000_000


def test_a_reflection_between_two_of_ours_dies_at_once(tmp_path: Path) -> None:
    """A packet that one reflector seems to have sent to the other: nobody answers for long."""
    with (
        Daemon(tmp_path, "--services=udp") as daemon,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger,
    ):
        # Nobody but the kernel of another host can lie about an address on a loopback; a port that
        # is shared can: SO_REUSEPORT is not set, so the address next to it stands in.
        forger.bind(("127.0.0.2", daemon.ports["stamp"]))
        for name in ("udp", "stamp", "irtt"):
            for payload in (b"forged", bytes(44), bytes.fromhex("14a75b01")):
                forger.sendto(payload, ("127.0.0.1", daemon.ports[name]))
        forger.settimeout(0.3)
        with pytest.raises(TimeoutError):
            forger.recv(2048)
        counted = ctl(daemon, "counters")
    assert [one["refused_port"] for one in counted] == [3, 3, 3]


def test_faults_are_changed_for_one_reflector_and_taken_back(tmp_path: Path) -> None:
    """set, get and reset, for one and for all."""
    with Daemon(tmp_path, "--services=udp", "--udp-loss=30%") as daemon:
        assert [one["faults"] for one in ctl(daemon, "impair", "get")] == ["up loss=30%"] * 3
        ctl(daemon, "impair", "set", "-r", "stamp", "both delay=5ms; clock drift=20ppm")
        assert [one["faults"] for one in ctl(daemon, "impair", "get")] == [
            *("up loss=30%", "both delay=5ms; clock drift=20ppm", "up loss=30%")
        ]
        ctl(daemon, "impair", "set", "profile=textbook-30-percent")
        ctl(daemon, "impair", "reset")
        assert [one["faults"] for one in ctl(daemon, "impair", "get")] == ["up loss=30%"] * 3


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--udp-impair=up loss=130%", r'udp.impair = .*column 9: "130%": a probability is 0 to 1'),
        ("--udp-impair=up delay=-5ms", r"column 10: .*-5ms"),
        ("--udp-impair=up los=1%", r'column 4: "los": no such word; did you mean "loss"\?'),
        ("--udp-impair=profile=nowhere", r"column 9: .*nowhere"),
        ("--udp-fate=fate", r"udp.fate = \"fate\": line 2, column 4: .*drob"),
        ("--udp-fate=missing", r"udp.fate = \"missing\": cannot be read: No such file"),
        ("--udp-decisions=no/where", r"udp: cannot write no/where: .*--udp-decisions"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(
    tmp_path: Path, option: str, said: str
) -> None:
    """One line with the position in the text, and status 1."""
    (tmp_path / "fate").write_text("1: drop\n2: drob\n")
    command = [str(TWISTD), "-n", "--pidfile=", "netlab", "--services=udp", "--state-dir=s"]
    ports = [f"--{name}-port=0" for name in ("udp", "stamp", "irtt")]
    done = subprocess.run(
        [*command, *ports, option],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env=clean_environment(),
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert re.search(said, done.stderr), done.stderr


def test_the_toml_form_and_a_reload(tmp_path: Path) -> None:
    """Faults as tables, for all and for one; a reload changes what the file changes."""
    file = tmp_path / "lab.toml"
    file.write_text('[udp.impair.up]\nloss = "25%"\n[udp.stamp]\nimpair = "down dup=1%"\n')
    with Daemon(tmp_path, f"--config={file}", "--services=udp") as daemon:
        assert [one["faults"] for one in ctl(daemon, "impair", "get")] == [
            *("up loss=25%", "down dup=1%", "up loss=25%")
        ]
        ctl(daemon, "impair", "set", "-r", "irtt", "up loss=1%")
        file.write_text('[udp.impair.up]\nloss = "25%"\n[udp.stamp]\nimpair = "off"\n')
        ctl(daemon, "reload")
        assert [one["faults"] for one in ctl(daemon, "impair", "get")] == [
            *("up loss=25%", "off", "up loss=1%")
        ]


def test_a_second_lab_runs_without_the_ports_it_was_not_told_of(tmp_path: Path) -> None:
    """STAMP's and irtt's own ports are taken: it says so; but who asks for one must get it."""
    held = []
    for port in (8620, 2112):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):  # somebody else has it: just as well
            sock.bind(("127.0.0.1", port))
        held.append(sock)
    options = ("--services=udp", "--udp-port=0")
    with Daemon(tmp_path, *options, free_ports=False) as daemon:
        for name, port in (("stamp", 8620), ("irtt", 2112)):
            daemon.wait_for(rf"127\.0\.0\.1:{port}: Address already in use.*\({name} is off\)")
        assert set(daemon.ports) == {"udp"}
        keys = {one["key"] for one in ctl(daemon, "status")["services"] if one["listening"]}
        assert keys == {"udp.port"}
    command = [str(TWISTD), "-n", "--pidfile=", "netlab", *options, "--stamp-port=8620"]
    refused = subprocess.run(
        [*command, f"--state-dir={tmp_path / 'other'}"],
        capture_output=True,
        env=clean_environment(),
        check=False,
        cwd=tmp_path,
    )
    assert (refused.returncode, refused.stderr.count(b"\n")) == (1, 1)
    for sock in held:
        sock.close()
