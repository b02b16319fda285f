"""netlabsvc.cli.chat_pipe: how long a pipe waits for answers, on a clock."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from netlabsvc.chat.client import Talk
from netlabsvc.cli.chat_pipe import TOLD_S, UNTOLD_S, Pipe
from support.endpoint import Server
from support.scripted import Transport


def secure() -> Transport:
    """A transport that cannot be half closed."""
    transport = Transport()
    alsoProvides(transport, ISSLTransport)
    return transport


class Piped:
    """A talk in a pipe that has said hello and whose input has ended."""

    def __init__(self, tls: bool) -> None:
        self.clock, server = Clock(), Server(secure if tls else Transport)
        talk = Talk(self.clock, server, "utf-8", None, reconnect=False)
        pipe = Pipe(talk, self.clock)
        self.output = StringTransport()
        pipe.makeConnection(self.output)
        self.ended = Deferred.fromCoroutine(talk.run(pipe.show))
        self.conversation: Any = server.accept()
        self.transport: Any = self.conversation.transport
        pipe.dataReceived(b"hello\n")
        pipe.readConnectionLost()

    def left_after_s(self, every_s: float) -> float:
        """Let a line come now and then, until the pipe leaves; returns when."""
        while not self.transport.disconnecting:
            assert self.clock.seconds() < 1000
            self.conversation.dataReceived(b"and another thing\n")
            self.clock.advance(every_s)
        return self.clock.seconds()


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_never_answers_is_left_after_a_second(tls: bool) -> None:
    """What was said has been sent; over TCP the server knows that no more comes."""
    piped = Piped(tls)
    assert piped.transport.value() == b"hello\n"
    assert piped.transport.half_closed != tls
    piped.clock.advance(0.9)
    assert not piped.transport.disconnecting
    piped.clock.advance(0.2)
    assert piped.transport.disconnecting


@pytest.mark.parametrize(("tls", "most_s"), [(False, TOLD_S), (True, UNTOLD_S)])
def test_a_server_that_never_falls_silent_is_left(tls: bool, most_s: float) -> None:
    """After a minute where it could have closed, after 5 s where it could not know."""
    piped = Piped(tls)
    assert piped.left_after_s(0.5) == most_s == (5 if tls else 60)
    assert piped.output.value().count(b"\n") == most_s / 0.5


def test_a_server_that_closes_ends_it_at_once() -> None:
    """What is left to wait for does no harm."""
    piped = Piped(tls=False)
    piped.conversation.connectionLost(Failure(ConnectionDone()))
    assert piped.ended.called
    piped.clock.advance(100)


def test_a_tls_server_that_never_says_goodbye_is_cut() -> None:
    """Two seconds after the pipe has left; a conversation that ended by itself is not touched."""
    piped = Piped(tls=True)
    piped.clock.pump([1.0, 0.9])
    assert not piped.transport.disconnected
    piped.clock.pump([0.2])
    assert piped.transport.disconnected
