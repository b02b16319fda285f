"""The bytes of a file on their way into a response, as fast as the peer takes them.

Over plain TCP the kernel copies them from file to socket (sendfile(2)), a bounded number in each
turn of the reactor; what first has to come from the disk is waited for in a thread. Otherwise they
are read and written, with back-pressure.

It knows an open file and a request; ranges and headers are decided elsewhere.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IWriteDescriptor
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from zope.interface import implementer

from netlabsvc.connections import peer_name

#: Read and handed on at a time: what Twisted sends in one turn of the reactor (SEND_LIMIT).
CHUNK_BYTES = 128 * 1024
#: Copied by the kernel at a time; others wait some 0.1 ms for it.
TURN_BYTES = 512 * 1024
#: Read from the disk at a time: the kernel copies it twice as fast as a good disk reads it.
AHEAD_BYTES = 1024 * 1024


def send(request: Request, fd: int, first: int, length: int) -> None:
    """Send a part of a file and finish the request.

    A length was promised. Where the file turns out shorter the connection is aborted, for there is
    no other way to tell the peer.

    :param fd: an open file, which is closed when the request is over.
    """
    request.write(b"")  # the head, which has to be in the kernel before sendfile
    channel: Any = request.channel
    sock = channel.flushed_socket() if length else None
    transfer: Transfer
    if sock is None:
        transfer = Reading(request, fd, first, length)
    else:
        transfer = Copying(request, fd, first, length, sock)
    transfer.start()


class Transfer:
    """What both ways have in common."""

    _log = Logger()

    def __init__(self, request: Request, fd: int, first: int, length: int) -> None:
        self._request: Any = request
        self._fd = fd
        self._at = first
        self._left = length

    def start(self) -> None:
        self._request.notifyFinish().addBoth(lambda _: self.close())

    def _abort(self, why: str) -> None:
        """Cut the connection; `close` follows in the next turn of the reactor."""
        self._log.warn(
            "web {peer} cut off {left} bytes before the end of {target}: {why}",
            peer=peer_name(self._request.getClientAddress()),
            left=self._left,
            target=self._request.uri.decode("latin-1"),
            why=why,
        )
        self._request.transport.abortConnection()

    def close(self) -> None:
        """The request is over, one way or the other."""
        os.close(self._fd)


@implementer(IPushProducer)
class Reading(Transfer):
    """Reads and writes."""

    _paused = False

    def start(self) -> None:
        super().start()
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while self._left and not self._paused:
            try:
                data = os.pread(self._fd, min(CHUNK_BYTES, self._left), self._at)
            except OSError as error:
                self._give_up(str(error.strerror))
                return
            if not data:
                self._give_up("it shrank while it was served")
                return
            self._at += len(data)
            self._left -= len(data)
            self._request.write(data)  # a full buffer pauses us from in here
        if not self._left:
            self._end()

    def pauseProducing(self) -> None:
        self._paused = True

    def stopProducing(self) -> None:
        self._paused = True

    def _end(self) -> None:
        """The part is out."""
        self._request.unregisterProducer()
        self._request.finish()

    def _give_up(self, why: str) -> None:
        self._paused = True
        self._request.unregisterProducer()
        self._abort(why)


@implementer(IWriteDescriptor)
class Copying(Transfer):
    """Has the kernel copy, whenever the reactor says that the socket takes more.

    It does so on a descriptor of its own for the same socket, because the reactor knows that of the
    transport, which goes on reading.

    sendfile(2) waits for the disk, and the whole daemon with it, for 3 to 20 ms and more. So one
    looks first whether the bytes are in memory; where they are not a thread reads them.
    """

    def __init__(
        self, request: Request, fd: int, first: int, length: int, sock: socket.socket
    ) -> None:
        super().__init__(request, fd, first, length)
        self._socket_fd = os.dup(sock.fileno())
        self._channel = self._request.channel
        self._reactor = self._channel.transport.reactor
        self._read_to = 0
        self._reading: Deferred[bytes] | None = None
        self._closed = False

    def start(self) -> None:
        super().start()
        self._channel.watch_output()
        self._reactor.addWriter(self)

    def fileno(self) -> int:
        return self._socket_fd

    def logPrefix(self) -> str:
        return "web"

    def doWrite(self) -> None:
        most = min(TURN_BYTES, self._left)
        if self._at + most > self._read_to and not self._has_in_memory(most):
            self._read_ahead()
            return
        try:
            sent = os.sendfile(self._socket_fd, self._fd, self._at, most)
        except BlockingIOError:
            return
        except ConnectionError:
            self._channel.abort()
            return
        except OSError as error:
            self._abort(str(error.strerror))
            return
        if not sent:
            self._abort("it shrank while it was served")
            return
        self._at += sent
        self._left -= sent
        self._request.sentLength += sent
        if not self._left:
            self._reactor.removeWriter(self)
            self._channel.unwatch_output()
            self._request.finish()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor saw the end of the connection here before it saw it at the transport."""
        self._channel.abort()

    def _has_in_memory(self, most: int) -> bool:
        """Whether the next bytes are in memory; mostly many more are, which need no look then."""
        far = min(AHEAD_BYTES * 4, self._left)
        if _in_memory(self._fd, self._at + far - 1):
            self._read_to = self._at + far
            return True
        return _in_memory(self._fd, self._at + most - 1)

    def _read_ahead(self) -> None:
        """Go on when the next bytes are in memory. That they are is not asked again: they go out
        even if the kernel should have dropped them.
        """
        self._reactor.removeWriter(self)
        length = min(AHEAD_BYTES, self._left)
        self._read_to = self._at + length
        pool = self._reactor.getThreadPool()
        self._reading = deferToThreadPool(self._reactor, pool, os.pread, self._fd, length, self._at)
        self._reading.addBoth(self._have_read)

    def _have_read(self, _: object) -> None:
        """What went wrong there goes wrong in sendfile, too, which tells."""
        self._reading = None
        if self._closed:
            self.close()
        else:
            self._reactor.addWriter(self)

    def close(self) -> None:
        self._closed = True
        self._reactor.removeWriter(self)
        if self._reading is None:  # else its number might be another file's before it is read
            os.close(self._socket_fd)
            super().close()


def _in_memory(fd: int, at: int) -> bool:
    """Whether a byte of a file can be had without waiting for a disk.

    Bytes are sent in order, and the kernel reads ahead: where it is, those before it are.
    """
    try:
        os.preadv(fd, [bytearray(1)], at, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:  # a file system that cannot tell, or an error that sendfile will meet
        return True
    return True
