"""The client's side of a chat: lines out, lines in, over any Twisted endpoint.

It knows nothing of terminals: what arrives goes to a function, as text that is safe to print.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from netlabsvc.escape import escape


@implementer(IHalfCloseableProtocol)
class Conversation(LineReceiver):
    """One connection to a chat server.

    :ivar ended: fires once, with None when either side closed, or with the error that ended it.
    :ivar heard_s: when the last line came, by the reactor's clock.
    """

    transport: Any
    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, show: Callable[[str], object], encoding: str, reactor: Any) -> None:
        self.ended: Deferred[BaseException | None] = Deferred()
        self.heard_s = 0.0
        self._leaving = False
        self._show = show
        self._encoding = encoding
        self._reactor = reactor

    def say(self, text: str) -> None:
        """Send one line."""
        self.sendLine(text.encode(self._encoding, "replace"))

    def leave(self) -> None:
        """End the connection."""
        self._leaving = True
        self.transport.loseConnection()

    def finish(self) -> None:
        """Say that nothing more will come; answers may still arrive."""
        self.transport.loseWriteConnection()

    def lineReceived(self, line: bytes) -> None:
        self.heard_s = self._reactor.seconds()
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


async def connect(
    endpoint: IStreamClientEndpoint, show: Callable[[str], object], encoding: str, reactor: Any
) -> Conversation:
    """Connect, and show every line that comes.

    :raises twisted.internet.error.ConnectError: or DNSLookupError, as endpoints do.
    """
    made = Factory.forProtocol(lambda: Conversation(show, encoding, reactor))
    conversation = await endpoint.connect(made)
    assert isinstance(conversation, Conversation)
    return conversation
