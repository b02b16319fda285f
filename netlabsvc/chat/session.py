"""One TCP client of the chat: bytes to lines, lines to the hub, the hub's bytes to the queue.

Stands on twisted.protocols.basic: its line mode for lines, its raw mode to skip the rest of a line
that is too long.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.chat import commands
from netlabsvc.chat.limits import TokenBucket
from netlabsvc.chat.message import Notice, Style
from netlabsvc.chat.outlet import Outlet, tune
from netlabsvc.chat.room import Room
from netlabsvc.chat.telnet import Filter
from netlabsvc.chat.text import Decoder
from netlabsvc.connections import peer_name

#: Linux doubles it: what the kernel holds for a peer that does not read.
SEND_BUFFER_BYTES = 64 * 1024
#: How long answers may still reach a client that ended its input, and our own end of the
#: connection stays open for what a client sends after its farewell: closing at once would reset
#: the connection, and the farewell with it.
LINGER_S = 1.0
MAX_LONG_LINES = 3
_HTTP = re.compile(rb"[A-Z]+ \S+ HTTP/1\.[01]\r?")
_TLS_HANDSHAKE = b"\x16\x03"
_WRONG_DOOR = "this is a chat, for nc and telnet; {} is spoken elsewhere"


@implementer(IHalfCloseableProtocol)
class LineSession(LineReceiver):
    """A client whose messages are lines: nc, telnet, and most programs."""

    transport: Any
    delimiter = b"\n"

    def __init__(self, room: Room, peer: str) -> None:
        self.room = room
        self.hub = room.hub
        self.style = Style()
        self.peer = peer
        # One byte more for the CR of a CR LF.
        self.MAX_LENGTH = room.settings.max_line + 1
        rate = room.settings.rate
        self._bucket = TokenBucket(rate, room.settings.burst) if rate is not None else None
        self._decoder = Decoder()
        self._telnet = Filter()
        self._lines: list[bytes] = []
        self._too_long = b""
        self._long_lines = 0
        self._holds: set[str] = set()
        self._head: bytes | None = b""  # the first two bytes, until they have been looked at
        self._closing = False
        self._timer: IDelayedCall | None = None

    # The connection's life.

    def connectionMade(self) -> None:
        self.outlet = Outlet(self.transport)
        if self.outlet.sock is not None:
            tune(self.outlet.sock, SEND_BUFFER_BYTES)
        self.room.connections.add(self)
        most = self.room.settings.max_clients
        if len(self.room.connections) > most:
            self._turn_away(f"the hub is full ({most} of {most}); try again later")
        else:
            self.hub.enter(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # What has arrived was said, even if the speaker has gone meanwhile.
        self._bucket = None
        self._holds.clear()
        if self in self.hub.seats:
            self.paused = False
            self.dataReceived(b"")
        self.hub.leave(self, "closed" if reason.check(ConnectionDone) else "connection lost")
        self.room.gone(self)
        self.room.connections.discard(self)
        self._stop_timer()

    def readConnectionLost(self) -> None:
        """The client ended its input, as ``nc -N`` does; answers may still reach it."""
        if self._closing:
            self.transport.loseConnection()
            return
        if self.line_mode and (last := self.clearLineBuffer()):
            self.lineReceived(last)
            self._speak()
        self._start_timer(self._end_of_input)

    def writeConnectionLost(self) -> None:
        """Our end is closed; what the client still sends is read and dropped."""

    def _end_of_input(self) -> None:
        self.hub.leave(self, "end of input")
        self.outlet.finish(self.transport.loseConnection)

    def _turn_away(self, why: str) -> None:
        self.outlet.send(Notice(why).encode(self.style))
        self.close()

    # What the hub needs of a member.

    def deliver(self, data: bytes) -> None:
        self.outlet.send(data)
        if self.outlet.queued_bytes:
            self.room.behind(self)

    def close(self) -> None:
        self._closing = True
        self._stop_timer()
        self.release_all()
        self.outlet.finish(self._linger)
        if self.outlet.queued_bytes:
            self.room.behind(self)

    def _linger(self) -> None:
        self.transport.loseWriteConnection()
        self._start_timer(self.transport.loseConnection)

    def queued(self) -> int:
        return self.outlet.queued_bytes + self.outlet.unacknowledged_bytes()

    def traits(self) -> str:
        end = "CR LF" if self.style.end == "\r\n" else "LF"
        return f"{self.style.encoding}, {end}"

    def cut(self, why: str) -> None:
        """End the connection now; the room learns why."""
        self._closing = True
        self.hub.leave(self, f"cut: {why}")
        self.transport.abortConnection()

    # Holding: who may not speak now is not read from.

    def hold(self, why: str) -> None:
        if not self._holds and not self._closing:
            self.pauseProducing()
        self._holds.add(why)

    def release(self, why: str) -> None:
        if why in self._holds:
            self._holds.discard(why)
            if not self._holds:
                self.resumeProducing()

    def release_all(self) -> None:
        """Read again, whatever the reason was not to."""
        for why in tuple(self._holds):
            self.release(why)

    # From bytes to lines.

    def dataReceived(self, data: bytes) -> None:
        if self._closing:
            return
        if self._head is not None and self._wrong_protocol(data):
            return
        data, replies = self._telnet.feed(data)
        if replies:
            self.deliver(replies)
        super().dataReceived(data)
        while self._too_long:
            rest, self._too_long = self._too_long, b""
            super().dataReceived(rest)
        self._speak()
        if self.room.full and data:
            self.room.wait(self)

    def lineReceived(self, line: bytes) -> None:
        self._long_lines = 0
        self._lines.append(line)
        if self._bucket is not None and (wait_s := self._bucket.take(self.room.reactor.seconds())):
            self.hold("rate")
            self.room.reactor.callLater(wait_s, self.release, "rate")

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is too long; `line` is all that is buffered from its start on."""
        self._speak()
        self._long_lines += 1
        longest = self.room.settings.max_line
        if self._long_lines >= MAX_LONG_LINES:
            why = f"{MAX_LONG_LINES} lines in a row were longer than {longest} bytes"
            self.hub.dismiss(self, f"{why}; goodbye", why)
            return
        self.hub.tell(
            self, f"a line may have {longest} bytes; yours was longer and is not passed on"
        )
        self.setRawMode()
        self._too_long = line

    def rawDataReceived(self, data: bytes) -> None:
        """Skip the rest of a line that is too long."""
        _, end, rest = data.partition(self.delimiter)
        if end:
            self.setLineMode(rest)

    def _wrong_protocol(self, data: bytes) -> bool:
        """Explain the door to whoever took it for another one."""
        assert self._head is not None
        self._head += data[:2]
        if len(self._head) >= len(_TLS_HANDSHAKE):
            head, self._head = self._head, None
            if head.startswith(_TLS_HANDSHAKE):
                self.hub.dismiss(self, _WRONG_DOOR.format("TLS"), "spoke TLS")
                return True
        return False

    # From lines to the hub.

    def _speak(self) -> None:
        """Hand over the lines of this chunk; many lines at once cost little more than one."""
        lines, self._lines = self._lines, []
        if not lines or self not in self.hub.seats:
            return
        if lines[0].endswith(b"\r"):
            self.style = Style(self.style.encoding, "\r\n")
        if _HTTP.fullmatch(lines[0]):
            self.hub.dismiss(self, _WRONG_DOOR.format("HTTP"), "spoke HTTP")
            return
        texts = self._decoder.decode([line.removesuffix(b"\r") for line in lines])
        if self._decoder.encoding != self.style.encoding:
            self.style = Style(self._decoder.encoding, self.style.end)
        said: list[str] = []
        for text in texts:
            if text[:1] == "/" or text in commands.LEAVE:
                self._say(said)
                said = []
                commands.run(self.hub, self, text)
                if self not in self.hub.seats:
                    return
            else:
                said.append(text)
        self._say(said)

    def _say(self, texts: list[str]) -> None:
        if texts:
            self.hub.say(self, tuple(texts))

    # One timer: for the end of a connection.

    def _start_timer(self, function: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self.room.reactor.callLater(LINGER_S, function)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class LineFactory(Factory):
    """A listener whose clients send lines."""

    noisy = False

    def __init__(self, room: Room) -> None:
        self._room = room

    def buildProtocol(self, addr: IAddress | None) -> LineSession:
        return LineSession(self._room, peer_name(addr))
