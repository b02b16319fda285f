"""The load: bursts of equal datagrams, each burst answered before the next one leaves.

recvmmsg and sendmmsg, so that one core of load keeps one of server busy.
"""

from __future__ import annotations

import ctypes
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netlabsvc.udp.batch import Header, Vector, system_calls

BURST = 64
#: Bursts on their way at once: less than what a socket's default buffer holds.
AHEAD = 2
#: How long the rest of a burst may take.
PATIENCE_S = 2.0
_REPLY_BYTES = 512


@dataclass(frozen=True)
class Answered:
    """What came of a load."""

    sent: int
    received: int


class Load:
    """A client with one connected socket.

    :param answered: whether the next request will have a reply: who knows the seed need not wait
        for those that are lost on purpose.
    """

    def __init__(
        self, port: int, payload: bytes, answered: Callable[[], bool] = lambda: True
    ) -> None:
        self._answered = answered
        calls = system_calls()
        assert calls is not None, "the load needs recvmmsg"
        self._receive, self._send = calls
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.connect(("127.0.0.1", port))
        self._payload = ctypes.create_string_buffer(payload, len(payload))
        self._room = ctypes.create_string_buffer(_REPLY_BYTES)
        out = Vector(ctypes.addressof(self._payload), len(payload))
        into = Vector(ctypes.addressof(self._room), _REPLY_BYTES)
        self._vectors = (Vector * 2)(out, into)
        self._outgoing = self._headers(ctypes.addressof(self._vectors))
        self._incoming = self._headers(ctypes.addressof(self._vectors) + ctypes.sizeof(Vector))

    @staticmethod
    def _headers(vector: int) -> Any:
        return (Header * BURST)(*(Header(None, 0, vector, 1) for _ in range(BURST)))

    def run(self, count: int) -> Answered:
        """Send that many, in whole bursts, and read what comes."""
        sent = received = 0
        while sent < count:
            for _ in range(AHEAD):
                self._send(self._socket.fileno(), ctypes.addressof(self._outgoing), BURST, 0)
            sent += AHEAD * BURST
            received += self._drain(sum(self._answered() for _ in range(AHEAD * BURST)))
        return Answered(sent, received)

    def _drain(self, expected: int) -> int:
        got, ready = 0, select.poll()
        ready.register(self._socket, select.POLLIN)
        while got < expected and ready.poll(1000 * PATIENCE_S):
            at = ctypes.addressof(self._incoming)
            got += max(0, self._receive(self._socket.fileno(), at, BURST, 64, None))
        return got

    def close(self) -> None:
        self._socket.close()


def answers(port: int, payload: bytes) -> bool | None:
    """Whether a server answers by now; None where there is none yet."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.1)
        sock.connect(("127.0.0.1", port))
        try:
            sock.send(payload)
            return bool(sock.recv(2048))
        except TimeoutError:
            return False
        except OSError:
            return None
