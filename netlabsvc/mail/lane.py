"""The connections to one place: so many at most, each used again while there is something to carry.

It does not know what is carried: a function gets each lot, and a carrier of its own meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from netlabsvc.mail.destination import Carrier

T = TypeVar("T")
#: How long a connection is kept that has nothing to carry.
KEEP_S = 2.0


class Lane(Generic[T]):
    """Lots that wait for one place, and those who carry them there.

    :ivar waiting: may be taken out of.
    """

    _log = Logger()

    def __init__(
        self,
        new_carrier: Callable[[], Carrier],
        carry: Callable[[T, Carrier], Coroutine[Deferred[Any], Any, None]],
        reactor: IReactorTime,
    ) -> None:
        """:param carry: takes a lot away; never fails."""
        self.waiting: deque[T] = deque()
        self._new_carrier = new_carrier
        self._carry = carry
        self._reactor = reactor
        self._carriers: list[Carrier] = []
        self._leaving: list[Carrier] = []
        self._idle: list[Deferred[T | None]] = []
        self._ending = False
        self._gone: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        return len(self._carriers) + len(self._leaving)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or anything to carry."""
        return bool(self.connections or self.waiting)

    def add(self, lot: T, most: int) -> None:
        """Carry a lot as soon as one of so many carriers is free.

        :raises ValueError: when no carrier can be made; says why.
        """
        if self._idle:
            self._idle.pop().callback(lot)
            return
        if len(self._carriers) < most:
            carrier = self._new_carrier()
            self._carriers.append(carrier)
            Deferred.fromCoroutine(self._work(carrier, lot))
        else:
            self.waiting.append(lot)

    def end(self) -> Deferred[None]:
        """Carry nothing more; fires when those on their way have arrived, or were cut."""
        self._ending = True
        self.waiting.clear()
        while self._idle:
            self._idle.pop().callback(None)
        gone: Deferred[None] = Deferred()
        self._gone.append(gone)
        self._tell()
        return gone

    def cut(self, why: str) -> None:
        """End every connection now."""
        for carrier in [*self._carriers, *self._leaving]:
            carrier.cut(why)

    async def _work(self, carrier: Carrier, lot: T | None) -> None:
        while lot is not None:
            try:
                await self._carry(lot, carrier)
            except Exception:  # a mistake of ours; what waits must be carried all the same
                self._log.failure("the queue cannot carry {lot}", lot=lot)
            lot = await self._next()
        self._carriers.remove(carrier)
        self._leaving.append(carrier)
        await carrier.close()
        self._leaving.remove(carrier)
        self._tell()

    async def _next(self) -> T | None:
        if self.waiting:
            return self.waiting.popleft()
        if self._ending:
            return None
        given: Deferred[T | None] = Deferred()
        self._idle.append(given)
        late = self._reactor.callLater(KEEP_S, self._dismiss, given)
        lot = await given
        if late.active():
            late.cancel()
        return lot

    def _dismiss(self, idle: Deferred[T | None]) -> None:
        self._idle.remove(idle)
        idle.callback(None)

    def _tell(self) -> None:
        if self._ending and not (self._carriers or self._leaving):
            gone, self._gone = self._gone, []
            for one in gone:
                one.callback(None)
