"""The bytes of a file on their way into a response, as fast as the peer takes them.

Over plain TCP the kernel copies them from file to socket (sendfile(2)), a bounded number in each
turn of the reactor. Otherwise they are read and written, with back-pressure.

It knows an open file and a request; ranges and headers are decided elsewhere.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.interfaces import IPushProducer, IWriteDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from zope.interface import implementer

from netlabsvc.connections import peer_name

#: Read and handed on at a time: what Twisted sends in one turn of the reactor (SEND_LIMIT).
CHUNK_BYTES = 128 * 1024
#: Copied by the kernel at a time; others wait some 0.1 ms for it.
TURN_BYTES = 512 * 1024


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
    """

    def __init__(
        self, request: Request, fd: int, first: int, length: int, sock: socket.socket
    ) -> None:
        super().__init__(request, fd, first, length)
        self._socket_fd = os.dup(sock.fileno())
        self._channel = self._request.channel
        self._reactor = self._channel.transport.reactor

    def start(self) -> None:
        super().start()
        self._channel.watch_output()
        self._reactor.addWriter(self)

    def fileno(self) -> int:
        return self._socket_fd

    def logPrefix(self) -> str:
        return "web"

    def doWrite(self) -> None:
        try:
            most = min(TURN_BYTES, self._left)
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

    def close(self) -> None:
        self._reactor.removeWriter(self)
        os.close(self._socket_fd)
        super().close()
