"""The client's side of a chat: lines out, lines in, over any Twisted endpoint.

It knows nothing of terminals: what arrives goes to a function, as text that is safe to print.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.chat.commands import LEAVE
from netlabsvc.connections import plain_socket, unacknowledged_bytes
from netlabsvc.escape import escape

#: Between two attempts to connect: at first, and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
#: A server that ends it sooner (it is full, say) counts as one that could not be reached.
STEADY_S = 5.0
#: Over TLS a connection has ended when both sides have said so. When all that we said has arrived,
#: the server has so long for it.
GOODBYE_S = 1.0


@implementer(IHalfCloseableProtocol)
class Conversation(LineReceiver):
    """One connection to a chat server.

    :ivar ended: fires once, with None when either side closed, or with the error that ended it.
    """

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, show: Callable[[str], object], encoding: str) -> None:
        self.ended: Deferred[BaseException | None] = Deferred()
        self._leaving = False
        self._show = show
        self._encoding = encoding

    def say(self, text: str) -> None:
        """Send one line."""
        self.sendLine(text.encode(self._encoding, "replace"))

    def leave(self) -> None:
        """End the connection."""
        self._leaving = True
        self.transport.loseConnection()

    def over_tls(self) -> bool:
        return ISSLTransport.providedBy(self.transport)

    def lineReceived(self, line: bytes) -> None:
        self._show(escape(line.removesuffix(b"\r").decode(self._encoding, "backslashreplace")))

    def lineLengthExceeded(self, line: bytes) -> None:
        """Show a line without end in parts: nothing that came is kept from the user."""
        self.lineReceived(line)

    def readConnectionLost(self) -> None:
        if rest := self.clearLineBuffer():
            self.lineReceived(rest)
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Our half is closed."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        clean = self._leaving or reason.check(ConnectionDone) is not None
        self.ended.callback(None if clean else reason.value)


@implementer(IPushProducer)
class Talk:
    """A conversation that may be taken up again when it is lost.

    Of what it hears it is a producer: whoever shows it may pause it.

    :ivar heard_s: when the last line came, by the reactor's clock.
    """

    def __init__(
        self,
        reactor: Any,
        endpoint: IStreamClientEndpoint,
        encoding: str,
        name: str | None,
        *,
        reconnect: bool,
    ) -> None:
        """:param name: the name to take on each connection."""
        self.heard_s = 0.0
        self._reactor = reactor
        self._endpoint = endpoint
        self._encoding = encoding
        self._name = name
        self._reconnect = reconnect
        self._conversation: Conversation | None = None
        self._producer: IPushProducer | None = None
        self._leaving = False
        self._paused = False
        #: While there is no conversation: an attempt to connect, or the pause before the next.
        self._waiting: Deferred[Any] = succeed(None)

    async def run(self, show: Callable[[str], object]) -> None:
        """Talk until either side ends it, or for as long as there is hope to be connected again.

        :param show: is given each line that comes.
        :raises twisted.internet.error.ConnectError: or DNSLookupError, as endpoints do.
        :raises ValueError: what should be a host name is none.
        :raises Exception: what ended the connection, if nobody meant to end it.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            began_s = math.inf
            try:
                await self._connect(show)
                began_s = self._reactor.seconds()
                await self._listen()
            except (CancelledError, ConnectingCancelledError):
                return
            except Exception as error:
                if not self._reconnect or self._leaving or isinstance(error, ValueError):
                    raise
                show(f"*** {error}")
            if self._leaving or not self._reconnect:
                return
            if self._reactor.seconds() - began_s >= STEADY_S:
                pause_s = FIRST_PAUSE_S
            show(f"*** not connected; trying again in {pause_s:g} s")
            self._waiting = deferLater(self._reactor, pause_s)
            try:
                await self._waiting
            except CancelledError:
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def say(self, text: str) -> bool:
        """Send one line; False when there is no connection to send it on."""
        if self._conversation is None:
            return False
        self._leaving = self._leaving or text in LEAVE or text == "/quit"
        self._conversation.say(text)
        return True

    def finish(self) -> bool:
        """Say that nothing more will come; answers may still arrive.

        :returns: whether the server learns it. TLS has no half-closed connection: there it learns
            it when we leave.
        """
        self._leaving = True
        if self._conversation is None or self._conversation.over_tls():
            return False
        self._conversation.transport.loseWriteConnection()
        return True

    def leave(self) -> None:
        """End it."""
        self._leaving = True
        self._waiting.cancel()
        if (conversation := self._conversation) is not None:
            conversation.leave()
            if conversation.over_tls():
                self._see_off(conversation)

    def _see_off(self, conversation: Conversation, arrived: bool = False) -> None:
        """Cut a connection that the server does not end.

        :param arrived: whether all that we said had arrived at the last look.
        """
        if conversation is self._conversation:
            waiting_bytes = unacknowledged_bytes(plain_socket(conversation.transport))
            if arrived and not waiting_bytes:
                conversation.transport.abortConnection()
            else:
                self._reactor.callLater(GOODBYE_S, self._see_off, conversation, waiting_bytes == 0)

    def pauseProducing(self) -> None:
        """Read no more from the server, also from the next connection."""
        self._paused = True
        if self._conversation is not None:
            self._conversation.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False
        if self._conversation is not None:
            self._conversation.resumeProducing()

    def stopProducing(self) -> None:
        """Nobody listens any more."""
        self.leave()

    def feed_from(self, producer: IPushProducer | None) -> None:
        """Let this be paused while the connection takes no more, or while there is none."""
        self._producer = producer
        if self._conversation is not None:
            self._conversation.transport.unregisterProducer()
            if producer is not None:
                self._conversation.transport.registerProducer(producer, True)
        elif producer is not None:
            producer.pauseProducing()

    async def _connect(self, show: Callable[[str], object]) -> None:
        def heard(text: str) -> None:
            self.heard_s = self._reactor.seconds()
            show(text)

        made = Factory.forProtocol(lambda: Conversation(heard, self._encoding))
        self._waiting = self._endpoint.connect(made)
        conversation = await self._waiting
        assert isinstance(conversation, Conversation)
        self._conversation = conversation
        if self._paused:
            conversation.pauseProducing()
        if self._name is not None:
            conversation.say(f"/nick {self._name}")
        if self._producer is not None:
            conversation.transport.registerProducer(self._producer, True)
            self._producer.resumeProducing()

    async def _listen(self) -> None:
        assert self._conversation is not None
        error = await self._conversation.ended
        self._conversation = None
        if self._producer is not None:
            self._producer.pauseProducing()
        if error is not None:
            raise error
