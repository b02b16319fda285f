"""The bytes of a file on their way into a response, as fast as the peer takes them.

It knows an open file and a request; ranges and headers are decided elsewhere.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.web.http import Request
from zope.interface import implementer

from netlabsvc.connections import peer_name

#: Read and handed on at a time: what Twisted sends in one turn of the reactor (SEND_LIMIT).
CHUNK_BYTES = 128 * 1024


@implementer(IPushProducer)
class Transfer:
    """Sends a part of a file and finishes the request.

    A length was promised. Where the file turns out shorter the connection is aborted, for there is
    no other way to tell the peer.
    """

    _log = Logger()

    def __init__(self, request: Request, fd: int, first: int, length: int) -> None:
        """:param fd: an open file, which the transfer closes when the request is over."""
        self._request = request
        self._fd = fd
        self._at = first
        self._left = length
        self._paused = False

    def start(self) -> None:
        self._request.notifyFinish().addBoth(self._over)
        self._request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        while self._left and not self._paused:
            try:
                data = os.pread(self._fd, min(CHUNK_BYTES, self._left), self._at)
            except OSError as error:
                self._abort(str(error.strerror))
                return
            if not data:
                self._abort("it shrank while it was served")
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

    def _abort(self, why: str) -> None:
        self._log.warn(
            "web {peer} cut off {left} bytes before the end of {target}: {why}",
            peer=peer_name(self._request.getClientAddress()),
            left=self._left,
            target=self._request.uri.decode("latin-1"),
            why=why,
        )
        self._paused = True
        self._request.unregisterProducer()
        transport: Any = self._request.transport
        transport.abortConnection()

    def _over(self, _: object) -> None:
        os.close(self._fd)
