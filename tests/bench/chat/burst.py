"""The burst: some clients send as fast as TCP takes it, to many readers; nothing may be lost."""

from __future__ import annotations

import re
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from .crowd import Client, Crowd, Ear, ended
from .servers import Server

LINE_BYTES = 64
#: After so long without a byte to anybody the burst is over, or will never be.
QUIET_S = 3.0
LIMIT_S = 300.0
#: Who does not read must be cut within this time.
CUT_S = 10.0
_LINE = re.compile(rb"@(\d+) (\d{6}) \.+\r?\n")


@dataclass(frozen=True)
class Load:
    """What is sent.

    :ivar lines: of each speaker.
    :ivar stopped: clients that come and never read.
    """

    speakers: int = 4
    readers: int = 200
    lines: int = 20_000
    stopped: int = 0

    @property
    def copies(self) -> int:
        """Every line reaches everyone but its speaker."""
        return self.speakers * self.lines * (self.readers + self.speakers - 1)


@dataclass(frozen=True)
class Burst:
    """What became of it.

    :ivar whole: clients that got each line of every other exactly once, in order.
    :ivar same: readers that got the very same bytes as the first of them.
    :ivar cut: clients that were reading and were cut.
    :ivar stopped_cut: stopped clients that were cut.
    :ivar crowd_s: CPU seconds of the load itself.
    :ivar waited_s: how long the server had no CPU, though it could run.
    """

    load: Load
    copies: int
    seconds: float
    cpu_s: float
    waited_s: float
    peak_bytes: int
    crowd_s: float
    whole: int
    same: int
    cut: int
    stopped_cut: int
    alive: bool

    @property
    def lost(self) -> int:
        return self.load.copies - self.copies

    @property
    def rate(self) -> float:
        """Copies per second."""
        return self.copies / self.seconds

    @property
    def clients(self) -> int:
        return self.load.readers + self.load.speakers


class Tape:
    """Keeps all that one client hears."""

    def __init__(self) -> None:
        self.data = bytearray()

    def __call__(self, buffer: bytearray, size: int) -> None:
        self.data += memoryview(buffer)[:size]

    def copies(self) -> int:
        return self.data.count(b"\n")

    def whole(self, speakers: set[int], lines: int) -> bool:
        """Whether each line of these speakers is there exactly once, in order."""
        numbers: dict[int, list[int]] = {speaker: [] for speaker in speakers}
        for speaker, number in _LINE.findall(self.data):
            numbers.setdefault(int(speaker), []).append(int(number))
        return set(numbers) == speakers and all(n == list(range(lines)) for n in numbers.values())


class Digest:
    """Sums up what one client hears, in less time than it takes to receive it."""

    __slots__ = ("crc", "lines", "size")

    def __init__(self) -> None:
        self.size = self.crc = self.lines = 0

    def __call__(self, buffer: bytearray, size: int) -> None:
        self.size += size
        self.crc = zlib.crc32(memoryview(buffer)[:size], self.crc)

    def equals(self, tape: Tape) -> bool:
        return self.size == len(tape.data) and self.crc == zlib.crc32(tape.data)


class Count(Digest):
    """A digest that counts the lines, where clients need not hear the same bytes."""

    __slots__ = ()

    def __call__(self, buffer: bytearray, size: int) -> None:
        super().__call__(buffer, size)
        self.lines += buffer.count(b"\n", 0, size)


def script(server: Server, speaker: int, lines: int) -> bytes:
    """All that a speaker says: numbered lines of 64 bytes."""
    heads = (f"@{speaker} {number:06} " for number in range(lines))
    return b"".join(server.say(head.encode().ljust(LINE_BYTES - 1, b".")) for head in heads)


def burst(server: Server, load: Load, directory: Path) -> Burst:
    """Start a server, join the crowd, let it all go."""
    process, port = server.start(directory)
    with process, Crowd(server, port) as crowd:
        for client in crowd.join(load.stopped):
            crowd.ignore(client)
        clients = crowd.join(load.readers + load.speakers)
        crowd.settle()
        process.wait_until_it_rests()
        scripts = [script(server, n, load.lines) for n in range(load.speakers)]
        judged = _Judged(server, load, clients)
        cpu_s, waited_s, crowd_s = process.cpu_s(), process.waited_s(), time.process_time()
        begin_s = time.monotonic()
        for speaker, text in zip(judged.speakers, scripts, strict=True):
            crowd.send(speaker, text)
        crowd.settle(QUIET_S, LIMIT_S)
        cpu_s, waited_s = process.cpu_s() - cpu_s, process.waited_s() - waited_s
        crowd_s = time.process_time() - crowd_s
        peak_bytes = process.peak_bytes()
        stopped = crowd.clients[: load.stopped]
        crowd.run(lambda: all(map(ended, stopped)), CUT_S - QUIET_S)
        return Burst(
            load=load,
            copies=judged.copies(),
            seconds=crowd.heard_s - begin_s,
            cpu_s=cpu_s,
            waited_s=waited_s,
            peak_bytes=peak_bytes,
            crowd_s=crowd_s,
            whole=judged.whole(),
            same=judged.same(),
            cut=crowd.cut(),
            stopped_cut=sum(map(ended, stopped)),
            alive=process.alive(),
        )


class _Judged:
    """Who hears what: one reader and all speakers are kept and read, of the others a digest."""

    def __init__(self, server: Server, load: Load, clients: list[Client]) -> None:
        self._load = load
        self.speakers, readers = clients[: load.speakers], clients[load.speakers :]
        self._tapes = [Tape() for _ in self.speakers]
        self._first = Tape()
        self._digests = [Digest() if server.exact else Count() for _ in readers[1:]]
        ears: list[Ear] = [*self._tapes, self._first, *self._digests]
        for client, ear in zip(clients, ears, strict=True):
            client.ear = ear

    def same(self) -> int:
        return 1 + sum(digest.equals(self._first) for digest in self._digests)

    def _everyone(self) -> set[int]:
        return set(range(self._load.speakers))

    def whole(self) -> int:
        everyone, lines = self._everyone(), self._load.lines
        taped = sum(t.whole(everyone - {n}, lines) for n, t in enumerate(self._tapes))
        return taped + (self.same() if self._first.whole(everyone, lines) else 0)

    def copies(self) -> int:
        """Lines that arrived; notices of the server are not among them where clients are whole."""
        everyone, lines = self._everyone(), self._load.lines
        copies = 0
        for number, tape in enumerate(self._tapes):
            own = everyone - {number}
            copies += len(own) * lines if tape.whole(own, lines) else tape.copies()
        first = (
            len(everyone) * lines if self._first.whole(everyone, lines) else self._first.copies()
        )
        each = len(self._first.data) / max(1, first)
        for digest in self._digests:
            if digest.equals(self._first):
                copies += first
            else:
                copies += digest.lines or round(digest.size / each)
        return copies + first
