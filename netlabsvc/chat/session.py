"""One TCP client of the chat: its connection, its place in the hub, what it says and is told.

How bytes become messages is the business of the framing (framing.py), which stands on this.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
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
from netlabsvc.chat.settings import Settings
from netlabsvc.chat.text import UTF_8, Decoder

#: Linux doubles it: what the kernel holds for a peer that does not read.
SEND_BUFFER_BYTES = 64 * 1024
#: How long answers may still reach a client that ended its input, and how long we read on after
#: our last word: closing at once would reset the connection, and our last word with it.
LINGER_S = 1.0
#: So much is read ahead of a client that is held.
READ_AHEAD_BYTES = 16 * 1024
#: So many lines are said in one turn of the reactor, or one command run.
MOST_LINES_A_TURN = 2000
#: So many lines of what was kept are said when a connection is lost.
MOST_LAST_LINES = 200
#: A line is kept in memory, so "off" has a limit, too.
UNLIMITED = 16 * 1024 * 1024
ASK_NAME = "what is your name?"


@implementer(IHalfCloseableProtocol)
class Session:
    """A client of the room. Mixed into a protocol that can be paused (see framing.py)."""

    transport: Any
    #: The protocol's: what comes while it is set is kept, and not parsed.
    paused: bool
    dataReceived: Callable[[bytes], None]
    #: What the hub sends with; set once there is a connection.
    deliver: Callable[[bytes | memoryview], None]
    #: What ends a message to this client; see `Style`.
    end = "\n"

    def __init__(self, room: Room, peer: str) -> None:
        self.room = room
        self.hub = room.hub
        self.peer = peer
        self.style = Style.of(UTF_8, self.end)
        self.outlet: Outlet
        self._decoder = Decoder()
        self._bucket: TokenBucket | None = None
        self._nameless = room.settings.login == "prompt"
        self._holds: set[str] = set()
        self._pending: Iterator[str] = iter(())  # texts that wait for the next turn
        self._ahead_bytes = 0
        self._deaf = False  # too much came while it was held: the transport is not read
        self._ended = False  # the client's side
        self._closing = False  # ours
        self._lost = False  # both
        self._timer: IDelayedCall | None = None
        self._rate: IDelayedCall | None = None
        self.apply(room.settings)

    def apply(self, settings: Settings) -> None:
        """Take what concerns this client from new settings. A framing that copies more adds it."""
        self.longest = settings.max_line or UNLIMITED
        wait_s, now_s = 0.0, self.room.reactor.seconds()
        if settings.rate is None:
            self._bucket = None
        elif self._bucket is None:
            self._bucket = TokenBucket(settings.rate, settings.burst)
        else:
            wait_s = self._bucket.change(now_s, settings.rate, settings.burst)
        if self._rate is not None and self._rate.active():
            self._rate.reset(wait_s)  # held for the old rate; from now on for the new one

    # The connection's life.

    def connectionMade(self) -> None:
        self.outlet = Outlet(self.transport)
        self.outlet.rose = partial(self.room.pressure.behind, self)
        self.deliver = self.outlet.send  # not a method of its own: every copy goes through it
        if self.outlet.sock is not None:
            tune(self.outlet.sock, SEND_BUFFER_BYTES)
        refusal = self.room.refusal(self.peer)
        self.room.connections.add(self)
        if refusal:
            self.room.note(self.peer, f"turned away: {refusal}")
            self.tell(refusal)
            self.close()
        elif self._nameless:
            self.room.nameless.add(self)
            self.room.note(self.peer, "connected, and is asked for a name")
            self.tell(ASK_NAME)
        else:
            self.hub.enter(self, greeted=self.greeted())

    def greeted(self) -> bool:
        """Whether the client wants to be greeted."""
        return True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._say_what_was_kept()
        if self in self.room.nameless:
            self.room.note(self.peer, "left without a name")
        self.hub.leave(self, "closed" if reason.check(ConnectionDone) else "connection lost")
        self.room.forget(self)
        for call in (self._timer, self._rate):
            if call is not None and call.active():
                call.cancel()

    def readConnectionLost(self) -> None:
        """The client ended its input, as ``nc -N`` does; answers may still reach it."""
        self._ended = True
        if self._closing:
            self.transport.loseConnection()
        elif not self.closing and not self._holds:
            self._end_input()

    def writeConnectionLost(self) -> None:
        """Our end is closed; what the client still sends is read and dropped."""

    def last_words(self) -> None:
        """Say what the client sent without an end. A framing that keeps such bytes overrides it."""

    def _end_input(self) -> None:
        """All that came has been heard."""
        self.last_words()
        self._start_timer(self._end_of_input)

    def _end_of_input(self) -> None:
        self.hub.leave(self, "end of input")
        self._closing = True
        self.outlet.finish(self.transport.loseConnection)

    def _say_what_was_kept(self) -> None:
        """Who was held said it before the connection went: a pasted text is not lost.

        But no more than that, or a flood would only have to hang up.
        """
        self._bucket = None
        self._holds.clear()
        self.paused = False
        if not self.closing:
            self._hear(itertools.islice(self._pending, MOST_LAST_LINES))
            self.dataReceived(b"")

    # What the hub needs of a member.

    def close(self) -> None:
        self._closing = True
        self.room.nameless.discard(self)
        self._stop_timer()
        self._listen()
        self.outlet.finish(self._linger)

    def _linger(self) -> None:
        if self._ended:
            self.transport.loseConnection()
        elif ISSLTransport.providedBy(self.transport):
            # It waits for the peer's close_notify, which may never come.
            self.transport.loseConnection()
            self._start_timer(self.transport.abortConnection)
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

    # Holding: who may not speak now is not heard. A little of what it sends is read ahead, so that
    # a program that sends and ends at once is heard to its end.

    def hold(self, why: str) -> None:
        self._holds.add(why)
        self.paused = True

    def release(self, why: str) -> None:
        if why not in self._holds:
            return
        self._holds.discard(why)
        if not self._holds:
            self.paused = False
            self._hear(self._pending)
        if not self._holds:
            self.dataReceived(b"")
        if not self._holds:
            self._listen()
            if self._ended and self._timer is None and not self.closing:
                self._end_input()

    def count(self, data: bytes) -> None:
        """Bytes came: too many while the client is held, and no more are read."""
        if self._holds:
            self._ahead_bytes += len(data)
            if self._ahead_bytes > READ_AHEAD_BYTES and not self._deaf:
                self._deaf = True
                self.transport.pauseProducing()

    @property
    def held(self) -> bool:
        """Whether what the client sends waits."""
        return bool(self._holds)

    def _listen(self) -> None:
        """Read again."""
        self._ahead_bytes = 0
        if self._deaf and not self._ended:
            self.transport.resumeProducing()
        self._deaf = False

    # What the framing hands over.

    @property
    def closing(self) -> bool:
        """Whether what the client says no longer counts: it was told its last line, or will be."""
        return self._closing or not (self._nameless or self in self.hub.seats)

    def spend(self) -> None:
        """One message came: when the client is too fast, it is held for a while."""
        if self._bucket is not None and (wait_s := self._bucket.take(self.room.reactor.seconds())):
            self.hold("rate")
            self._rate = self.room.reactor.callLater(wait_s, self.release, "rate")

    def speak(self, lines: list[bytes]) -> None:
        """Hand over what came in one chunk; many lines at once cost little more than one."""
        if self.closing or not lines:
            return
        if self._lost:
            lines = lines[:MOST_LAST_LINES]
        texts = self._decoder.decode(lines)
        if self._decoder.encoding != self.style.encoding:
            self.style = Style.of(self._decoder.encoding, self.style.end)
        self._hear(itertools.chain(self._pending, texts))
        if self.room.pressure.full:
            self.room.pressure.wait(self)

    def _hear(self, texts: Iterator[str]) -> None:
        """Say texts and run commands: so much in a turn of the reactor that others have theirs."""
        if self.closing:
            return
        said: list[str] = []
        for text in texts:
            command = self._nameless or text[:1] == "/" or text in commands.LEAVE
            if not command:
                said.append(text)
                if len(said) < MOST_LINES_A_TURN:
                    continue
            self._say(said)
            said = []
            if command:
                self._obey(text)
            if self.closing:
                self._pending = iter(())
                return
            if not self._lost:
                self._pending = texts
                self.hold("turn")
                self.room.reactor.callLater(0, self.release, "turn")
                return
        self._say(said)

    def _obey(self, text: str) -> None:
        """Take a line for what it is: a name, or a command. Either may have a long answer."""
        if self._nameless:
            self._introduce(text)
        else:
            commands.run(self.hub, self, text)

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

    def _introduce(self, name: str) -> None:
        """Take a line as the name."""
        if name in commands.LEAVE or name == "/quit":
            self.dismiss("goodbye", "quit")
        elif refusal := self.room.ban(self.peer):
            self.dismiss(refusal, "banned")
        else:
            try:
                self.hub.enter(self, name.removeprefix("/nick ").strip())
            except ValueError as error:
                self.tell(f"{error}; {ASK_NAME}")
            else:
                self._nameless = False
                self.room.nameless.discard(self)

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
