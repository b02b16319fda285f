"""The connection that is kept: ended at once, wherever it is."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from zope.interface import implementer

from netlabsvc.mail.courier import Courier
from netlabsvc.mail.delivery import Ending, Outgoing, Result, Stage
from netlabsvc.mail.plan import Plan

MAIL = Outgoing("ada@lab", ("bob@lab",), b"hello\r\n")


@implementer(IStreamClientEndpoint)
class Nowhere:
    """A host that swallows every packet."""

    def connect(self, factory: Any) -> Deferred[Any]:
        return Deferred()


def ended(sending: Any) -> list[Result]:
    results: list[Result] = []
    Deferred.fromCoroutine(sending).addCallback(results.append)
    return results


def test_cut_while_it_connects() -> None:
    """The end does not wait for a host that does not answer."""
    clock = Clock()
    courier = Courier(clock, Nowhere(), Plan())
    results = ended(courier.send(MAIL))
    assert not results
    courier.cut("the daemon is going down")
    (result,) = results
    assert (result.ending, result.stage) == (Ending.TRY_LATER, Stage.CONNECT)
    assert "going down" in result.cause
    assert not clock.getDelayedCalls()
