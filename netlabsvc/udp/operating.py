"""What an operator can do to the reflector: its routes of the control API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

from twisted.logger import Logger

from netlabsvc.routes import Json, Route, Rule
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.settings import probability


class Operating:
    """The operator's side of one reflector."""

    _log = Logger()

    def __init__(self, reflector: Reflector) -> None:
        self._reflector = reflector

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        return [
            Route("GET", "/v1/udp/counters", self.counters, "What became of the requests."),
            Route("GET", "/v1/udp/impair", self.impairment, "The faults that are in force."),
            Route("PUT", "/v1/udp/impair", self.impair, "Change the faults, from now on."),
        ]

    def counters(self) -> Json:
        return asdict(self._reflector.counts)

    def impairment(self) -> Json:
        return {"loss": self._reflector.loss}

    def impair(self, loss: Annotated[float, Rule(read=probability)]) -> Json:
        self._reflector.loss = loss
        self._log.info("UDP loss is now {loss}", event="impaired", loss=loss)
        return self.impairment()
