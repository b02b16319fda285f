"""What an operator can do to the reflectors: their routes of the control API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from twisted.logger import Logger

from netlabsvc.routes import Json, Route, Rule
from netlabsvc.udp import inputs
from netlabsvc.udp.faults import Faults
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.room import NAMES, Room
from netlabsvc.udp.settings import impairment


def _faults(value: object) -> Faults:
    """Faults in their text form, in the form of TOML as JSON, or as a loss alone: 0.3.

    :raises ValueError: with the position in the text.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return inputs.faults(str(value) if number else impairment(value))


#: Which reflector; nothing: all of them.
Which = Annotated[str, Rule(one_of=("", *NAMES))]


class Operating:
    """The operator's side of the room."""

    _log = Logger()

    def __init__(self, room: Room) -> None:
        self._room = room

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        return [
            Route("GET", "/v1/udp/counters", self.counters, "What became of the requests."),
            Route("GET", "/v1/udp/impair", self.impairment, "The faults that are in force."),
            Route("PUT", "/v1/udp/impair", self.impair, "Change the faults, from now on."),
            Route("DELETE", "/v1/udp/impair", self.reset, "Back to the configured faults."),
        ]

    def counters(self, reflector: Which = "") -> Json:
        return [
            {"reflector": one.name, **one.counts.all(), "waiting": one.waiting}
            for one in self._chosen(reflector)
        ]

    def impairment(self, reflector: Which = "") -> Json:
        return [self._described(one) for one in self._chosen(reflector)]

    def impair(self, faults: Annotated[str, Rule(read=_faults)], reflector: Which = "") -> Json:
        assert isinstance(faults, Faults)  # the rule has read it
        for one in self._chosen(reflector):
            self._change(one, faults)
        return self.impairment(reflector)

    def reset(self, reflector: Which = "") -> Json:
        for one in self._chosen(reflector):
            self._change(one, self._room.configured(one.name))
        return self.impairment(reflector)

    def _chosen(self, name: str) -> list[Reflector]:
        reflectors = self._room.reflectors
        if name and name not in reflectors:
            raise LookupError(f"the {name} reflector is off; there is {', '.join(reflectors)}")
        return [reflectors[name]] if name else list(reflectors.values())

    def _change(self, reflector: Reflector, faults: Faults) -> None:
        reflector.change(faults)
        text = "faults of {reflector} are now: {faults}"
        told = {"reflector": reflector.name, "faults": str(faults)}
        self._log.info(text, event="impaired", **told)

    def _described(self, reflector: Reflector) -> dict[str, Any]:
        return {
            "reflector": reflector.name,
            "faults": str(reflector.faults),
            "configured": str(self._room.configured(reflector.name)),
            "fate": str(reflector.script),
        }
