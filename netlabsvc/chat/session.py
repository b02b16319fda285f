"""One TCP client of the chat: its connection, its place in the hub, what it says and is told.

How bytes become messages is the business of the framing (framing.py), which stands on this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.chat import commands
from netlabsvc.chat.limits import TokenBucket
from netlabsvc.chat.message import Notice, Style
from netlabsvc.chat.outlet import Outlet, tune
from netlabsvc.chat.room import Room
from netlabsvc.chat.text import UTF_8, Decoder

#: Linux doubles it: what the kernel holds for a peer that does not read.
SEND_BUFFER_BYTES = 64 * 1024
#: How long answers may still reach a client that ended its input, and how long we read on after
#: our last word: closing at once would reset the connection, and our last word with it.
LINGER_S = 1.0
UNLIMITED = 1 << 31
ASK_NAME = "what is your name?"


@implementer(IHalfCloseableProtocol)
class Session:
    """A client of the room. Mixed into a protocol that can be paused (see framing.py)."""

    transport: Any
    paused: bool
    pauseProducing: Callable[[], None]
    resumeProducing: Callable[[], None]
    dataReceived: Callable[[bytes], None]
    #: What ends a message to this client; see `Style`.
    end = "\n"

    def __init__(self, room: Room, peer: str) -> None:
        self.room = room
        self.hub = room.hub
        self.peer = peer
        self.style = Style.of(UTF_8, self.end)
        self.longest = room.settings.max_line or UNLIMITED
        self.outlet: Outlet
        self._decoder = Decoder()
        rate = room.settings.rate
        self._bucket = TokenBucket(rate, room.settings.burst) if rate is not None else None
        self._holds: set[str] = set()
        self._nameless = room.settings.login == "prompt"
        self._ended = False  # the client's side
        self._closing = False  # ours
        self._timer: IDelayedCall | None = None
        self._rate: IDelayedCall | None = None

    # The connection's life.

    def connectionMade(self) -> None:
        self.outlet = Outlet(self.transport)
        if self.outlet.sock is not None:
            tune(self.outlet.sock, SEND_BUFFER_BYTES)
        self.room.connections.add(self)
        if refusal := self.room.refusal(self.peer):
            self.room.note(self.peer, f"turned away: {refusal}")
            self.tell(refusal)
            self.close()
        elif self._nameless:
            self.room.note(self.peer, "connected, and is asked for a name")
            self.tell(ASK_NAME)
        else:
            self.hub.enter(self, greeted=self.greeted())

    def greeted(self) -> bool:
        """Whether the client wants to be greeted."""
        return True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # What has arrived was said, even if the speaker has gone meanwhile.
        self._bucket = None
        self._holds.clear()
        if self in self.hub.seats:
            self.paused = False
            self.dataReceived(b"")
        if self._nameless and not self._closing:
            self.room.note(self.peer, "left without a name")
        self.hub.leave(self, "closed" if reason.check(ConnectionDone) else "connection lost")
        self.room.pressure.gone(self)
        self.room.connections.discard(self)
        self._stop_timer()
        if self._rate is not None and self._rate.active():
            self._rate.cancel()

    def readConnectionLost(self) -> None:
        """The client ended its input, as ``nc -N`` does; answers may still reach it."""
        self._ended = True
        if self._closing:
            self.transport.loseConnection()
        elif not self.closing:
            self.last_words()
            self._start_timer(self._end_of_input)

    def writeConnectionLost(self) -> None:
        """Our end is closed; what the client still sends is read and dropped."""

    def last_words(self) -> None:
        """Say what the client sent without an end. A framing that keeps such bytes overrides it."""

    def _end_of_input(self) -> None:
        self.hub.leave(self, "end of input")
        self._closing = True
        self.outlet.finish(self.transport.loseConnection)

    # What the hub needs of a member.

    def deliver(self, data: bytes) -> None:
        self.outlet.send(data)
        if self.outlet.queued_bytes:
            self.room.pressure.behind(self)

    def close(self) -> None:
        self._closing = True
        self._stop_timer()
        self.release_all()
        self.outlet.finish(self._linger)

    def _linger(self) -> None:
        if self._ended or ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()
            self._start_timer(self.transport.loseConnection)

    def queued(self) -> int:
        return self.outlet.queued_bytes + self.outlet.unacknowledged_bytes()

    def traits(self) -> str:
        ends = {"\n": "LF", "\r\n": "CR LF", "": "length"}
        return f"{self.style.encoding}, {ends[self.style.end]}"

    def use_encoding(self, encoding: str) -> None:
        self._decoder.latch(encoding)
        self.style = Style.of(encoding, self.style.end)

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

    # What the framing hands over.

    @property
    def closing(self) -> bool:
        """Whether what the client says no longer counts: it was told its last line, or will be."""
        return self._closing or not (self._nameless or self in self.hub.seats)

    def spend(self) -> None:
        """One message came: when the client is too fast, it is not read for a while."""
        if self._bucket is not None and (wait_s := self._bucket.take(self.room.reactor.seconds())):
            self.hold("rate")
            self._rate = self.room.reactor.callLater(wait_s, self.release, "rate")

    def speak(self, lines: list[bytes]) -> None:
        """Hand over what came in one chunk; many lines at once cost little more than one."""
        if self.closing or not lines:
            return
        texts = self._decoder.decode(lines)
        if self._decoder.encoding != self.style.encoding:
            self.style = Style.of(self._decoder.encoding, self.style.end)
        if self._nameless:
            texts = self._introduce(texts)
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
        if self.room.pressure.full:
            self.room.pressure.wait(self)

    def dismiss(self, farewell: str, why: str) -> None:
        """End the connection with a last line."""
        if self in self.hub.seats:
            self.hub.dismiss(self, farewell, why)
            self._closing = True
        elif not self._closing:
            self.tell(farewell)
            self.close()

    def _say(self, texts: list[str]) -> None:
        if texts:
            self.hub.say(self, tuple(texts))

    def _introduce(self, texts: list[str]) -> list[str]:
        """Take the first line as the name; returns the lines behind it."""
        while texts and self._nameless:
            name, *texts = texts
            if name in commands.LEAVE or name == "/quit":
                self.dismiss("goodbye", "quit")
                return []
            try:
                if refusal := self.room.ban(self.peer):
                    self.dismiss(refusal, "banned")
                    return []
                self.hub.enter(self, name.removeprefix("/nick ").strip())
            except ValueError as error:
                self.tell(f"{error}; {ASK_NAME}")
            else:
                self._nameless = False
        return texts

    def tell(self, text: str) -> None:
        """A line of the server to this client, whether it has a seat in the hub or not."""
        if self in self.hub.seats:
            self.hub.tell(self, text)
        else:
            self.deliver(Notice(text).encode(self.style))

    # One timer: for the end of a connection.

    def _start_timer(self, function: Callable[[], object]) -> None:
        self._stop_timer()
        self._timer = self.room.reactor.callLater(LINGER_S, function)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
