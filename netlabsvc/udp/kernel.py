"""What Linux knows and Python does not ask: when a datagram came or left, its TTL, the clock.

    control message (cmsghdr, 64 bit)       what is asked for          in this order
    +------------------+-----------------+
    | length           | level  | type   |  SO_TIMESTAMPNS: seconds, nanoseconds (8 + 8)
    | data, padded to 8                  |  IP_TTL or IPV6_HOPLIMIT: 4, padded to 8
    +------------------------------------+

A time stamp is taken when the datagram reaches the socket, however late it is read: a busy process
does not count as delay of the path. One that leaves gets its stamp from the driver; it waits in
the socket's error queue, which must be emptied, or the socket stays ready for ever:

    SCM_TIMESTAMPING: 3 times seconds, nanoseconds; the first is software's
    IP_RECVERR or IPV6_RECVERR (sock_extended_err): errno 4, origin 1 (4: a time stamp), type 1,
    code 1, padding 1, information 4, number of the datagram 4

Elsewhere nothing is told, and nobody pretends.
"""

from __future__ import annotations

import ctypes
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from struct import Struct, iter_unpack

#: Of a slot: one message of 32 bytes, one of 24, and room that stays empty.
CONTROL_BYTES = 64
_SO_TIMESTAMPNS = 35
_IP_RECVTTL, _IP_TTL = 12, 2
_IPV6_RECVHOPLIMIT, _IPV6_HOPLIMIT = 51, 52
_BOTH = "=QiiqqQiiI12x"
_MESSAGE = Struct("=Qii")
_MESSAGES = {(socket.SOL_SOCKET, _SO_TIMESTAMPNS): Struct("=qq")}
_TTLS = {(socket.IPPROTO_IP, _IP_TTL), (socket.IPPROTO_IPV6, _IPV6_HOPLIMIT)}
_SO_TIMESTAMPING = 37
#: Stamps of departure, in software, with the datagram's number, without its bytes.
_DEPARTURES = 2 | 16 | 128 | 2048
_ERRORS = {(socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)}
_FROM_STAMPING = 4
_ERROR = Struct("=IBBBxII")
_TIMES = Struct("=qq32x")
_SO_MEMINFO = 55
#: Nine counts of a socket's memory; the last is how often there was none (SK_MEMINFO_DROPS).
_MEMORY = Struct("=9I")
#: Room for the control messages of a single datagram.
SINGLE_BYTES = 256


def ask(sock: socket.socket) -> bool:
    """Let the kernel tell times of arrival and TTLs; False where it does not."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)  # IPv4 through IPv6, too
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVHOPLIMIT, 1)
    except OSError:
        return False
    return True


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """Let datagrams leave with this TTL, or hop limit; as well as this system can."""
    with suppress(OSError):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)  # IPv4 through IPv6, too
    if sock.family == socket.AF_INET6:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def arrivals(control: memoryview) -> list[tuple[int, int]]:
    """Time (Unix nanoseconds) and TTL from the control messages of some slots; 0 for unknown."""
    found = []
    for index, fields in enumerate(iter_unpack(_BOTH, control)):
        _, level, kind, seconds, ns, _, ttl_level, ttl_kind, ttl = fields
        if (level, kind) in _MESSAGES and (ttl_level, ttl_kind) in _TTLS:
            found.append((seconds * 1_000_000_000 + ns, ttl & 0xFF))
        else:
            at = index * CONTROL_BYTES
            found.append(_arrival(control[at : at + CONTROL_BYTES]))
    return found


def _arrival(control: memoryview) -> tuple[int, int]:
    """The same from one slot, whatever stands where."""
    at_ns = ttl = at = 0
    while at + _MESSAGE.size + 4 <= len(control):
        length, level, kind = _MESSAGE.unpack_from(control, at)
        data = control[at + _MESSAGE.size : at + length]
        if (level, kind) in _MESSAGES and len(data) == 16:
            seconds, ns = _MESSAGES[level, kind].unpack(data)
            at_ns = seconds * 1_000_000_000 + ns
        elif (level, kind) in _TTLS and len(data) == 4:
            ttl = data[0] if sys.byteorder == "little" else data[3]
        at += max(_MESSAGE.size, length + 7 & ~7)
    return at_ns, ttl


def arrival(messages: Sequence[tuple[int, int, bytes]]) -> tuple[int, int]:
    """Time (Unix nanoseconds) and TTL from what `socket.recvmsg` gives; 0 for unknown."""
    at_ns = ttl = 0
    for level, kind, data in messages:
        if (level, kind) in _MESSAGES and len(data) == 16:
            seconds, ns = _MESSAGES[level, kind].unpack(data)
            at_ns = seconds * 1_000_000_000 + ns
        elif (level, kind) in _TTLS and len(data) == 4:
            ttl = int.from_bytes(data, sys.byteorder) & 0xFF
    return at_ns, ttl


def ask_departures(sock: socket.socket) -> bool:
    """Let the kernel tell when datagrams leave; False where it does not."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _DEPARTURES)
    except OSError:
        return False
    return True


def departures(sock: socket.socket) -> Iterator[tuple[int, int]]:
    """Empty the error queue: number (from 0) and time (Unix nanoseconds) of what has left."""
    while True:
        try:
            _, messages, _, _ = sock.recvmsg(0, SINGLE_BYTES, socket.MSG_ERRQUEUE)
        except OSError:  # mostly: it is empty
            return
        number, at_ns = None, 0
        for level, kind, data in messages:
            if (level, kind) in _ERRORS and len(data) >= _ERROR.size:
                _, origin, _, _, _, count = _ERROR.unpack_from(data)
                number = count if origin == _FROM_STAMPING else None
            elif (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPING) and len(data) == 48:
                seconds, ns = _TIMES.unpack(data)
                at_ns = seconds * 1_000_000_000 + ns
        if number is not None and at_ns:
            yield number, at_ns


def drops(sock: socket.socket) -> int:
    """How many datagrams found no room in the socket since it was opened; 0 where nobody knows."""
    if not sys.platform.startswith("linux"):
        return 0
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMORY.size)
    except OSError:
        return 0
    return int(_MEMORY.unpack(told)[-1]) if len(told) == _MEMORY.size else 0


class _Timex(ctypes.Structure):
    """The beginning of struct timex, adjtimex(2); the rest is room for what we do not read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


_STA_UNSYNC = 0x40
#: What a kernel says of a clock that nobody has set: NTP_PHASE_LIMIT.
UNKNOWN_ERROR_NS = 16 * 10**9


def clock_quality() -> tuple[bool, int]:
    """Whether the clock is synchronised to UTC, and how wrong it may be, in nanoseconds."""
    timex = _Timex()  # modes 0: only look
    try:
        failed = ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0
    except (AttributeError, OSError, TypeError):  # no such call here
        failed = True
    if failed:
        return False, UNKNOWN_ERROR_NS
    return not timex.status & _STA_UNSYNC, max(0, timex.maxerror) * 1000
