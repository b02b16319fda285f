"""What a run of probes has seen, packet by packet: the raw material of every figure.

    T1 the probe leaves, T2 it arrives there, T3 the reply leaves there, T4 it arrives here

T1 and T4 are on one monotonic clock of this machine, T2 and T3 on the server's wall clock; all are
integers in nanoseconds. It knows no packet formats, no sockets and no arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Matching(StrEnum):
    """How it is known which probe a reply belongs to."""

    NUMBER = "number"
    """The reply carries the number of its probe."""
    ORDER = "order"
    """The server sends no number back: each reply was given to the oldest open probe."""


class Stamps(StrEnum):
    """Where T1 and T4 come from."""

    KERNEL = "kernel"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply, as it came; those of a run are in the order of arrival."""

    seq: int
    """The number of its probe, from 1."""
    arrived_ns: int
    """T4."""
    size_bytes: int
    ttl: int = 0
    """That it arrived with; 0 where that is not known."""
    received_ns: int | None = None
    """T2, in Unix nanoseconds; None where the server does not tell."""
    replied_ns: int | None = None
    """T3, in Unix nanoseconds; None where the server does not tell."""
    number: int | None = None
    """The server's own count of its replies (stateful STAMP); None where it has none."""
    read_ns: int = 0
    """When this program read it, on the clock of T4: later than the kernel's T4."""


@dataclass(slots=True)
class Probe:
    """One probe that left."""

    seq: int
    """From 1."""
    due_ns: int
    """When the schedule wanted it to leave."""
    sent_ns: int
    """T1: when it left, as well as it is known."""
    sent_wall_ns: int
    """T1 again, in Unix nanoseconds: the only clock that can be compared with T2 and T3."""
    wrote_ns: int = 0
    """When this program called send(), on the clock of T1."""
    size_bytes: int = 0


@dataclass(slots=True)
class Trace:
    """One run to one address."""

    timeout_ns: int
    """A reply that takes longer is late."""
    protocol: str
    """``text`` or ``stamp``."""
    matching: Matching = Matching.NUMBER
    stamps: Stamps = Stamps.USER
    why_user: str = ""
    """Why the kernel's stamps are not used, for people; empty where they are."""
    stateful: bool = False
    """The server counts its replies, so that each direction can be told apart."""
    clock_error_ns: int | None = None
    """How wrong this machine's wall clock may be; None: not synchronised, or not known."""
    server_clock_error_ns: int | None = None
    """The same of the server's, as it says itself."""
    ended_ns: int = 0
    probes: list[Probe] = field(default_factory=list)
    """By number: probe n is at n - 1."""
    replies: list[Reply] = field(default_factory=list)
    strays: int = 0
    """Replies that belong to no probe of this run."""
    surplus: int = 0
    """Copies that came and were not kept, because there were too many of one probe."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know to trust the figures, a sentence each."""
