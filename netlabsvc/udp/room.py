"""The reflectors of the daemon: what they have in common, and which faults each of them has."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.task import LoopingCall

from netlabsvc.metrics import Metric, Sample
from netlabsvc.udp import inputs, kernel, ntp
from netlabsvc.udp.buckets import Buckets, Rate
from netlabsvc.udp.classic import MAX_IPV6_BYTES, Classic, Form
from netlabsvc.udp.fate import Script
from netlabsvc.udp.faults import Bernoulli, Faults
from netlabsvc.udp.gate import Clocks, Rules
from netlabsvc.udp.irtt import Irtt
from netlabsvc.udp.parameters import Limits
from netlabsvc.udp.record import Record
from netlabsvc.udp.reflector import Reflector
from netlabsvc.udp.settings import Irtt as IrttSettings
from netlabsvc.udp.settings import Settings
from netlabsvc.udp.settings import Stamp as StampSettings
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.tongue import Tongue

#: How often the kernel is asked how good the clock is.
CLOCK_INTERVAL_S = 16
NAMES = ("classic", "stamp", "irtt")


@dataclass(frozen=True)
class Wanted:
    """The settings of the room.

    :ivar directory: where relative paths in them begin.
    """

    udp: Settings
    stamp: StampSettings
    irtt: IrttSettings
    directory: Path = Path()

    def faults(self, name: str) -> Faults:
        """What is configured for a reflector: its own faults, or those of all.

        :raises ValueError: with the position in the text.
        """
        own = {"stamp": self.stamp.impair, "irtt": self.irtt.impair}.get(name, "")
        if own:
            return inputs.faults(own)
        faults = inputs.faults(self.udp.impair)
        if self.udp.loss:
            faults = replace(faults, up=replace(faults.up, loss=Bernoulli(self.udp.loss)))
        return faults

    def check(self) -> None:
        """Whether everything that can change while the daemon runs can be read.

        :raises ValueError: with what would be right.
        """
        for name in NAMES:
            self.faults(name)
        self.script()

    def script(self) -> Script:
        """:raises ValueError: when it cannot be read."""
        return inputs.script(self.udp.fate, self.directory)

    def rates(self) -> tuple[Rate, Rate]:
        """Of each source, and of all together."""
        udp = self.udp
        return Rate(udp.rate, udp.burst), Rate(udp.total_rate, udp.total_burst)


class Room:
    """Makes reflectors, and keeps what they share.

    :ivar reflectors: those that were made, by their names.
    """

    def __init__(self, wanted: Wanted, seed: int, reactor: Any, clocks: Clocks | None = None):
        """:raises OSError: when the decision log cannot be written."""
        self.reflectors: dict[str, Reflector] = {}
        self._wanted, self._seed, self._reactor = wanted, seed, reactor
        self._clocks = clocks or Clocks()
        self._rules = Rules(Buckets(*wanted.rates()))
        self._rules.all_may_grow = wanted.udp.longer_replies == "all"
        path = wanted.udp.decisions
        self._record = Record(wanted.directory / path) if path else None
        self._asking = LoopingCall(self._ask_clock)
        self._asking.clock = reactor

    def make(self, name: str) -> Reflector:
        """Make a reflector; it has no socket yet.

        :raises ValueError: when a file that is named cannot be used.
        """
        reflector = Reflector(
            *(name, self._tongue(name), self._rules, self._seed, self._clocks, self._record)
        )
        reflector.change(self._wanted.faults(name), self._wanted.script())
        self.reflectors[name] = reflector
        if name == "stamp" and not self._asking.running:
            self._asking.start(CLOCK_INTERVAL_S)
        return reflector

    def _tongue(self, name: str) -> Tongue:
        wanted, monotonic_ns = self._wanted, self._clocks.monotonic_ns
        if name == "stamp":
            stamp = wanted.stamp
            key = inputs.stamp_key(stamp.key_file, wanted.directory)
            return Stamp(monotonic_ns, key, stamp.stateful, stamp.extensions)
        if name == "irtt":
            key = inputs.irtt_key(wanted.irtt.key_file, wanted.directory)
            return Irtt(monotonic_ns, secrets.token_bytes, Limits(), key)
        return Classic(Form(wanted.udp.reply), MAX_IPV6_BYTES)

    def _ask_clock(self) -> None:
        estimate = ntp.error_estimate(*kernel.clock_quality())
        for reflector in self.reflectors.values():
            if isinstance(reflector.tongue, Stamp):
                reflector.tongue.error_estimate = estimate

    def configured(self, name: str) -> Faults:
        """The faults that the configuration gives a reflector."""
        return self._wanted.faults(name)

    def prepare(self, section: str, settings: Any) -> Callable[[], None]:
        """Returns what goes on with other settings; what an operator set stays, unless they change.

        :param section: ``udp``, ``udp.stamp`` or ``udp.irtt``.
        :raises ValueError: when a file that they name cannot be used.
        """
        replace(self._wanted, **{section.rpartition(".")[2]: settings}).check()
        return partial(self._apply, section, settings)

    def _apply(self, section: str, settings: Any) -> None:
        old = self._wanted
        self._wanted = wanted = replace(old, **{section.rpartition(".")[2]: settings})
        self._rules.buckets.apply(*wanted.rates())
        self._rules.all_may_grow = wanted.udp.longer_replies == "all"
        script = wanted.script() if wanted.udp.fate != old.udp.fate else None
        for name, reflector in self.reflectors.items():
            reflector.forget()
            faults = wanted.faults(name)
            changed = faults != old.faults(name)
            reflector.change(faults if changed else reflector.faults, script)

    def close(self) -> None:
        """The sockets are closed: so is the decision log."""
        if self._asking.running:
            self._asking.stop()
        if self._record is not None:
            self._record.close()

    def metrics(self) -> Iterator[Metric]:
        """What there is to tell in figures, by reflector."""
        counted = {name: reflector.counts for name, reflector in self.reflectors.items()}
        for what, help in (
            ("received", "Datagrams received."),
            ("replied", "Replies sent."),
            ("copies", "Packets that duplication added."),
        ):
            samples = (
                Sample(getattr(counts, what), (("reflector", name),))
                for name, counts in counted.items()
            )
            yield Metric(f"netlab_udp_{what}_total", "counter", help, tuple(samples))
        dropped = (
            Sample(number, (("reflector", name), ("reason", reason.value)))
            for name, counts in counted.items()
            for reason, number in counts.reasons.items()
        )
        help = "Datagrams that got no reply."
        yield Metric("netlab_udp_dropped_total", "counter", help, tuple(dropped))
        waiting = (
            Sample(reflector.waiting, (("reflector", name),))
            for name, reflector in self.reflectors.items()
        )
        help = "Packets that a fault holds back."
        yield Metric("netlab_udp_delayed_packets", "gauge", help, tuple(waiting))
