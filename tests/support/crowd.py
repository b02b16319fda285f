"""Many chat clients in one thread, and a pair of clients that measures how fast a room answers.

The clients are plain sockets: what they send is cut and timed as the test says, and what they hear
is kept as it came.
"""

from __future__ import annotations

import random
import re
import select
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType

from support.daemon import PATIENCE_S

#: Time, name and address; then the text.
SAID = re.compile(rb"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] (\S+) \((\S+)\): (.*)$")
_RESET = struct.pack("ii", 1, 0)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Voice:
    """One client.

    :ivar heard: the bytes that came since the last `forget`.
    :ivar heard_lines: how many lines that is.
    :ivar ended: whether the server ended the connection.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.peer = f"127.0.0.1:{sock.getsockname()[1]}"
        self.heard = bytearray()
        self.heard_lines = 0
        self.ended = False
        self.unsent: list[bytes] = []

    def lines(self) -> list[bytes]:
        return bytes(self.heard).split(b"\n")[:-1]

    def said(self) -> list[bytes]:
        """The lines that others said, with their headers."""
        return [line for line in self.lines() if not line.startswith(b"***")]

    def forget(self) -> None:
        self.heard.clear()
        self.heard_lines = 0


class Crowd:
    """Clients of one daemon."""

    def __init__(self, port: int, size: int = 0) -> None:
        self.voices: list[Voice] = []
        self._port = port
        self._selector = selectors.EpollSelector()
        self.join(size)

    def join(self, size: int) -> list[Voice]:
        """Let some more clients in; returns them when each has read its greeting."""
        new = self.knock(size)
        self.run(lambda: all(b"/help" in voice.heard for voice in new))
        return new

    def knock(self, size: int) -> list[Voice]:
        """Let some more clients connect, and do not wait for their greetings."""
        new = []
        for _ in range(size):
            voice = Voice(socket.create_connection(("127.0.0.1", self._port), PATIENCE_S))
            voice.sock.setblocking(False)
            self._selector.register(voice.sock, _READ, voice)
            new.append(voice)
            self.turn(0)
        self.voices += new
        return new

    def send(self, voice: Voice, *chunks: bytes) -> None:
        """Send chunks, one for each time the client is ready to write."""
        voice.unsent += chunks
        self._selector.modify(voice.sock, _READ | _WRITE, voice)

    def turn(self, timeout_s: float = 0.1) -> None:
        """Read and write what can be read and written now."""
        for key, events in self._selector.select(timeout_s):
            if events & _READ:
                self._read(key.data)
            if events & _WRITE and not key.data.ended:
                self._write(key.data)

    def run(self, until: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
        """Take turns until something holds."""
        end = time.monotonic() + within_s
        while not until():
            assert time.monotonic() < end, f"not within {within_s} s"
            self.turn()

    def rest(self, seconds: float) -> None:
        """Take turns for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.turn(0.02)

    def _read(self, voice: Voice) -> None:
        try:
            data = voice.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            voice.ended = True
            self._selector.unregister(voice.sock)
        voice.heard += data
        voice.heard_lines += data.count(b"\n")

    def _write(self, voice: Voice) -> None:
        if voice.unsent:
            with suppress(BlockingIOError, ConnectionError):
                sent = voice.sock.send(voice.unsent[0])
                voice.unsent[:1] = [voice.unsent[0][sent:]] if sent < len(voice.unsent[0]) else []
        if not voice.unsent:
            self._selector.modify(voice.sock, _READ, voice)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for voice in self.voices:
            voice.sock.close()
        self._selector.close()


def cut_anywhere(data: bytes, rng: random.Random, pieces: int) -> list[bytes]:
    """Cut bytes at random places."""
    places = sorted(rng.randrange(len(data)) for _ in range(pieces - 1))
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True) if a < b]


def reset(sock: socket.socket) -> None:
    """Close a connection so that the peer gets a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def speaker(line: bytes) -> bytes:
    """The address of who said a line."""
    match = SAID.match(line)
    assert match, line
    return match[2]


def text(line: bytes) -> bytes:
    """What was said in a line."""
    match = SAID.match(line)
    assert match, line
    return match[3]


class Pulse(threading.Thread):
    """Two clients that talk to each other all the time, and note how long each line took.

    :ivar delays_s: of each line, from the write to the read.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        where = ("127.0.0.1", port)
        self._pair = [socket.create_connection(where, PATIENCE_S) for _ in range(2)]
        self._over = threading.Event()
        self.delays_s: list[float] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            number = 0
            self._beat(number)
            # Slower than the default rate: 10 lines a second for each of the two.
            while not self._over.wait(0.06):
                number += 1
                self._beat(number)
        except BaseException as error:
            self.error = error

    def _beat(self, number: int) -> None:
        """Let one speak and the other hear it; both read all the time, or they would be cut."""
        began = time.monotonic()
        self._pair[number % 2].sendall(b"pulse %d\n" % number)
        hearer, tail = self._pair[1 - number % 2], b""
        while b": pulse %d\n" % number not in tail:
            readable, _, _ = select.select(self._pair, [], [], PATIENCE_S)
            assert readable, f"nothing heard for {PATIENCE_S} s"
            for client in readable:
                data = client.recv(1 << 18)
                assert data, "the server ended the connection"
                if client is hearer:
                    tail = tail[-30:] + data
        self.delays_s.append(time.monotonic() - began)

    def stop(self) -> list[float]:
        """End it; returns the delays, sorted.

        :raises AssertionError: when one of the two was cut or heard nothing for long.
        """
        self._over.set()
        self.join(2 * PATIENCE_S)
        for client in self._pair:
            client.close()
        assert self.error is None, repr(self.error)
        assert not self.is_alive()
        assert self.delays_s
        return sorted(self.delays_s)


def percentile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


@contextmanager
def answering(port: int, within_s: float = 2.0, share: float = 1.0) -> Iterator[None]:
    """While this lasts, two others talk, and each of their lines arrives in time.

    :param share: of the lines that must be in time.
    """
    pulse = Pulse(port)
    pulse.start()
    try:
        yield
    finally:
        delays_s = pulse.stop()
    p50, p99 = percentile(delays_s, 0.5), percentile(delays_s, 0.99)
    print(
        f"{len(delays_s)} lines of others: median {p50 * 1e3:.1f} ms, 99 % {p99 * 1e3:.1f} ms, "
        f"longest {delays_s[-1] * 1e3:.1f} ms"
    )
    assert percentile(delays_s, share) <= within_s
