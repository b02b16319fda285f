"""Many datagrams with one system call: recvmmsg(2) and sendmmsg(2) through ctypes.

    slot i:  name i     the source, as the kernel wrote it; the reply goes there
             memory i   64 KiB: the datagram, then the reply, sent from where it lies
             control i  what the kernel says beside it: when it came, its TTL

Everything is allocated once, and the kernel's structures are read and filled through memoryviews,
a field of all slots at a time. A reply may have a prefix, which all replies of a batch share.
Where the system calls are missing, `Plain` does the same with recvfrom and sendto.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import socket
import sys
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from netlabsvc.udp import kernel
from netlabsvc.udp.sources import NAME_BYTES, packed

#: How many datagrams are read before other sockets have their turn.
SLOTS = 64
#: More than the largest datagram, so that none is ever cut.
SLOT_BYTES = 65536
PREFIX_BYTES = 32


class Batch(Protocol):
    """The datagrams of one turn, and what goes back for them."""

    #: All slots, one behind the other: datagram i begins at ``i * SLOT_BYTES``. None where
    #: there is no such memory, and no prefix to send.
    memory: Any

    def receive(self) -> int:
        """Read what has come, up to all slots; 0 where there is nothing, or nothing can be had."""

    def names(self) -> Sequence[bytes]:
        """The sources of what was received: raw socket addresses."""

    def lengths(self) -> list[int]:
        """The lengths of what was received."""

    def arrivals(self) -> list[tuple[int, int]] | None:
        """When each came (Unix nanoseconds) and its TTL, 0 for unknown; None where none is told."""

    def datagram(self, index: int, length: int) -> bytes:
        """What was received in a slot."""

    def put(self, index: int, reply: bytes) -> None:
        """Let this be the answer to a datagram, in its place."""

    def send(self, prefix: bytes, chosen: Sequence[int]) -> list[int]:
        """Send back what lies in these slots, behind a prefix.

        :return: the error number of each that could not be sent.
        """


class Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_size_t),  # an int, and what aligns the next field
        ("received", ctypes.c_uint32),
    )


_HEADER_BYTES = ctypes.sizeof(Header)
_WORDS = _HEADER_BYTES // 4
_RECEIVED = Header.received.offset // 4


def system_calls() -> tuple[Callable[..., int], Callable[..., int]] | None:
    """The two system calls; None where they, or the layout above, are missing."""
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_void_p) != 8:
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        receive, send = library.recvmmsg, library.sendmmsg
    except AttributeError:
        return None
    common = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
    receive.argtypes, send.argtypes = (*common, ctypes.c_void_p), common
    return receive, send


def batch(sock: socket.socket, ancillary: bool, slots: int = SLOTS) -> Batch:
    """A batch for a UDP socket that does not block.

    :param ancillary: whether to ask for times of arrival and TTLs.
    """
    calls = system_calls()
    if calls is None:
        return Plain(sock)
    return _Mapped(sock, calls, ancillary and kernel.ask(sock), slots)


class _Mapped:
    """By recvmmsg and sendmmsg."""

    def __init__(
        self,
        sock: socket.socket,
        calls: tuple[Callable[..., int], Callable[..., int]],
        ancillary: bool,
        slots: int,
    ) -> None:
        self._descriptor = sock.fileno()
        self._receive, self._send = calls
        self._ancillary = ancillary
        self._slots = slots
        self._count = 0
        self._name_bytes = NAME_BYTES[sock.family]
        self.memory = mmap.mmap(-1, slots * SLOT_BYTES)  # untouched pages take no room
        self._names = bytearray(slots * self._name_bytes)
        self._control = bytearray(slots * kernel.CONTROL_BYTES)
        self._prefix = bytearray(PREFIX_BYTES)
        self._prefix_length = 0
        self._incoming = bytearray(slots * _HEADER_BYTES)
        self._outgoing = bytearray(slots * _HEADER_BYTES)
        self._into = bytearray(slots * ctypes.sizeof(Vector))
        self._from = bytearray(2 * slots * ctypes.sizeof(Vector))
        self._lay_out()
        self._fresh = bytes(self._incoming)
        self._templates = _cut(bytes(self._outgoing), _HEADER_BYTES)
        self._in_order = True
        self._received = memoryview(self._incoming).cast("I")
        self._from_words = memoryview(self._from).cast("Q")
        self._incoming_at = _address(self._incoming)
        self._outgoing_at = _address(self._outgoing)

    def _lay_out(self) -> None:
        """Let every slot's headers point to what is its own."""
        slots, vector_bytes = range(self._slots), ctypes.sizeof(Vector)
        into = (Vector * self._slots).from_buffer(self._into)
        out_of = (Vector * (2 * self._slots)).from_buffer(self._from)
        incoming = (Header * self._slots).from_buffer(self._incoming)
        outgoing = (Header * self._slots).from_buffer(self._outgoing)
        memory, names, prefix = map(_address, (self.memory, self._names, self._prefix))
        control = _address(self._control) if self._ancillary else None
        for i in slots:
            name, at = names + i * self._name_bytes, memory + i * SLOT_BYTES
            into[i] = Vector(at, SLOT_BYTES)
            out_of[2 * i], out_of[2 * i + 1] = Vector(prefix, 0), Vector(at, 0)
            vectors = _address(self._into) + i * vector_bytes
            incoming[i] = Header(name, self._name_bytes, vectors, 1, None, 0, 0, 0)
            if control is not None:
                incoming[i].control = control + i * kernel.CONTROL_BYTES
                incoming[i].control_length = kernel.CONTROL_BYTES
            vectors = _address(self._from) + 2 * i * vector_bytes
            outgoing[i] = Header(name, self._name_bytes, vectors, 2, None, 0, 0, 0)

    def receive(self) -> int:
        if self._ancillary:
            self._incoming[:] = self._fresh  # the kernel wrote how much of control it used
        count = self._receive(
            self._descriptor, self._incoming_at, self._slots, socket.MSG_DONTWAIT, None
        )
        self._count = max(0, count)
        return self._count

    def names(self) -> Sequence[bytes]:
        return _cut(bytes(self._names[: self._count * self._name_bytes]), self._name_bytes)

    def lengths(self) -> list[int]:
        lengths = self._received[_RECEIVED : _WORDS * self._count : _WORDS].tolist()
        self._from_words[3 : 4 * self._count : 4] = memoryview(array("Q", lengths))
        return lengths

    def arrivals(self) -> list[tuple[int, int]] | None:
        if not self._ancillary:
            return None
        return kernel.arrivals(memoryview(self._control)[: self._count * kernel.CONTROL_BYTES])

    def datagram(self, index: int, length: int) -> bytes:
        at = index * SLOT_BYTES
        data: bytes = self.memory[at : at + length]
        return data

    def put(self, index: int, reply: bytes) -> None:
        at = index * SLOT_BYTES
        self.memory[at : at + len(reply)] = reply
        self._from_words[4 * index + 3] = len(reply)

    def send(self, prefix: bytes, chosen: Sequence[int]) -> list[int]:
        self._set_prefix(prefix)
        in_order = len(chosen) == self._count
        if not in_order:
            headers = b"".join([self._templates[i] for i in chosen])
            self._outgoing[: len(headers)] = headers
        elif not self._in_order:
            self._outgoing[:] = b"".join(self._templates)
        self._in_order = in_order
        return list(self._send_headers(len(chosen)))

    def _set_prefix(self, prefix: bytes) -> None:
        length = len(prefix)
        self._prefix[:length] = prefix
        if length != self._prefix_length:
            self._prefix_length = length
            self._from_words[1::4] = memoryview(array("Q", [length] * self._slots))

    def _send_headers(self, count: int) -> Iterator[int]:
        """sendmmsg ends at the first that it cannot send, and tells why if that comes first."""
        done = 0
        while done < count:
            at = self._outgoing_at + done * _HEADER_BYTES
            sent = self._send(self._descriptor, at, count - done, socket.MSG_DONTWAIT)
            if sent > 0:
                done += sent
            elif (error := ctypes.get_errno()) != errno.EINTR:
                done += 1
                yield error


class Plain:
    """By recvfrom and sendto: everywhere, at two thirds of the speed."""

    memory = None

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received: list[tuple[bytes, Any]] = []
        self._replies: dict[int, bytes] = {}

    def receive(self) -> int:
        self._received, self._replies = [], {}
        for _ in range(SLOTS):
            try:
                self._received.append(self._socket.recvfrom(SLOT_BYTES))
            except OSError:  # nothing is left, or the kernel is short of memory: both pass
                break
        return len(self._received)

    def names(self) -> Sequence[bytes]:
        return [packed(address) for _, address in self._received]

    def lengths(self) -> list[int]:
        return [len(data) for data, _ in self._received]

    def arrivals(self) -> list[tuple[int, int]] | None:
        return None

    def datagram(self, index: int, length: int) -> bytes:
        return self._received[index][0]

    def put(self, index: int, reply: bytes) -> None:
        self._replies[index] = reply

    def send(self, prefix: bytes, chosen: Sequence[int]) -> list[int]:
        errors = []
        for index in chosen:
            data, address = self._received[index]
            try:
                self._socket.sendto(prefix + self._replies.get(index, data), address)
            except OSError as error:
                errors.append(error.errno or 0)
        return errors


def _address(buffer: Any) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
