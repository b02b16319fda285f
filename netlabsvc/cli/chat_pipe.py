"""`netlab chat` in a pipe: standard input to the room, the room to standard output."""

from __future__ import annotations

import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from netlabsvc.chat.client import Talk

#: How long a pipe waits for answers after its input has ended and the last line has come.
PATIENCE_S = 1.0
#: How long at most in a room that never falls silent: where the server knows that the input has
#: ended, and will close when it has answered; and where it cannot know.
TOLD_S, UNTOLD_S = 60.0, 5.0


async def talk_in_a_pipe(talk: Talk, reactor: Any) -> None:
    """Send standard input, print what comes; ends when the server closes or has no more to say.

    Ends also, and quietly, when nobody reads standard output any more.
    """
    # After Twisted has set its own: a signal ends this as it ends other tools.
    for number in (signal.SIGINT, signal.SIGTERM):
        reactor.callWhenRunning(signal.signal, number, signal.SIG_DFL)
    pipe = Pipe(talk, reactor)
    StandardIO(pipe, reactor=reactor)
    try:
        await talk.run(pipe.show)
    finally:
        await pipe.close()


@implementer(IHalfCloseableProtocol, IPushProducer)
class Pipe(LineReceiver):
    """Standard input and output of a talk. Neither is faster than who takes it."""

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, talk: Talk, reactor: Any) -> None:
        self._talk = talk
        self._reactor = reactor
        self._written: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self._talk.feed_from(self)
        self.transport.registerProducer(self._talk, True)

    def show(self, text: str) -> None:
        """Write one line, as soon as it is taken."""
        self.transport.write(f"{text}\n".encode(sys.stdout.encoding, "backslashreplace"))

    async def close(self) -> None:
        """Wait until all is written, or nobody reads it."""
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        await self._written

    def lineReceived(self, line: bytes) -> None:
        self._talk.say(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))

    def stopProducing(self) -> None:
        """The connection is gone; there may be another."""

    def readConnectionLost(self) -> None:
        if rest := self.clearLineBuffer():
            self.lineReceived(rest)
        self._talk.feed_from(None)
        Deferred.fromCoroutine(self._wait_for_answers())

    async def _wait_for_answers(self) -> None:
        ended_s = self._reactor.seconds()
        latest_s = ended_s + (TOLD_S if self._talk.finish() else UNTOLD_S)
        while True:
            until_s = min(max(ended_s, self._talk.heard_s) + PATIENCE_S, latest_s)
            if (left_s := until_s - self._reactor.seconds()) <= 0:
                break
            await deferLater(self._reactor, left_s)
        self._talk.leave()

    def writeConnectionLost(self) -> None:
        """Nobody reads any more; the talk, as our producer, knows."""
        self._written.callback(None)

    def connectionLost(self, reason: object = None) -> None:
        self._written.callback(None)
