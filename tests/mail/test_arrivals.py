"""netlabsvc.mail.arrivals: what is new, told to every page that listens."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.test.requesthelper import DummyRequest

from netlabsvc.mail import arrivals
from netlabsvc.mail.arrivals import HEARTBEAT_S, Arrivals


class Page(DummyRequest):
    """A request of a page that listens; what it was sent is in `heard`."""

    def __init__(self) -> None:
        super().__init__([b"events"])
        self.producer: Any = None
        self.transport = StringTransport()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    @property
    def heard(self) -> bytes:
        return b"".join(self.written)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def listen(told: Arrivals, last_id: bytes | None = None) -> Page:
    page = Page()
    told.listen(page, last_id)
    return page


def test_every_page_hears_of_a_mail(clock: Clock) -> None:
    """The same event for all, with its id, in the form of server-sent events."""
    told = Arrivals(clock)
    pages = [listen(told), listen(told)]
    told.tell("mail", {"id": 7, "subject": "two\nlines"}, 7)
    for page in pages:
        event = b'id: 7\nevent: mail\ndata: {"id": 7, "subject": "two\\nlines"}\n\n'
        assert page.heard.endswith(event)


def test_a_page_that_comes_back_is_told_to_look(clock: Clock) -> None:
    """It says what it heard last; something may have come since."""
    assert b"event: missed" in listen(Arrivals(clock), b"7").heard
    assert b"event: missed" not in listen(Arrivals(clock)).heard


def test_a_slow_page_keeps_nothing_waiting(clock: Clock) -> None:
    """While it reads nothing nothing is written for it; afterwards it hears that it missed some."""
    told = Arrivals(clock)
    page = listen(told)
    page.producer.pauseProducing()
    before = page.heard
    for number in range(10_000):
        told.tell("mail", {"id": number}, number)
    assert page.heard == before
    page.producer.resumeProducing()
    assert page.heard[len(before) :] == b"event: missed\ndata: {}\n\n"


def test_a_heart_beats_and_cuts_who_is_stuck(clock: Clock) -> None:
    """A comment each 15 s; who has read nothing between two of them is cut, the others are not."""
    told = Arrivals(clock)
    stuck, well = listen(told), listen(told)
    stuck.producer.pauseProducing()
    clock.advance(HEARTBEAT_S)
    assert not stuck.transport.disconnected
    clock.advance(HEARTBEAT_S)
    assert stuck.transport.disconnected
    assert well.heard.endswith(b": netlab\n\n: netlab\n\n")
    assert not well.transport.disconnected


def test_pages_are_bounded_and_leave_nothing_behind(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than the bound is too many; when the last has gone no timer is left."""
    monkeypatch.setattr(arrivals, "MOST", 2)
    told = Arrivals(clock)
    first, second = listen(told), listen(told)
    assert told.full
    first.processingFailed(Failure(ConnectionDone()))
    assert not told.full
    second.processingFailed(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == []


def test_at_the_end_every_stream_ends(clock: Clock) -> None:
    """Drained, all answers are finished, no timer runs, and nobody new may listen."""
    told = Arrivals(clock)
    pages = [listen(told), listen(told)]
    told.drain()
    assert all(page.finished for page in pages)
    assert told.full
    assert clock.getDelayedCalls() == []
