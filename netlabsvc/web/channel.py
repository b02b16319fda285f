"""One HTTP/1.1 connection (RFC 9112): what it counts, what it waits for, and for how long.

    waits for                       for                          then
    a request                       60 s since the last answer   closed
    the rest of a request's head    10 s in all                  408
    the rest of a body              30 s without a byte          408
    the peer to read                30 s without an acknowledged byte   aborted
    the peer to close after refuse  2 s                          aborted

twisted.web reads the requests; nothing here knows what is served. A refusal is followed by a short
wait for the peer's end, because a close with unread bytes would reset the connection, and the
answer might be lost with it.

While no request is under way, whole heads are looked up in the site's lane first. What it does not
know goes to twisted.web, byte for byte and in the same order.
"""

from __future__ import annotations

import re
import socket
from enum import Enum, unique
from typing import TYPE_CHECKING, Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, ITCPTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel, Request
from zope.interface import implementer

from netlabsvc.connections import acknowledged_bytes, peer_name, plain_socket, unsent_bytes
from netlabsvc.web import pages
from netlabsvc.web.access import Who, who
from netlabsvc.web.lane import end_of_head

if TYPE_CHECKING:
    from netlabsvc.web.site import Site

MAX_BODY_BYTES = 1 << 20
RETRY_AFTER_S = 5
STALL_S = 30.0
#: How often one looks whether the peer reads: one that stopped is cut as much later at most.
LOOK_S = 10.0
#: The end of a request line (RFC 9110 section 2.5).
_VERSION = re.compile(rb" HTTP/([0-9])\.([0-9])\Z")


@unique  # two equal times would be one state
class Awaits(Enum):
    """What the peer owes, with the seconds it has."""

    NOTHING = None
    REQUEST = 60.0
    HEAD = 10.0
    BODY = 30.0
    CLOSE = 2.0


@implementer(IHalfCloseableProtocol)
class Channel(HTTPChannel):
    """A connection of the site."""

    site: Site
    transport: Any
    _networkProducer: Any
    _log = Logger()

    def __init__(self) -> None:
        super().__init__()
        self._awaits = Awaits.NOTHING
        self._deadline: IDelayedCall | None = None
        self._stall: IDelayedCall | None = None
        self._acknowledged: int | None = 0
        self._stalled_s = 0.0
        self._answering = False
        self._finished: Request | None = None
        self._refused = False
        self._ended = False
        self._receiving = False
        self._rests = False  # every request that came has its answer, and nothing came after it
        self._head = b""
        self._socket: socket.socket | None = None
        self._peer: Who | None = None
        self.admitted = False

    # The life of the connection

    def connectionMade(self) -> None:
        super().connectionMade()
        self.admitted = self.site.admit(self)
        if self.admitted:
            self._rests = True
            secure = self.isSecure()
            self._lane = self.site.lanes[secure]
            if not secure and ITCPTransport.providedBy(self.transport):
                self._socket = plain_socket(self.transport)
            self._await_peer()
        else:
            after = (b"Retry-After", b"%d" % RETRY_AFTER_S)
            self.refuse(503, "Too many connections; try again in a few seconds.", after)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        for call in (self._deadline, self._stall):
            if call is not None and call.active():
                call.cancel()
        super().connectionLost(reason)
        self.site.forget(self)

    def readConnectionLost(self) -> None:
        """The peer has sent its last byte, and may still wait for answers: ``nc -N`` does."""
        self._ended = True
        if self._refused:
            self.loseConnection()
        else:
            self._await_peer()

    def writeConnectionLost(self) -> None:
        """Our own half-close, after a refusal."""

    def loseConnection(self) -> None:
        self._awaits = Awaits.NOTHING
        super().loseConnection()
        self.watch_output()

    def drain(self) -> None:
        """Close when the answer under way is out; at once when there is none."""
        if not self._answering:
            self.loseConnection()
            return
        self.persistent = 0
        for request in self.requests:
            request.responseHeaders.setRawHeaders(b"Connection", [b"close"])

    def abort(self) -> None:
        self.transport.abortConnection()

    def refuse(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        """Answer what is no request, or one that shall not go on; what still comes is dropped."""
        if self._refused:
            return
        self._refused = True
        body = pages.error(status, why)
        self.site.log_refused(self.transport.getPeer(), status, why, len(body))
        added = self.site.headers(secure=self.isSecure())
        lines = [
            b"HTTP/1.1 %d %b" % (status, pages.phrase(status).encode("ascii")),
            *(b"%b: %b" % header for header in (*added, *headers)),
            b"Content-Type: " + pages.CONTENT_TYPE,
            b"Content-Length: %d" % len(body),
            b"Connection: close",
        ]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        if ITCPTransport.providedBy(self.transport) and not self.isSecure():
            self._networkProducer.unregisterProducer()
            self.transport.loseWriteConnection()
            self._await(Awaits.CLOSE)
        else:
            self.loseConnection()

    # What comes in

    def dataReceived(self, data: bytes) -> None:
        if self._receiving:  # what came behind a body: the call around this one goes on with it
            super().dataReceived(data)
            return
        self._receiving = True
        start = self._take_heads(data) if self._rests else 0
        if start < len(data):
            super().dataReceived(data[start:])
        self._receiving = False
        if self.line_mode and b"\n" in self._buffer:
            self.refuse(400, "Lines end in CR LF, not in LF alone (RFC 9112 section 2.2).")
        self._await_peer()

    def _take_heads(self, data: bytes) -> int:
        """Take whole heads one by one while each gets its answer at once; say how far that went."""
        start = 0
        if self._peer is None:  # behind a proxy it is known when there are bytes from it
            self._peer = who(self.transport.getPeer())
        while (
            self._rests
            and not (self._buffer or self._waitingForTransport)
            and (end := end_of_head(data, start))
        ):
            head = data[start:end]
            now_s = self.site.reactor.seconds()
            answer = self._lane.recall(head, now_s, self.site.date(now_s))
            if answer:
                self._send(answer[0])
                self.site.log_answer(self._peer, answer[1].told, now_s)
            else:
                self._head = head
                super().dataReceived(head)
                self._head = b""
            start = end
        return start

    def lineReceived(self, line: bytes) -> None:
        self._rests = False
        if not self.requests and (version := _VERSION.search(line)):
            if version[1] != b"1":
                self.refuse(505, "HTTP/1.1 is spoken here, and HTTP/1.0.")
            elif version[2] > b"1":  # to be treated as the highest that is known (section 2.5)
                line = line[:-1] + b"1"
        if not self._refused:
            super().lineReceived(line)

    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._refuse_long_head()

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t").lower()
        if name == b"content-length" and len(value) > 18:
            self.refuse(413, f"A body has at most {MAX_BODY_BYTES} bytes here.")
            return False
        if name == b"transfer-encoding" and value != b"chunked":
            # Where such a body ends nobody can tell (section 6.3), and "identity" is no longer one.
            self.refuse(400, "Of all transfer codings only chunked is known here.")
            return False
        return bool(super().headerReceived(line))

    def allHeadersReceived(self) -> None:
        if self.length is not None and self.length > MAX_BODY_BYTES:
            self.refuse(413, f"A body has at most {MAX_BODY_BYTES} bytes here.")
        elif self._expects_more():
            self.refuse(417, "Nothing but 100-continue can be expected here.")
        else:
            super().allHeadersReceived()

    def _expects_more(self) -> bool:
        """Whether Expect has a member that nobody knows (RFC 9110 section 10.1.1)."""
        values = self.requests[-1].requestHeaders.getRawHeaders(b"Expect", [])
        members = b",".join(values).lower().split(b",")
        return any(member.strip() not in (b"", b"100-continue") for member in members)

    def allContentReceived(self) -> None:
        if self._refused:
            return
        self._answering = True
        self._awaits = Awaits.NOTHING
        super().allContentReceived()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """What twisted.web calls for each request that it cannot read."""
        if self._receivedHeaderSize > self.totalHeadersSize:
            self._refuse_long_head()
        elif self._receivedHeaderCount > self.maxHeaders:
            self.refuse(431, f"A request has at most {self.maxHeaders} headers here.")
        else:
            self.refuse(400, "That is no HTTP/1.1 request.")

    def _refuse_long_head(self) -> None:
        most = self.totalHeadersSize
        if self.requests:
            self.refuse(431, f"Request line and headers have at most {most} bytes here.")
        else:
            self.refuse(414, f"A request line has at most {most} bytes here.")

    # What goes out

    def flushed_socket(self) -> socket.socket | None:
        """The socket, once all that was written is in the kernel: the next bytes may go there.

        None where they have to go through the transport.
        """
        if self._socket is not None and unsent_bytes(self.transport):
            self.transport.doWrite()
        return self._idle_socket()

    def _idle_socket(self) -> socket.socket | None:
        return None if self._socket is None or unsent_bytes(self.transport) else self._socket

    def _send(self, data: bytes) -> None:
        """Write at once where one can: waiting for the next turn of the reactor costs as much as
        all the rest of a short answer.
        """
        if sock := self._idle_socket():
            try:
                sent = sock.send(data)
            except OSError:  # it is full, or gone, which the transport will find out
                sent = 0
            data = data[sent:]
        if data:
            self.transport.write(data)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Any) -> None:
        lines = [b"%b %b %b" % (version, code, reason)]
        for name, values in headers.getAllRawHeaders():
            lines += [b"%b: %b" % (name, value) for value in values]
        head = b"\r\n".join([*lines, b"", b""])
        self.transport.write(head)
        request: Any = self.requests[0]
        # What expects a 100 gets it before this head.
        expects = request.requestHeaders.hasHeader(b"Expect")
        if self._head and request.source and self.persistent and not expects:
            told = self.site.told(request, request.source.length)
            now_s = self.site.reactor.seconds()
            self._lane.learn(self._head, head, request.source, now_s, told)

    def requestDone(self, request: Request) -> None:
        """The next request of a pipeline waits until the peer has read this answer."""
        if self._waitingForTransport and self.persistent:
            self._finished = request
            return
        self._answering = False
        self._rests = bool(self.persistent)
        super().requestDone(request)
        self._await_peer()

    def pauseProducing(self) -> None:
        super().pauseProducing()
        self.watch_output()

    def resumeProducing(self) -> None:
        self.unwatch_output()
        super().resumeProducing()
        if self._finished is not None:
            request, self._finished = self._finished, None
            self.requestDone(request)

    # Deadlines

    def _await_peer(self) -> None:
        """Set the deadline for what the peer owes by now, or close when it has all it asked for."""
        if self._receiving or self._answering or self._refused or self.transport.disconnecting:
            return
        # One who wants to close behind this request still owes the rest of it.
        if not self.persistent and not self.requests:
            return
        if self._ended:
            self.loseConnection()
        elif not self.requests and not self._buffer:
            self._await(Awaits.REQUEST)
        elif not self.line_mode:
            self._await(Awaits.BODY)
        elif self._awaits is not Awaits.HEAD:
            self._await(Awaits.HEAD)

    def _await(self, owed: Awaits) -> None:
        self._awaits = owed
        if self._deadline is not None and self._deadline.active():
            self._deadline.reset(owed.value)
        else:
            self._deadline = self.callLater(owed.value, self._expired)

    def _expired(self) -> None:
        if self._awaits is Awaits.REQUEST:
            self.loseConnection()
        elif self._awaits is Awaits.CLOSE:
            self.abort()
        elif self._awaits is not Awaits.NOTHING:
            self.refuse(408, f"The request did not arrive within {self._awaits.value:.0f} s.")

    def unwatch_output(self) -> None:
        if self._stall is not None and self._stall.active():
            self._stall.cancel()

    def watch_output(self) -> None:
        """From now on the peer must read."""
        if self._stall is None or not self._stall.active():
            self._acknowledged = acknowledged_bytes(plain_socket(self.transport))
            self._stalled_s = 0.0
            self._stall = self.callLater(LOOK_S, self._look_at_output)

    def _look_at_output(self) -> None:
        acknowledged = acknowledged_bytes(plain_socket(self.transport))
        self._stalled_s = self._stalled_s + LOOK_S if acknowledged == self._acknowledged else 0.0
        self._acknowledged = acknowledged
        if self._stalled_s >= STALL_S:
            self._log.info(
                "web {peer} reads nothing: cut off", peer=peer_name(self.transport.getPeer())
            )
            self.abort()
        else:
            self._stall = self.callLater(LOOK_S, self._look_at_output)
