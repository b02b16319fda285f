"""`netlab ping` against a real daemon, whose faults are known, and against outside servers."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support.daemon import NETLAB, Daemon, free_udp_port
from support.outside import need

PATIENCE_S = 60
#: The reply to 4 comes when 7 has left and 5, had it been lost, would have been given up.
FATES = "2: drop-up, 4: delay-down 400ms, 6: duplicate-down, 7: duplicate-up, 8: drop-down"
EXPECTED = ["ok", "lost", "ok", "late", "ok", "ok", "ok", "lost", "ok", "ok"]
RUN = ("-c", "10", "-i", "0.1", "-W", "0.15")


def ping(*words: str) -> str:
    """What it prints; a reply must have come."""
    done = subprocess.run(
        [NETLAB, "ping", *words],
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def document(*words: str) -> Any:
    """The run as a document."""
    return json.loads(ping("--json", *words))


def printed(said: str) -> list[str]:
    """The fate of each probe as its lines tell it."""
    fates: dict[int, str] = {}
    for line in said.split("\n---")[0].splitlines():
        found = re.search(r"seq=(\d+) (timeout|rtt=\S+ ms)(.*)", line)
        assert found, line
        fate = "lost" if found[2] == "timeout" else "late" if " late" in found[3] else "ok"
        if fates.get(int(found[1])) in (None, "lost"):
            fates[int(found[1])] = fate
    return [fates[seq] for seq in sorted(fates)]


@pytest.mark.parametrize("reflector", ["udp", "stamp"])
def test_each_fate_is_the_scripted_one(tmp_path: Path, reflector: str) -> None:
    """Printed and in the document; the late reply to 4 is never taken for that to 5 or 6."""
    (tmp_path / "fate").write_text(FATES)
    proto = {"udp": "text", "stamp": "stamp"}[reflector]
    with Daemon(tmp_path, "--udp-fate=fate", "--services=udp") as daemon:
        where = f"127.0.0.1:{daemon.ports[reflector]}"
        said = ping(*RUN, "--proto", proto, where)
        told = document(*RUN, "--proto", proto, where)
    assert printed(said) == EXPECTED
    assert "seq=4 timeout" in said
    assert re.search(r"seq=4 rtt=4\d\d\.\d{3} ms ttl=\d+ late reordered", said), said
    assert said.count(" duplicate\n") == 2
    probes = told["probes"]
    assert [one["fate"] for one in probes] == EXPECTED
    assert [one["duplicates"] for one in probes] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 0]
    assert [one["seq"] for one in probes if one["reordered"]] == [4]
    if reflector == "stamp":
        ways = {one["seq"]: one["lost_direction"] for one in probes if one["fate"] == "lost"}
        assert ways == {2: "up", 8: "down"}
        directions = told["summary"]["directions"]
        assert [directions[way]["duplicates"] for way in ("up", "down")] == [1, 1]


def test_authenticated_stamp(tmp_path: Path) -> None:
    """With the reflector's key it runs and knows both ways; with another, nothing counts."""
    key, other = tmp_path / "key", tmp_path / "other"
    key.write_text("swordfish swordfish\n")
    other.write_text("swordfish swordfish 2\n")
    quick = ("-c", "4", "-i", "0.05", "-W", "0.2", "--proto", "stamp")
    with Daemon(tmp_path, "--services=udp", NETLAB_UDP_STAMP_KEY_FILE=str(key)) as daemon:
        where = f"127.0.0.1:{daemon.ports['stamp']}"
        told = document(*quick, "--key-file", str(key), where)
        wrong = subprocess.run(
            [NETLAB, "ping", *quick, "--key-file", other, where], capture_output=True, check=False
        )
    assert told["summary"]["received"] == 4
    assert told["summary"]["directions"]["up"]["lost"] == 0
    assert (wrong.returncode, b"0 received" in wrong.stdout) == (1, True)


@pytest.mark.parametrize("reflector", ["udp", "stamp"])
def test_the_offset_bound_of_an_asymmetric_path_contains_the_truth(
    tmp_path: Path, reflector: str
) -> None:
    """10 ms up, 2 ms down, one clock: the offset looks like 4 ms, and its bound reaches to 0."""
    options = ("--udp-impair=up delay=10ms; down delay=2ms", "--services=udp")
    proto = {"udp": "text", "stamp": "stamp"}[reflector]
    with Daemon(tmp_path, *options) as daemon:
        where = f"127.0.0.1:{daemon.ports[reflector]}"
        told = document("-c", "20", "-i", "0.03", "--proto", proto, where)["summary"]["one_way"]
    assert told["offset_ns"] == pytest.approx(4_000_000, abs=2_000_000)
    assert abs(told["offset_ns"]) <= told["offset_bound_ns"] < 12_000_000


@contextmanager
def running(*command: str) -> Iterator[None]:
    """A program, until the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as it:
        try:
            yield
        finally:
            it.terminate()


def wait_until_it_answers(where: str) -> None:
    """Until a server listens, ICMP refuses; each try ends at once."""
    for _ in range(100):
        tried = [str(NETLAB), "ping", "-q", "-c", "1", where]
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return
    raise AssertionError(f"{where} never answered")


def test_ncat_and_socat_as_echo_servers() -> None:
    """Probes come back from both, with their numbers; ncat may lose some while it starts cat."""
    for make in (
        lambda port: (need("ncat"), "-u", "-l", "-k", "-e", "/bin/cat", "127.0.0.1", port),
        lambda port: (need("socat"), f"UDP4-RECVFROM:{port},bind=127.0.0.1,fork", "EXEC:/bin/cat"),
    ):
        port = str(free_udp_port())
        with running(*make(port)):
            wait_until_it_answers(f"127.0.0.1:{port}")
            told = document("-c", "5", "-i", "0.2", f"127.0.0.1:{port}")
        assert [one["fate"] for one in told["probes"][-2:]] == ["ok"] * 2
        assert told["summary"]["matching"] == "number"
        assert told["summary"]["one_way"] is None


BLOCKING = """
import random, socket, sys, time
chance = random.Random(3)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", int(sys.argv[1])))
server.settimeout(30)
while True:
    message, client = server.recvfrom(1024)
    if chance.random() < 0.3:
        continue
    stamp = str(time.time_ns() // 1000) + " "
    server.sendto(stamp.encode() + message[:8].upper(), client)
"""


def test_a_blocking_timestamp_server_that_drops_at_random() -> None:
    """It cuts, prefixes and turns into capitals: numbers and its clock are found all the same."""
    port = free_udp_port()
    with running(sys.executable, "-c", BLOCKING, str(port)):
        wait_until_it_answers(f"127.0.0.1:{port}")
        told = document("-c", "30", "-i", "0.02", "-W", "0.3", f"127.0.0.1:{port}")
    summary = told["summary"]
    assert summary["sent"] == summary["received"] + summary["lost"] == 30
    assert 2 <= summary["lost"] <= 18
    assert abs(summary["one_way"]["offset_ns"]) <= summary["one_way"]["offset_bound_ns"]


def test_a_server_without_numbers() -> None:
    """It answers each probe with the same word: the report says that replies go by order."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            for _ in range(3):
                server.sendto(b"pong", server.recvfrom(100)[1])

        thread = Thread(target=answer)
        thread.start()
        said = ping("-c", "3", "-i", "0.05", f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert printed(said) == ["ok"] * 3
    assert "each reply was given to the oldest open probe" in said


def test_twampy_as_reflector() -> None:
    """A TWAMP-Light reflector's replies of 38 bytes count; what it counts tells both ways."""
    if find_spec("twampy") is None:
        pytest.skip("needs twampy, which no registry has: github.com/nokia/twampy, on PYTHONPATH")
    port = free_udp_port()
    responder = ("responder", f"127.0.0.1:{port}", "--padding", "0")
    with running(sys.executable, "-m", "twampy", *responder):
        wait_until_it_answers(f"127.0.0.1:{port}")
        options = ("-c", "5", "-i", "0.05", "-s", "44", "--proto", "stamp")
        told = document(*options, f"127.0.0.1:{port}")
    assert told["summary"]["received"] == 5
    assert "TWAMP-Light" in told["summary"]["notes"][0]
