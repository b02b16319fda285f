"""A path between two network namespaces that knows what it did to each packet.

    python emulator.py NAMESPACE_A NAMESPACE_B SEED LOSS LEAST_MS MOST_MS LOG

A TUN device ``lab0`` in each namespace; what comes out of one goes into the other, later, or not
at all, by chance from the seed. It never sleeps: what it writes down is when a packet left one side
and entered the other, to microseconds. SIGTERM ends it and writes the log, a line for each packet:
direction, port of the client, first 16 bytes of the payload, time in, time out (or null).
"""

from __future__ import annotations

import ctypes
import heapq
import json
import os
import signal
import sys
import time
from fcntl import ioctl
from pathlib import Path
from random import Random
from struct import pack, unpack_from
from typing import Any

DEVICE = "lab0"
_TUNSETIFF, _TUN_WITHOUT_HEADER, _NEW_NETWORK = 0x400454CA, 0x1001, 0x40000000
_UDP = 17


def tun(namespace: str) -> int:
    """A TUN device in a namespace, which this process then is in."""
    place = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(place, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(place)
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    ioctl(device, _TUNSETIFF, pack("16sH22x", DEVICE.encode(), _TUN_WITHOUT_HEADER))
    return device


class Emulator:
    """Both directions of a path."""

    def __init__(self, a: int, b: int, seed: int, loss: float, delay_s: tuple[float, float]):
        self._ways = (("up", a, b), ("down", b, a))
        self._chance, self._loss, self._delay_s = Random(seed), loss, delay_s
        self._held: list[tuple[int, int, int, bytes]] = []
        self.log: list[list[Any]] = []

    def turn(self) -> None:
        """Look once at everything."""
        while self._held and self._held[0][0] <= time.monotonic_ns():
            _, entry, out, packet = heapq.heappop(self._held)
            self.log[entry][4] = time.monotonic_ns()
            os.write(out, packet)
        for way, inside, out in self._ways:
            try:
                packet = os.read(inside, 2048)
            except BlockingIOError:
                continue
            if packet[0] >> 4 == 4 and packet[9] == _UDP:
                self._take(way, out, packet, time.monotonic_ns())

    def _take(self, way: str, out: int, packet: bytes, now_ns: int) -> None:
        header = (packet[0] & 15) * 4
        ports = unpack_from("!HH", packet, header)
        payload = packet[header + 8 : header + 24]
        self.log.append([way, ports[way == "down"], payload.hex(), now_ns, None])
        lost, delay_s = self._chance.random() < self._loss, self._chance.uniform(*self._delay_s)
        if not lost:
            due_ns = now_ns + round(delay_s * 1e9)
            heapq.heappush(self._held, (due_ns, len(self.log) - 1, out, packet))


def main() -> None:
    a, b, seed, loss, least_ms, most_ms, log = sys.argv[1:]
    delay_s = (float(least_ms) / 1e3, float(most_ms) / 1e3)
    emulator = Emulator(tun(a), tun(b), int(seed), float(loss), delay_s)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    print("ready", flush=True)
    while not ended:
        emulator.turn()
    Path(log).write_text("".join(json.dumps(one) + "\n" for one in emulator.log), "ascii")


if __name__ == "__main__":
    main()
