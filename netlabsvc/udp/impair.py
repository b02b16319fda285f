"""The faults of one direction made to happen: (now, number, datagram) -> [(delay, datagram)].

A packet that is lost gives nothing, one that is duplicated gives two, one that is delayed a delay.
`stages.py` has the stages, in the order in which a `Path` puts them; every stage draws from a
generator of its own, so that adding a stage, or changing one, never changes what another one draws.
Nothing here knows sockets or reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

from netlabsvc.udp.decisions import Decision
from netlabsvc.udp.fate import Deed
from netlabsvc.udp.faults import Direction
from netlabsvc.udp.stages import (
    Corrupting,
    Delaying,
    Duplicating,
    Link,
    Losing,
    Note,
    Packet,
    Reordering,
    Stage,
    different_bits,
    turned_over,
)

#: The headers of UDP (8 bytes, RFC 768) and of IPv4 (20, RFC 791) or IPv6 (40, RFC 8200), which
#: take their time on a link.
IPV4_OVERHEAD_BYTES = 28
IPV6_OVERHEAD_BYTES = 48

_BEFORE_COPIES: dict[str, Callable[[Any, Random], Stage]] = {
    "loss": Losing,
    "corrupt": Corrupting,
    "duplicate": Duplicating,
}
_ON_COPIES: dict[str, Callable[[Any, Random, Random], Stage]] = {
    "delay": Delaying,
    "reorder": Reordering,
}


def chance(seed: int, direction: str, stage: str, reflector: str = "udp") -> Random:
    """The generator of one stage: the same for the same names in every process and Python.

    ``Random.random()`` keeps its sequence for an integer seed (documentation of ``random``,
    "Notes on Reproducibility"); the integer comes from SHA-256, because ``hash()`` is salted.

    :param direction: ``up`` for requests, ``down`` for replies.
    """
    digest = sha256(f"netlab {reflector} {seed} {direction} {stage}".encode()).digest()
    return Random(int.from_bytes(digest, "big"))


class Path:
    """One direction of one reflector.

    :param direction: ``up`` for requests, ``down`` for replies.
    :param seed: makes its faults repeatable.
    :param reflector: its name; reflectors share no generator.
    :param record: is told of every decision; without it telling costs nothing.
    """

    def __init__(
        self,
        direction: str,
        faults: Direction,
        seed: int,
        reflector: str = "udp",
        record: Callable[[Decision], None] | None = None,
    ) -> None:
        self.direction = direction
        self.faults = Direction()
        self._seed, self._reflector = seed, reflector
        self._record = record
        self._chances: dict[str, Random] = {}
        self._stages: dict[str, Stage] = {}
        #: Draws whether the next packet is lost, where nothing else can befall it and nobody
        #: records; else None. For each packet either this is called, or `pass_through`.
        self.loses: Callable[[], bool] | None = None
        self.change(faults)

    def change(self, faults: Direction) -> None:
        """Go on with other faults.

        A stage that stays the same goes on as it is; one that changes begins anew, with an empty
        queue or from number 1, but draws on from its generator.
        """
        old, self.faults = self.faults, faults
        kept = {
            name: stage
            for name, stage in self._stages.items()
            if getattr(old, name) == getattr(faults, name)
        }
        present = [f.name for f in fields(Direction) if getattr(faults, f.name)]
        self._stages = {name: kept.get(name) or self._made(name) for name in present}
        self._order = list(self._stages.values())
        only = self._order[0] if len(self._order) == 1 and self._record is None else None
        self.loses = only.decide if isinstance(only, Losing) else None

    def _made(self, name: str) -> Stage:
        setting = getattr(self.faults, name)
        if name == "rate":
            return Link(setting)
        if name in _BEFORE_COPIES:
            return _BEFORE_COPIES[name](setting, self._chance(name))
        return _ON_COPIES[name](setting, self._chance(name), self._chance(f"{name} of copies"))

    def _chance(self, stage: str) -> Random:
        if stage not in self._chances:
            self._chances[stage] = chance(self._seed, self.direction, stage, self._reflector)
        return self._chances[stage]

    @property
    def idle(self) -> bool:
        """Whether every packet passes as it is, at once: there is nothing to ask."""
        return not self._stages

    def pass_through(
        self,
        now_ns: int,
        number: int,
        datagram: bytes,
        deed: Deed | None = None,
        overhead_bytes: int = IPV4_OVERHEAD_BYTES,
    ) -> list[Packet]:
        """What becomes of a packet: none, one or two, each with its delay.

        :param now_ns: of any clock that never goes back.
        :param number: the request's, for the record.
        :param deed: what the fate script says of it.
        :param overhead_bytes: what its headers add to it on a link.
        """
        if deed is None and self.loses is not None:
            return [] if self.loses() else [(0, datagram)]
        note = partial(self._note, number) if self._record else None
        if isinstance(link := self._stages.get("rate"), Link):
            link.overhead_bytes = overhead_bytes
        packets = [(0, datagram)]
        if deed:
            for stage in self._order:  # they draw as for any other packet
                stage(now_ns, [], None)
            return self._done(deed, datagram, note)
        for stage in self._order:
            packets = stage(now_ns, packets, note)
        return packets

    def _done(self, deed: Deed, datagram: bytes, note: Note | None) -> list[Packet]:
        bits: tuple[int, ...] = ()
        if deed.kind == "corrupt":
            bits = different_bits([self._chance("fate").random()], 8 * len(datagram))
        if note:
            waits = deed.delay_ns if deed.kind == "delay" else None
            note("fate", deed.kind, applied_ns=waits, bits=bits)
        packet = (deed.delay_ns, turned_over(datagram, bits) if bits else datagram)
        return [packet] * {"drop": 0, "duplicate": 2}.get(deed.kind, 1)

    def _note(
        self,
        number: int,
        stage: str,
        verdict: str,
        *,
        copy: int = 0,
        drawn_ns: int | None = None,
        applied_ns: int | None = None,
        bits: tuple[int, ...] = (),
    ) -> None:
        if self._record:
            self._record(
                Decision(number, self.direction, stage, verdict, copy, drawn_ns, applied_ns, bits)
            )
