"""A timer that is late by hundredths of a millisecond: timerfd(2) as a descriptor of the reactor.

The reactor's own calls are late by about 0.7 ms, because epoll_wait counts whole milliseconds.
Where there is no timerfd, they have to do. Python has `os.timerfd_create` from 3.13 on only.

A process that sleeps is woken late, too: by 0.05 ms on a quiet machine, by 0.2 ms on a busy one.
So the descriptor asks to be woken as much earlier as it is usually late, and waits out the rest
awake. It is never early, and is awake for a tenth of a millisecond at most.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from struct import pack
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorFDSet, IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

log = Logger()
_ABSOLUTE = 1
#: How much earlier than needed one may be woken, and by how much that is changed at a time.
_MOST_LEAD_NS, _STEP_NS = 200_000, 2_000


class Timer(Protocol):
    """Wakes somebody at a time; it is set anew after each wake."""

    def set(self, due_ns: int | None) -> None:
        """Wake at this time instead of any earlier one asked for; None: not at all."""

    def close(self) -> None:
        """Never wake again."""


def timer(
    reactor: Any, wake: Callable[[], None], now_ns: Callable[[], int] = time.monotonic_ns
) -> Timer:
    """The best timer that this machine and this reactor have.

    :param now_ns: the clock that times are told by; another one than the system's monotonic clock
        is followed with the reactor's own calls.
    """
    if now_ns is time.monotonic_ns and IReactorFDSet.providedBy(reactor):
        with suppress(OSError, AttributeError):
            return _Descriptor(reactor, wake)
    return _Calls(reactor, wake, now_ns)


@implementer(IReadDescriptor)
class _Descriptor:
    """By timerfd."""

    def __init__(self, reactor: Any, wake: Callable[[], None]) -> None:
        if not sys.platform.startswith("linux"):
            raise OSError("timerfd is Linux's")
        self._library = ctypes.CDLL(None, use_errno=True)
        flags = os.O_NONBLOCK | os.O_CLOEXEC
        self._descriptor: int = self._library.timerfd_create(time.CLOCK_MONOTONIC, flags)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._reactor, self._wake = reactor, wake
        self._lead_ns = 0
        self._due_ns = self._asked_ns = 0
        reactor.addReader(self)

    def set(self, due_ns: int | None) -> None:
        self._due_ns = due_ns or 0
        self._asked_ns = self._due_ns - self._lead_ns
        seconds, ns = divmod(0 if due_ns is None else max(1, self._asked_ns), 1_000_000_000)
        wanted = pack("@qqqq", 0, 0, seconds, ns)  # struct itimerspec: no period, then the time
        self._library.timerfd_settime(self._descriptor, _ABSOLUTE, wanted, None)

    def close(self) -> None:
        self._reactor.removeReader(self)
        os.close(self._descriptor)
        self._descriptor = -1

    def doRead(self) -> None:
        """The time has come."""
        with suppress(BlockingIOError):  # it was set anew meanwhile
            os.read(self._descriptor, 8)
            self._learn(time.monotonic_ns() - self._asked_ns)
            while time.monotonic_ns() < self._due_ns:
                pass
            self._wake()

    def _learn(self, late_ns: int) -> None:
        """Lead by what three of four wakes are not later than."""
        step_ns = 3 * _STEP_NS if late_ns > self._lead_ns else -_STEP_NS
        self._lead_ns = min(max(0, self._lead_ns + step_ns), _MOST_LEAD_NS)

    def fileno(self) -> int:
        return self._descriptor

    def connectionLost(self, reason: Any) -> None:
        """The reactor ends; `close` follows."""

    def logPrefix(self) -> str:
        """The name of this descriptor in Twisted's log."""
        return "timer"


class _Calls:
    """By the reactor's own calls."""

    def __init__(self, reactor: Any, wake: Callable[[], None], now_ns: Callable[[], int]) -> None:
        self._reactor, self._wake, self._now_ns = reactor, wake, now_ns
        self._call: Any = None

    def set(self, due_ns: int | None) -> None:
        self.close()
        if due_ns is not None:
            seconds = max(0, due_ns - self._now_ns()) / 1e9
            self._call = self._reactor.callLater(seconds, self._wake)

    def close(self) -> None:
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
