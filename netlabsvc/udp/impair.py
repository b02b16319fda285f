"""The faults of the path, each a stage: (now, datagram) -> [(delay, datagram)].

A stage that loses returns nothing, one that duplicates returns two packets, one that delays
returns a delay. The stages of one direction stand one behind the other, in the order rate, loss,
corrupt, duplicate, delay; so far there is loss.

Every stage draws from a generator of its own, so that adding a stage, or changing one, never
changes what another one does. Nothing here knows sockets or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from random import Random
from typing import TypeAlias

#: A packet on its way: the delay still to come, in nanoseconds, and the bytes.
Packet: TypeAlias = tuple[int, bytes]
Stage: TypeAlias = Callable[[int, bytes], list[Packet]]


def chance(seed: int, direction: str, stage: str) -> Random:
    """The generator of one stage: the same for the same names in every process and Python.

    ``Random.random()`` keeps its sequence for an integer seed (documentation of ``random``,
    "Notes on Reproducibility"); the integer comes from SHA-256, because ``hash()`` is salted.

    :param direction: ``up`` for requests, ``down`` for replies.
    """
    digest = sha256(f"netlab udp {seed} {direction} {stage}".encode()).digest()
    return Random(int.from_bytes(digest, "big"))


def loss(probability: float, chance: Random) -> Stage:
    """Bernoulli loss: each packet is lost with the same probability, whatever befell others."""
    draw = chance.random  # 0 <= draw() < 1, so that 0 never loses and 1 always does

    def lose(now_ns: int, datagram: bytes) -> list[Packet]:
        return [] if draw() < probability else [(0, datagram)]

    return lose


def chain(stages: Sequence[Stage]) -> Stage:
    """One direction of the path: what leaves a stage enters the next when its delay has passed."""
    if len(stages) == 1:
        return stages[0]

    def pass_through(now_ns: int, datagram: bytes) -> list[Packet]:
        packets = [(0, datagram)]
        for stage in stages:
            packets = [
                (delay_ns + more_ns, changed)
                for delay_ns, packet in packets
                for more_ns, changed in stage(now_ns + delay_ns, packet)
            ]
        return packets

    return pass_through
