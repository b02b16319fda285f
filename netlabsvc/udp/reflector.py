"""A reflector: what becomes of each datagram between the socket and the socket.

    datagram -> rules about sources -> way up -> tongue -> way down -> reply

The rules come first, so that what is refused takes no part in an experiment. The ways have the
faults; what they hold back waits in a timeline. A request arrives (T2) when it has passed the way
up, and its reply is made (T3) before the way down.

Nearly always there is no fault, or loss alone, and the reply is a prefix and the payload: such a
batch takes the lane, where nothing is copied and a packet costs a few lookups. Both ways draw the
same numbers for the same arrivals.

Every request is counted, and so is the reason of each that gets no reply. A log event per packet
would cost more than the packet: the counts are logged instead, once a minute while they change,
and in full at the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from errno import EMSGSIZE
from typing import Any, TypeAlias

from twisted.logger import Logger

from netlabsvc.connections import host_port
from netlabsvc.udp.batch import SLOT_BYTES, Batch
from netlabsvc.udp.classic import Classic, Form, bounced
from netlabsvc.udp.counts import Counts
from netlabsvc.udp.decisions import Decision
from netlabsvc.udp.fate import Script
from netlabsvc.udp.faults import Faults
from netlabsvc.udp.gate import Clocks, Gate, Rules
from netlabsvc.udp.impair import IPV4_OVERHEAD_BYTES, IPV6_OVERHEAD_BYTES, Path
from netlabsvc.udp.record import Record
from netlabsvc.udp.sessions import Sessions
from netlabsvc.udp.sources import Source, is_reflected
from netlabsvc.udp.timeline import Timeline
from netlabsvc.udp.tongue import Refusal, Tongue

log = Logger()

#: Packets that one reflector holds back at most.
MAX_DELAYED = 1000
_ZERO, _NINE = b"09"
_DIGIT = re.compile(rb"[0-9]")


@dataclass(slots=True)
class _Request:
    """One request on its way through.

    :ivar number: how many were let in before it, and one.
    :ivar nth: the same for its client, where a fate script asks.
    :ivar received_ns: when the kernel had it, Unix time.
    """

    number: int
    nth: int
    source: Source
    received_ns: int
    ttl: int
    copied: bool = False


#: What to do with a packet that was held back: the request, the copy's number, the datagram, and
#: since when it waits.
_Step: TypeAlias = Callable[[_Request, int, bytes, int], list[bytes]]
_Held: TypeAlias = tuple[_Step, _Request, int, bytes, int]


class Reflector:
    """One tongue on one port; `port.Port` moves its datagrams.

    :param name: of the reflector, in counters and logs; part of what its chance is drawn from.
    :param seed: makes its faults repeatable.
    :param record: where every decision is written, if it is.
    """

    def __init__(
        self,
        name: str,
        tongue: Tongue,
        rules: Rules,
        seed: int,
        clocks: Clocks | None = None,
        record: Record | None = None,
    ) -> None:
        self.name, self.tongue, self.counts = name, tongue, Counts()
        self._rules, self._record = rules, record
        self.clocks = clocks or Clocks()
        note = self._note if record is not None else None
        self._up = Path("up", Faults().up, seed, name, note)
        self._down = Path("down", Faults().down, seed, name, note)
        self._gate = Gate(name, rules, self.counts, self.clocks.monotonic_ns)
        self._logged = ""
        self._number = 0
        self._of_client: Sessions[tuple[str, int], list[int]] = Sessions()
        self._noted: _Request | None = None
        self._held: Timeline[_Held] = Timeline(MAX_DELAYED)
        #: Called with the time at which the next packet is due, when there is another.
        self.wake_at: Callable[[int | None], None] = lambda due_ns: None
        #: Sends one datagram: (reply, address); raises OSError.
        self.send_to: Callable[[bytes, Any], Any] = lambda reply, address: None
        self.change(Faults(), Script())

    def change(self, faults: Faults, script: Script | None = None) -> None:
        """Go on with other faults; each stage draws on from where its generator is.

        :param script: what happens to the n-th request of each client; None: as before.
        """
        self.faults = faults
        if script is not None:
            self.script = script
        self._up.change(faults.up)
        self._down.change(faults.down)
        began_ns, wall_ns = self.clocks.wall_ns(), self.clocks.wall_ns
        self._shown: Callable[[int], int] | None = None
        self._now_ns = wall_ns
        if faults.clock:
            self._shown = shown = lambda true_ns: faults.clock.shown_ns(true_ns, began_ns)
            self._now_ns = lambda: shown(wall_ns())
        recorded = self._record is not None or bool(self.script)
        self._clear = self._up.idle and self._down.idle and not recorded
        loses = all(path.idle or path.loses is not None for path in (self._up, self._down))
        tongue = self.tongue
        # A batch has one time: exact enough for milliseconds, but not for microseconds.
        suits = isinstance(tongue, Classic) and tongue.form in (Form.TIMESTAMP, Form.ECHO)
        self._lane = tongue if suits and loses and not recorded else None

    @property
    def waiting(self) -> int:
        """How many packets are held back now."""
        return len(self._held)

    def opened(self, port: int) -> None:
        """It listens on this port: what comes from a port of this number is refused.

        Another reflector of ours may be behind it, here or on another host.
        """
        self._rules.refused_ports.add(port)

    def forget(self) -> None:
        """Learn anew what rules say of each source: they have changed."""
        self._gate.known.clear()

    def turn(self, batch: Batch) -> None:
        """Read a batch and answer it."""
        count = batch.receive()
        if not count:
            return
        self.counts.received += count
        if isinstance(self._lane, Classic) and batch.memory is not None:
            self._by_lane(batch, self._lane)
        else:
            self._one_by_one(batch)
        if self._record is not None:
            self._record.flush()

    def _by_lane(self, batch: Batch, lane: Classic) -> None:
        prefix = lane.prefix(self._now_ns()) or b""
        names, lengths = batch.names(), batch.lengths()
        if (
            prefix
            and self._all_pass(batch, names)
            and max(lengths) <= lane.limit_bytes - len(prefix)
        ):
            self._number += len(names)
            self._send_batch(batch, prefix, range(len(names)))
            return
        refuse, memory = self.counts.refuse, batch.memory
        known, learn, admitted = self._gate.known, self._gate.learn, self._gate.admitted
        lost_up, lost_down = self._up.loses, self._down.loses
        limit_bytes = lane.limit_bytes - len(prefix)
        chosen, let_in, lost = [], 0, 0
        arrivals = batch.arrivals()
        for index, (name, length) in enumerate(zip(names, lengths, strict=True)):
            source = known.get(name) or learn(name)
            if not source.free and not admitted(source):
                continue
            if arrivals and is_reflected(arrivals[index][1]):
                refuse(Refusal.LOOP_SUSPECT)
                continue
            let_in += 1
            if lost_up is not None and lost_up():
                lost += 1
                continue
            if prefix:
                at = index * SLOT_BYTES
                # Nearly always the first byte tells that there are no two stamps.
                if _ZERO <= memory[at] <= _NINE and bounced(memory[at : at + length]):
                    refuse(Refusal.LOOP_SUSPECT)
                    continue
                if not source.may_grow:
                    refuse(Refusal.WOULD_GROW)
                    continue
            if length > limit_bytes:
                refuse(Refusal.REPLY_TOO_LONG)
            elif lost_down is not None and lost_down():
                lost += 1
            else:
                chosen.append(index)
        self._number += let_in
        self.counts.reasons[Refusal.IMPAIRED] += lost
        self._send_batch(batch, prefix, chosen)

    def _all_pass(self, batch: Batch, names: Sequence[bytes]) -> bool:
        """Whether no rule and no fault can stop any datagram of a batch: told by a look at all."""
        if not (self._up.idle and self._down.idle):
            return False
        sources = map(self._gate.known.get, set(names))
        if not all(source and source.free and source.may_grow for source in sources):
            return False
        firsts: bytes = batch.memory[0 : len(names) * SLOT_BYTES : SLOT_BYTES]
        return not _DIGIT.search(firsts)

    def _one_by_one(self, batch: Batch) -> None:
        arrivals, now_ns = batch.arrivals(), self.clocks.wall_ns()
        known, learn, admitted = self._gate.known, self._gate.learn, self._gate.admitted
        tongue, shown, clear = self.tongue, self._shown, self._clear
        chosen: list[int] = []
        for index, (name, length) in enumerate(zip(batch.names(), batch.lengths(), strict=True)):
            source = known.get(name) or learn(name)
            if not source.free and not admitted(source):
                continue
            at_ns, ttl = arrivals[index] if arrivals else (now_ns, 0)
            if is_reflected(ttl):
                self.counts.refuse(Refusal.LOOP_SUSPECT)
                continue
            self._number += 1
            data = batch.datagram(index, length)
            at_ns = at_ns or now_ns
            if clear and not tongue.wants_sent:
                at_ns = shown(at_ns) if shown else at_ns
                host, port, may_grow = source.host, source.port, source.may_grow
                reply = tongue.reply(data, host, port, ttl, at_ns, self._now_ns, may_grow)
                if isinstance(reply, bytes):
                    batch.put(index, reply)
                    chosen.append(index)
                else:
                    self.counts.refuse(reply or Refusal.NO_REPLY_DUE)
                continue
            request = _Request(self._number, self._nth(source), source, at_ns, ttl)
            for reply in self._enter(request, data):
                if chosen:  # those before it go first
                    self._send_batch(batch, b"", chosen)
                    chosen = []
                self._send(reply, source)
        self._send_batch(batch, b"", chosen)

    def _nth(self, source: Source) -> int:
        """Which request of its client this is; 0 where no script asks."""
        if not self.script:
            return 0
        key, now_ns = (source.host, source.port), self.clocks.monotonic_ns()
        counted = self._of_client.use(key, now_ns)
        if counted is None:
            counted = [0]
            self._of_client.add(key, counted, now_ns)
            self._of_client.use(key, now_ns)
        counted[0] += 1
        return counted[0]

    def _enter(self, request: _Request, data: bytes) -> list[bytes]:
        """The way up; returns what is to be sent at once."""
        return self._pass(self._up, self._arrive, request, 0, data)

    def _arrive(self, request: _Request, copy: int, data: bytes, since_ns: int) -> list[bytes]:
        """The tongue, and the way down, of a request that has waited since a time."""
        waited_ns = self._left("up", request, copy, since_ns)
        source, at_ns = request.source, request.received_ns + waited_ns
        at_ns = self._shown(at_ns) if self._shown else at_ns
        reply = self.tongue.reply(
            *(data, source.host, source.port, request.ttl, at_ns, self._now_ns, source.may_grow)
        )
        if isinstance(reply, bytes):
            return self._pass(self._down, self._leave, request, copy, reply)
        self.counts.refuse(reply or Refusal.NO_REPLY_DUE)
        return []

    def _leave(self, request: _Request, copy: int, reply: bytes, since_ns: int) -> list[bytes]:
        """The end of the way down."""
        self._left("down", request, copy, since_ns)
        return [reply]

    def _pass(
        self, path: Path, then: _Step, request: _Request, copy: int, datagram: bytes
    ) -> list[bytes]:
        """Let a packet go a way, with all that the faults do to it."""
        now_ns, counts = self.clocks.monotonic_ns(), self.counts
        deed = self.script.deed(request.nth, path.direction) if self.script else None
        if path.idle and deed is None:
            return then(request, copy, datagram, now_ns)
        self._noted = request
        overhead_bytes = IPV6_OVERHEAD_BYTES if request.source.six else IPV4_OVERHEAD_BYTES
        packets = path.pass_through(now_ns, request.number, datagram, deed, overhead_bytes)
        if not packets:
            counts.refuse(Refusal.IMPAIRED)
        elif len(packets) > 1:
            counts.copies += 1
            if request.copied:
                self._drop(Refusal.COPY_DROPPED, path.direction, request, 1)
                packets = packets[:1]
            elif not request.source.free:
                self._rules.buckets.charge(request.source.block, now_ns)
            request.copied = True
        at_once = []
        for number, (delay_ns, packet) in enumerate(packets, copy):
            if delay_ns <= 0:
                at_once += then(request, number, packet, now_ns)
            elif not self._held.add(now_ns + delay_ns, (then, request, number, packet, now_ns)):
                self._drop(Refusal.TOO_MANY_DELAYED, path.direction, request, number)
            elif self._held.next_ns() == now_ns + delay_ns:
                self.wake_at(now_ns + delay_ns)
        return at_once

    def wake(self) -> None:
        """Let go what is due; called at the time that `wake_at` was given."""
        while (due := self._held.pop(self.clocks.monotonic_ns())) is not None:
            then, request, copy, datagram, since_ns = due[1]
            for reply in then(request, copy, datagram, since_ns):
                self._send(reply, request.source)
        if self._record is not None:
            self._record.flush()
        self.wake_at(self._held.next_ns())

    def _left(self, direction: str, request: _Request, copy: int, since_ns: int) -> int:
        """A packet has gone a way; returns how long that really took."""
        waited_ns = self.clocks.monotonic_ns() - since_ns
        if self._record is not None:
            self._noted = request
            self._note(Decision(request.number, direction, "sent", "sent", copy, None, waited_ns))
        return waited_ns

    def _drop(self, reason: Refusal, direction: str, request: _Request, copy: int) -> None:
        self.counts.refuse(reason)
        if self._record is not None:
            self._noted = request
            self._note(Decision(request.number, direction, "cap", "dropped", copy))

    def _note(self, decision: Decision) -> None:
        """Write a decision about the request at hand into the record."""
        if self._record is not None and self._noted is not None:
            source = self._noted.source
            client = host_port(source.host, source.port)
            self._record.write(decision, self.name, client, self.clocks.wall_ns())

    def _send_batch(self, batch: Batch, prefix: bytes, chosen: Sequence[int]) -> None:
        if chosen:
            errors = batch.send(prefix, chosen)
            self.counts.replied += len(chosen) - len(errors)
            for number in errors:
                self._unsent(number)

    def _send(self, reply: bytes, source: Source) -> None:
        try:
            self.send_to(reply, source.address)
        except OSError as error:
            self._unsent(error.errno)
            return
        self.counts.replied += 1
        if self.tongue.wants_sent:
            self.tongue.sent(reply, source.host, source.port, self._now_ns())

    def _unsent(self, number: int | None) -> None:
        # IPv4 mapped into an IPv6 socket takes less than the socket's family promises.
        long = number == EMSGSIZE
        self.counts.refuse(Refusal.REPLY_TOO_LONG if long else Refusal.SEND_ERROR)

    def tell(self, where: str) -> None:
        """Log the counts if they have changed; called once a minute."""
        self._gate.tell_anew()
        now = str(self.counts)
        if now != self._logged and self.counts.received:
            self._logged = now
            log.info("UDP {name} {where}: {counts}", name=self.name, where=where, counts=now)

    def close(self, where: str) -> None:
        """The socket is closed; what was held back is gone."""
        counts = str(self.counts)
        log.info("UDP {name} {where} closed: {counts}", name=self.name, where=where, counts=counts)

    def samples(self) -> Iterator[tuple[str, int]]:
        """Every counter, by its name."""
        yield from self.counts.all().items()
