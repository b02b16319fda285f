"""The stages of one direction: rate, loss, corrupt, duplicate, delay, reorder.

A stage is called once for each packet that enters the direction, with what the stages before it
have left: nothing where one lost it, two packets where one duplicated it. It draws its numbers in
any case, the same count each time. So the n-th packet always takes the n-th draw of every stage,
whatever the others do, and whenever it comes. A copy takes its draws from a generator of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol, TypeAlias

from netlabsvc.udp.faults import (
    Bernoulli,
    Corrupt,
    Delay,
    Every,
    GilbertElliott,
    Loss,
    Rate,
    Reorder,
)
from netlabsvc.udp.notation import MAX_DELAY_NS
from netlabsvc.udp.shapes import delays

#: A packet on its way: the delay still to come, in nanoseconds, and the bytes.
Packet: TypeAlias = tuple[int, bytes]


class Note(Protocol):
    """Takes down what a stage decided; the arguments are fields of `decisions.Decision`."""

    def __call__(
        self,
        stage: str,
        verdict: str,
        *,
        copy: int = 0,
        drawn_ns: int | None = None,
        applied_ns: int | None = None,
        bits: tuple[int, ...] = (),
    ) -> None: ...


#: (now_ns, what is left of the packet, who notes it) -> what leaves this stage.
Stage: TypeAlias = Callable[[int, list[Packet], Note | None], list[Packet]]


class Link:
    """A rate with a bounded queue. It draws nothing.

    :ivar overhead_bytes: what the headers add to the next packet on the wire.
    """

    overhead_bytes = 0

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._leaving: deque[int] = deque()  # when each packet in queue or on the wire has left
        self._free = 0  # when the wire is free: in ns times bits per second, to be exact

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        leaving, bits_per_s = self._leaving, self._rate.bits_per_s
        passed = []
        for delay_ns, datagram in packets:
            enters_ns = now_ns + delay_ns
            while leaving and leaving[0] <= enters_ns:
                leaving.popleft()
            bits = 8 * (len(datagram) + self.overhead_bytes)
            free = max(self._free, enters_ns * bits_per_s) + bits * 10**9
            wait_ns = -(-free // bits_per_s) - enters_ns
            # One is on the wire, the others wait.
            if len(leaving) > self._rate.queue or wait_ns > MAX_DELAY_NS:
                if note:
                    note("rate", "tail-dropped")
                continue
            self._free = free
            leaving.append(enters_ns + wait_ns)
            if note:
                note("rate", "queued", applied_ns=wait_ns)
            passed.append((delay_ns + wait_ns, datagram))
        return passed


class Losing:
    """Loss, by any of the models."""

    def __init__(self, loss: Loss, chance: Random) -> None:
        self.decide = loses(loss, chance)

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        lost = self.decide()
        if note and packets:
            note("loss", "lost" if lost else "kept")
        return [] if lost else packets


def loses(loss: Loss, chance: Random) -> Callable[[], bool]:
    """Whether the next packet is lost, and the next, and so on."""
    draw = chance.random  # 0 <= draw() < 1, so that 0 never loses and 1 always does
    if isinstance(loss, Bernoulli):
        p = loss.p
        return lambda: draw() < p
    if isinstance(loss, GilbertElliott):
        return _chain(loss, draw)
    number = 0
    numbers = {loss.n} if isinstance(loss, Every) else frozenset(loss.numbers)
    cycle = loss.n if isinstance(loss, Every) else 0

    def counted() -> bool:
        nonlocal number
        number += 1
        if number in numbers:
            number -= cycle
            return True
        return False

    return counted


def _chain(loss: GilbertElliott, draw: Callable[[], float]) -> Callable[[], bool]:
    bad = False

    def lost() -> bool:
        nonlocal bad
        bad = draw() >= loss.r if bad else draw() < loss.p
        return draw() >= (loss.h if bad else loss.k)

    return lost


class Corrupting:
    """Some different bits of a share of packets are turned over: 1 draw, and 1 for each bit."""

    def __init__(self, corrupt: Corrupt, chance: Random) -> None:
        self._corrupt, self._draw = corrupt, chance.random

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        draw = self._draw
        hit = draw() < self._corrupt.share
        draws = [draw() for _ in range(self._corrupt.bits)]
        if not packets:
            return packets
        delay_ns, datagram = packets[0]
        bits = different_bits(draws, 8 * len(datagram)) if hit else ()
        if note:
            note("corrupt", "corrupted" if bits else "intact", bits=bits)
        return [(delay_ns, turned_over(datagram, bits)), *packets[1:]] if bits else packets


def different_bits(draws: Sequence[float], length: int) -> tuple[int, ...]:
    """As many different numbers below `length` as there are draws, or all there are; sorted."""
    chosen: list[int] = []
    for n, draw in enumerate(draws[:length]):
        bit = int(draw * (length - n))  # the how-maniest of those not yet chosen
        for other in chosen:
            bit += other <= bit
        chosen = sorted([*chosen, bit])
    return tuple(chosen)


def turned_over(datagram: bytes, bits: Sequence[int]) -> bytes:
    """The datagram with these bits turned over; bit 0 is the highest of the first byte."""
    changed = bytearray(datagram)
    for bit in bits:
        changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


class Duplicating:
    """A share of packets goes on twice; never more than two are made of one."""

    def __init__(self, share: float, chance: Random) -> None:
        self._share, self._draw = share, chance.random

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        twice = self._draw() < self._share
        if note and packets:
            note("duplicate", "duplicated" if twice else "single")
        return packets * 2 if twice else packets


class Delaying:
    """Each packet waits for a time of its own: one draw, if the delay varies.

    With FIFO a packet that would overtake leaves together with the one before it.
    """

    def __init__(self, delay: Delay, chance: Random, of_copies: Random) -> None:
        self._fifo = delay.fifo
        self._next_ns = delays(delay, chance.random)
        self._next_of_copies_ns = delays(delay, of_copies.random)
        self._left_ns = 0

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        drawn_ns = self._next_ns()
        later = []
        for copy, (delay_ns, datagram) in enumerate(packets):
            if copy:
                drawn_ns = self._next_of_copies_ns()
            wait_ns = drawn_ns
            if self._fifo:
                wait_ns = max(wait_ns, self._left_ns - now_ns - delay_ns)
                self._left_ns = now_ns + delay_ns + wait_ns
            if note:
                note("delay", "delayed", copy=copy, drawn_ns=drawn_ns, applied_ns=wait_ns)
            later.append((delay_ns + wait_ns, datagram))
        return later


class Reordering:
    """A share of packets is held back for a fixed time, and may be overtaken: one draw."""

    def __init__(self, reorder: Reorder, chance: Random, of_copies: Random) -> None:
        self._share, self._hold_ns = reorder.share, reorder.hold_ns
        self._draw, self._draw_of_copies = chance.random, of_copies.random

    def __call__(self, now_ns: int, packets: list[Packet], note: Note | None) -> list[Packet]:
        held = self._draw() < self._share
        later = []
        for copy, (delay_ns, datagram) in enumerate(packets):
            if copy:
                held = self._draw_of_copies() < self._share
            wait_ns = self._hold_ns if held else 0
            if note:
                note("reorder", "held-back" if held else "in-turn", copy=copy, applied_ns=wait_ns)
            later.append((delay_ns + wait_ns, datagram))
        return later
