"""The client's side of a chat: lines out, lines in, over any Twisted endpoint.

It knows nothing of terminals: what arrives goes to a function, as text that is safe to print.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
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
from netlabsvc.escape import escape

#: Between two attempts to connect: at first, and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


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


class Talk:
    """A conversation that may be taken up again when it is lost.

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

    async def run(self, show: Callable[[str], object], begin: Callable[[], object] = int) -> None:
        """Talk until either side ends it, or for as long as there is hope to be connected again.

        :param show: is given each line that comes.
        :param begin: called once, when the first connection stands.
        :raises twisted.internet.error.ConnectError: or DNSLookupError, as endpoints do.
        :raises Exception: what ended the connection, if nobody meant to end it.
        """
        pause_s, begun = FIRST_PAUSE_S, False
        while True:
            try:
                await self._connect(show)
                if not begun:
                    begin()
                begun, pause_s = True, FIRST_PAUSE_S
                await self._listen()
            except Exception as error:
                if not self._reconnect or self._leaving:
                    raise
                show(f"*** {error}")
            if self._leaving or not self._reconnect:
                return
            show(f"*** not connected; trying again in {pause_s:g} s")
            await deferLater(self._reactor, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def say(self, text: str) -> bool:
        """Send one line; False when there is no connection to send it on."""
        if self._conversation is None:
            return False
        self._leaving = text in LEAVE or text == "/quit"
        self._conversation.say(text)
        return True

    def finish(self) -> None:
        """Say that nothing more will come; answers may still arrive."""
        self._leaving = True
        # TLS has no half-closed connection: there the other side learns it when we leave.
        if self._conversation is not None and not self._conversation.over_tls():
            self._conversation.transport.loseWriteConnection()

    def leave(self) -> None:
        """End it."""
        self._leaving = True
        if self._conversation is not None:
            self._conversation.leave()

    def feed_from(self, producer: IPushProducer | None) -> None:
        """Let this be paused while the connection takes no more, or while there is none."""
        self._producer = producer
        if self._conversation is not None:
            self._conversation.transport.unregisterProducer()
            if producer is not None:
                self._conversation.transport.registerProducer(producer, True)

    async def _connect(self, show: Callable[[str], object]) -> None:
        def heard(text: str) -> None:
            self.heard_s = self._reactor.seconds()
            show(text)

        made = Factory.forProtocol(lambda: Conversation(heard, self._encoding))
        conversation = await self._endpoint.connect(made)
        assert isinstance(conversation, Conversation)
        self._conversation = conversation
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
