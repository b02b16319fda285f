"""A chat room whose clients are scripted: real sessions over transports in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netlabsvc.chat.framing import FRAMINGS, AnySession
from netlabsvc.chat.room import Room
from netlabsvc.chat.settings import Settings


class Transport(StringTransport):
    """A transport that keeps what was written, and remembers how it was ended."""

    half_closed = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True


class Chat:
    """A room on a clock of its own.

    :ivar clock: turns and timers run when it advances.
    """

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.room = Room(Settings(**settings), self.clock, lambda: 1_700_000_000.0)

    def join(self, framing: str = "line") -> Client:
        peer = f"10.0.0.9:{len(self.room.connections) + 1}"
        return Client(self, FRAMINGS[framing](self.room, peer))

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, and the turn of the reactor end."""
        self.clock.advance(seconds)
        self.clock.advance(0)


class Client:
    """One client of a `Chat`."""

    def __init__(self, chat: Chat, session: AnySession) -> None:
        self.chat = chat
        self.session = session
        self.transport = Transport()
        session.makeConnection(self.transport)
        chat.turn()
        self.greeting = self.lines()

    def send(self, *chunks: bytes) -> None:
        """Send chunks, each in a segment of its own, and let the turn end."""
        for chunk in chunks:
            self.session.dataReceived(chunk)
        self.chat.turn()

    def bytes(self) -> bytes:
        """What arrived since the last call."""
        value: bytes = self.transport.value()
        self.transport.clear()
        return value

    def lines(self) -> list[str]:
        return self.bytes().decode(self.session.style.encoding).splitlines()

    def texts(self) -> list[str]:
        """What others said since the last call, without headers and without the server's lines."""
        return [x.partition("): ")[2] for x in self.lines() if not x.startswith("***")]
