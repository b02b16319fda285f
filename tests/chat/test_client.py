"""netlabsvc.chat.client: when a talk ends, and when it is taken up again."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from netlabsvc.chat.client import Talk
from support.endpoint import Server


class Running:
    """A talk that reconnects, running on a clock of its own."""

    def __init__(self) -> None:
        self.clock, self.server, self.shown = Clock(), Server(), list[str]()
        self.talk = Talk(self.clock, self.server, "utf-8", None, reconnect=True)
        self.ended = Deferred.fromCoroutine(self.talk.run(self.shown.append))

    def converse(self, lasting_s: float) -> None:
        """Be connected for so long; then the server ends it."""
        conversation = self.server.accept()
        self.clock.advance(lasting_s)
        conversation.connectionLost(Failure(ConnectionDone()))

    def pause_s(self) -> float:
        """The pause before the next attempt, which is then made."""
        [call] = self.clock.getDelayedCalls()
        pause_s = call.getTime() - self.clock.seconds()
        self.clock.advance(pause_s)
        return pause_s


@pytest.fixture
def running() -> Running:
    return Running()


def test_who_leaves_in_the_pause_is_not_connected_again(running: Running) -> None:
    """The talk is over at once, with no attempt and no call left."""
    running.server.refuse()
    running.talk.leave()
    assert running.ended.called
    running.clock.advance(1000)
    assert len(running.server.attempts) == 1
    assert not running.clock.getDelayedCalls()


def test_who_leaves_while_connecting_is_not_connected(running: Running) -> None:
    """An attempt that hangs is given up."""
    running.talk.leave()
    assert running.ended.called
    assert running.server.attempts[0].called


def test_a_server_that_ends_it_at_once_is_left_in_peace(running: Running) -> None:
    """The pause doubles up to 30 s, whether there is no connection or only a short one."""
    pauses_s = []
    for number in range(7):
        if number % 2:
            running.converse(0.1)
        else:
            running.server.refuse()
        pauses_s.append(running.pause_s())
    assert pauses_s == pytest.approx([1, 2, 4, 8, 16, 30, 30])


def test_after_a_real_conversation_the_pause_is_short_again(running: Running) -> None:
    """What was connected for a while is connected again soon."""
    for _ in range(4):
        running.server.refuse()
        running.pause_s()
    running.converse(60)
    assert running.pause_s() == 1


def test_a_name_that_is_none_is_not_tried_again(running: Running) -> None:
    """It will not become one by waiting."""
    running.server.attempts[0].errback(ValueError("invalid hostname"))
    failures: list[Failure] = []
    running.ended.addErrback(failures.append)
    assert [failure.type for failure in failures] == [ValueError]


@pytest.mark.parametrize("last", ["text", ""])
def test_what_is_typed_after_q_does_not_call_one_back(running: Running, last: str) -> None:
    """Whoever said q has left, though more lines were on their way."""
    conversation = running.server.accept()
    running.talk.say("q")
    running.talk.say(last)
    conversation.connectionLost(Failure(ConnectionDone()))
    assert running.ended.called


def test_a_paused_talk_reads_no_more(running: Running) -> None:
    """Whoever shows it slowly is not flooded, not by the next connection either."""
    first = running.server.accept()
    running.talk.pauseProducing()
    first.connectionLost(Failure(ConnectionDone()))
    running.pause_s()
    second = running.server.accept()
    for conversation in (first, second):
        assert isinstance(conversation.transport, StringTransport)
        assert conversation.transport.producerState == "paused"
    running.talk.resumeProducing()
    second.dataReceived(b"hello\n")
    assert running.shown[-1] == "hello"
