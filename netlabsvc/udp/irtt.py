"""irtt, the Isochronous Round-Trip Tester: the server's side of its protocol, version 1.

Little-endian, one field after the other; what is absent takes no room.

    | field                                      | bytes | present                            |
    |--------------------------------------------|-------|------------------------------------|
    | magic 14 a7 5b                             | 3     | always                             |
    | flags: 1 open, 2 reply, 4 close, 8 HMAC    | 1     | always                             |
    | HMAC-MD5 of the packet with zeros in here  | 16    | flag 8                             |
    | token of the session                       | 8     | all but the open request           |
    | sequence number                            | 4     | echo                               |
    | received count                             | 4     | echo, if stats have 1              |
    | received window, bit 0 is this packet      | 8     | echo, if stats have 2              |
    | receive time: wall, monotonic              | 8 + 8 | echo, if stamps have 2; by clocks  |
    | midpoint time: wall, monotonic             | 8 + 8 | echo, if stamps are 4; by clocks   |
    | send time: wall, monotonic                 | 8 + 8 | echo, if stamps have 1; by clocks  |
    | payload                                    | rest  | echo; parameters in open packets   |

    open   client: 1, parameters                server: 3, token, parameters granted
                                                        7, token 0: no session was begun
    echo   client: 0, placeholders, payload     server: 2
    close  client: 4                            no answer

Count and window are of different packets, copies left out, so that a client can subtract. An echo
request is as long as its reply; a shorter one gets none.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct

from netlabsvc.udp import parameters
from netlabsvc.udp.parameters import Limits, Parameters
from netlabsvc.udp.sessions import Sessions
from netlabsvc.udp.tongue import Refusal, Tongue
from netlabsvc.udp.window import Window

MAGIC = b"\x14\xa7\x5b"
OPEN, REPLY, CLOSE, HMAC = 1, 2, 4, 8
_ALL = OPEN | REPLY | CLOSE | HMAC
_HEAD_BYTES = 4
_HMAC_BYTES = 16
_TOKEN_BYTES = 8
_NUMBER_BYTES = 4
_NO_TOKEN = bytes(_TOKEN_BYTES)
#: The most by which an open reply is longer than the request: the token, and a larger interval.
GROWTH_BYTES = _TOKEN_BYTES + 4
#: How long a session may be used beyond the limit of its duration.
GRACE_NS = 2 * 10**9
_MASK = (1 << 64) - 1
_FILL = b"irtt"
_DEFAULT_FILL = _FILL * 16384


@dataclass(slots=True)
class _Layout:
    """What stands between number and payload of an echo, for some stats, stamps and clocks."""

    fields: Struct
    stats: int
    #: Which moments: 0 receive, 1 midpoint, 2 send.
    moments: tuple[int, ...]
    wall: bool
    monotonic: bool


@lru_cache(maxsize=64)
def _layout(stats: int, stamps: int, clocks: int) -> _Layout:
    bits = (parameters.RECEIVE, parameters.MIDPOINT, parameters.SEND)
    moments = tuple(i for i, bit in enumerate(bits) if stamps & bit)
    wall, monotonic = bool(clocks & parameters.WALL), bool(clocks & parameters.MONOTONIC)
    form = "<" + "I" * bool(stats & parameters.COUNT) + "Q" * bool(stats & parameters.WINDOW)
    form += "Q" * (len(moments) * (wall + monotonic))
    return _Layout(Struct(form), stats, moments, wall, monotonic)


class _Session:
    """One client's session."""

    __slots__ = ("address", "fill", "first_ns", "layout", "length_bytes", "window")

    def __init__(self, address: tuple[str, int], granted: Parameters, head_bytes: int) -> None:
        self.address = address
        self.layout = _layout(granted.stats, granted.stamps, granted.clocks)
        header_bytes = head_bytes + _TOKEN_BYTES + _NUMBER_BYTES + self.layout.fields.size
        self.length_bytes = max(header_bytes, granted.length_bytes)
        self.fill = granted.fill
        self.first_ns: int | None = None
        self.window = Window()


class Irtt(Tongue):
    """An irtt server.

    :param monotonic_ns: for the age of sessions and the monotonic stamps.
    :param random_bytes: that many bytes that nobody can foretell: tokens and random fill.
    :param key: of the HMAC; packets with one are refused where there is none, and the reverse.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int],
        random_bytes: Callable[[int], bytes],
        limits: Limits,
        key: bytes | None = None,
        sessions: Sessions[bytes, _Session] | None = None,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._random_bytes = random_bytes
        self._limits = limits
        self._key = key
        self._flags = HMAC if key is not None else 0
        self._head_bytes = _HEAD_BYTES + (_HMAC_BYTES if key is not None else 0)
        self._sessions: Sessions[bytes, _Session] = Sessions() if sessions is None else sessions

    def reply(
        self,
        data: bytes,
        host: str,
        port: int,
        ttl: int,
        received_ns: int,
        now_ns: Callable[[], int],
        may_grow: bool,
    ) -> bytes | Refusal | None:
        """The reply to a packet of a client; see `Tongue.reply`."""
        refusal = self._refusal(data)
        if refusal is not None:
            return refusal
        flags, at = data[3], self._head_bytes
        if flags & OPEN:
            return self._open(data, flags, (host, port), may_grow)
        if len(data) < at + _TOKEN_BYTES:
            return Refusal.TOO_SHORT
        token, at_ns = data[at : at + _TOKEN_BYTES], self._monotonic_ns()
        session = self._sessions.find(token, at_ns)
        if session is None:
            return Refusal.NO_SESSION
        if session.address != (host, port):
            return Refusal.WRONG_CLIENT
        if flags & CLOSE:
            self._sessions.remove(token)
            return None
        if len(data) < session.length_bytes:
            return Refusal.TOO_SHORT
        self._sessions.use(token, at_ns)
        return self._echo(data, token, session, received_ns, now_ns)

    def _refusal(self, data: bytes) -> Refusal | None:
        """Why a packet is not read any further; None where it is."""
        if len(data) < self._head_bytes:
            return Refusal.TOO_SHORT
        flags = data[3]
        if not data.startswith(MAGIC) or flags > _ALL:
            return Refusal.MALFORMED
        if flags & REPLY:
            return Refusal.LOOP_SUSPECT
        if flags & HMAC != self._flags:
            return Refusal.BAD_HMAC
        if self._key is not None and not authentic(data, self._key):
            return Refusal.BAD_HMAC
        return None

    def _open(
        self, data: bytes, flags: int, address: tuple[str, int], may_grow: bool
    ) -> bytes | Refusal:
        try:
            asked = parameters.parse(data[self._head_bytes :])
        except ValueError:
            return Refusal.MALFORMED
        if asked.version == 0:
            return Refusal.MALFORMED
        begins = asked.version == parameters.VERSION and not flags & CLOSE
        if asked.version == parameters.VERSION:
            granted = asked.granted(self._limits)
        else:
            granted = Parameters(version=parameters.VERSION)
        wire = granted.encode()
        growth_bytes = self._head_bytes + _TOKEN_BYTES + len(wire) - len(data)
        if growth_bytes > (GROWTH_BYTES if may_grow else 0):
            return Refusal.WOULD_GROW
        token = _NO_TOKEN
        if begins:
            token = self._begin(_Session(address, granted, self._head_bytes))
        return self._packet(OPEN | REPLY | (0 if begins else CLOSE), token + wire)

    def _begin(self, session: _Session) -> bytes:
        token = _NO_TOKEN
        while token == _NO_TOKEN or token in self._sessions:
            token = self._random_bytes(_TOKEN_BYTES)
        self._sessions.add(token, session, self._monotonic_ns())
        return token

    def _echo(
        self,
        data: bytes,
        token: bytes,
        session: _Session,
        received_ns: int,
        now_ns: Callable[[], int],
    ) -> bytes:
        layout, window, at = session.layout, session.window, self._head_bytes + _TOKEN_BYTES
        wire_number = data[at : at + _NUMBER_BYTES]
        number = int.from_bytes(wire_number, "little")
        window.note(number)
        payload_at = at + _NUMBER_BYTES + layout.fields.size
        payload = self._payload(session, data, payload_at)
        values = []
        if layout.stats & parameters.COUNT:
            values.append(window.count & 0xFFFFFFFF)
        if layout.stats & parameters.WINDOW:
            values.append(window.before(number))
        wall_ns, monotonic_ns = now_ns(), self._monotonic_ns()
        waited_ns = wall_ns - received_ns
        for moment in layout.moments:
            ago_ns = (waited_ns, waited_ns - waited_ns // 2, 0)[moment]
            if layout.wall:
                values.append(wall_ns - ago_ns & _MASK)
            if layout.monotonic:
                values.append(monotonic_ns - ago_ns & _MASK)
        body = b"".join((token, wire_number, layout.fields.pack(*values), payload))
        return self._packet(REPLY | self._over(token, session, monotonic_ns), body)

    def _payload(self, session: _Session, data: bytes, at: int) -> bytes:
        fill, length = session.fill, session.length_bytes - at
        if not length:
            return b""
        if fill == b"rand":
            return self._random_bytes(length)
        if fill == b"none":
            return data[at : session.length_bytes]
        pattern = bytes.fromhex(fill[8:].decode("ascii"))
        if not pattern:
            return _DEFAULT_FILL[:length]
        return (pattern * (length // len(pattern) + 1))[:length]

    def _over(self, token: bytes, session: _Session, at_ns: int) -> int:
        """The close flag where a session has lasted too long, and is over; else 0."""
        first_ns, most_ns = session.first_ns, self._limits.duration_ns
        if first_ns is None:
            session.first_ns = at_ns
        elif most_ns is not None and at_ns - first_ns > most_ns + GRACE_NS:
            self._sessions.remove(token)
            return CLOSE
        return 0

    def _packet(self, flags: int, body: bytes) -> bytes:
        """A packet of ours: head, the HMAC where there is a key, and all that follows."""
        head = MAGIC + bytes((flags | self._flags,))
        if self._key is None:
            return head + body
        return head + _hmac(head, body, self._key) + body


def _hmac(head: bytes, body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, head + bytes(_HMAC_BYTES) + body, "md5")


def authentic(packet: bytes, key: bytes) -> bool:
    """Whether the HMAC of a packet of 20 bytes or more is good."""
    head_bytes = _HEAD_BYTES + _HMAC_BYTES
    good = _hmac(packet[:_HEAD_BYTES], packet[head_bytes:], key)
    return hmac.compare_digest(good, packet[_HEAD_BYTES:head_bytes])
