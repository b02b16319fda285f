"""How far the round trips that a program reports are from those that the path gave it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from support.daemon import NETLAB, Daemon
from support.paths import B, Between, Passage, path

STAMP_PORT, IRTT_PORT = 8620, 2112
_IRTT_REQUEST = bytes.fromhex("14a75b00")


def stamp_number(payload: bytes) -> int | None:
    """The number of a STAMP request, or that of the request in a stateless reply."""
    return int.from_bytes(payload[:4], "big")


def irtt_number(payload: bytes) -> int | None:
    """The number of an irtt echo, from 0; None for another packet."""
    echo = payload[:3] == _IRTT_REQUEST[:3] and payload[3] in (0, 2)
    return int.from_bytes(payload[12:16], "little") if echo else None


def truths(passages: list[Passage], client_port: int, number: Any) -> dict[int, int]:
    """The time that each round trip spent on the path, in nanoseconds, by number."""
    times: dict[str, dict[int, int]] = {"up": {}, "down": {}}
    for one in passages:
        n = number(one.payload) if one.client_port == client_port else None
        if n is not None and one.out_ns is not None:
            times[one.way][n] = one.out_ns - one.in_ns
    return {n: up + times["down"][n] for n, up in times["up"].items() if n in times["down"]}


def probes(between: Between, count: int, interval_s: float) -> list[dict[str, Any]]:
    """The probes of a run of `netlab ping`, as its document tells them."""
    words = ["ping", "--json", "-c", str(count), "-i", str(interval_s), f"{B}:{STAMP_PORT}"]
    done = subprocess.run([*between.a, str(NETLAB), *words], capture_output=True, check=True)
    told: list[dict[str, Any]] = json.loads(done.stdout)["probes"]
    return told


def _netlab(between: Between, count: int, interval_s: float) -> dict[int, int]:
    told = probes(between, count, interval_s)
    return {one["seq"] - 1: one["rtt_ns"] for one in told if one["rtt_ns"] is not None}


def _irtt(between: Between, count: int, interval_s: float) -> dict[int, int]:
    words = ["-Q", "-i", f"{interval_s}s", "-d", f"{count * interval_s}s", "-o", "-"]
    command = [*between.a, "irtt", "client", *words, f"{B}:{IRTT_PORT}"]
    done = subprocess.run(command, capture_output=True, check=True)
    trips = json.loads(done.stdout)["round_trips"]
    return {one["seqno"]: one["delay"]["rtt"] for one in trips if "rtt" in one.get("delay", {})}


def errors(
    directory: Path, rounds: int, count: int, interval_s: float, seed: int
) -> dict[str, list[int]]:
    """Errors of single round trips in nanoseconds, of netlab and irtt in turn, each to its own.

    Each program asks a server of its own kind; what the servers took is not in a round trip.
    """
    reported: list[tuple[str, dict[int, int]]] = []
    with path(directory, seed) as between, daemon(directory, between), _irtt_server(between):
        for _ in range(rounds):
            reported.append(("netlab", _netlab(between, count, interval_s)))
            reported.append(("irtt", _irtt(between, count, interval_s)))
    passages = between.passages()
    found: dict[str, list[int]] = {"netlab": [], "irtt": []}
    flows = list(dict.fromkeys(one.client_port for one in passages if one.way == "up"))
    assert len(flows) == len(reported), "one client port for each run"
    for port, (name, told) in zip(flows, reported, strict=True):
        number = stamp_number if name == "netlab" else irtt_number
        true = truths(passages, port, number)
        found[name] += [abs(rtt - true[n]) for n, rtt in told.items() if n in true]
    return found


def daemon(directory: Path, between: Between) -> AbstractContextManager[Daemon]:
    """A daemon at the other end, with a STAMP reflector."""
    options = ("--services=udp", f"--host={B}", "--udp-port=0", "--irtt-port=0")
    return Daemon(directory, *options, "--stamp-port=8620", free_ports=False, before=between.b)


@contextmanager
def _irtt_server(between: Between) -> Iterator[None]:
    """The real server, until the end of the block."""
    command = [*between.b, "irtt", "server", "-b", f"{B}:{IRTT_PORT}"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet) as server:
        try:
            sockets = [*between.b, "cat", "/proc/net/udp"]
            while f":{IRTT_PORT:04X} " not in subprocess.check_output(sockets, text=True):
                assert server.poll() is None, "irtt server does not start"
            yield
        finally:
            server.terminate()
