"""STAMP, the Simple Two-way Active Measurement Protocol (RFC 8762), and TWAMP-Light peers.

Request, unauthenticated (44 bytes), and its place in the authenticated packet (112 bytes):

    | bytes  | authenticated | field                                                      |
    |--------|---------------|------------------------------------------------------------|
    | 0..3   | 0..3          | Sequence Number                                            |
    | 4..11  | 16..23        | Timestamp (T1)                                             |
    | 12..13 | 24..25        | Error Estimate                                             |
    | 14..15 | 26..27        | SSID (RFC 8972)                                            |
    | rest   | rest          | zero; authenticated: HMAC in 96..111                       |

Reply:

    | 0..3   | 0..3          | Sequence Number: a counter of the session, or the sender's |
    | 4..11  | 16..23        | Timestamp (T3)                                             |
    | 12..13 | 24..25        | Error Estimate of T2 and T3                                |
    | 14..15 | 26..27        | SSID as received                                           |
    | 16..23 | 32..39        | Receive Timestamp (T2)                                     |
    | 24..27 | 48..51        | Session-Sender Sequence Number                             |
    | 28..35 | 64..71        | Session-Sender Timestamp (T1)                              |
    | 36..37 | 72..73        | Session-Sender Error Estimate                              |
    | 40     | 80            | Session-Sender TTL                                         |
    | rest   | rest          | zero; authenticated: HMAC in 96..111                       |

The HMAC is the first half of HMAC-SHA-256 over bytes 0..95. Behind the base packet stand TLVs
(`tlv`), or padding, which comes back. Nothing in a packet tells the mode, or a request from a
reply: both are known beforehand.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from netlabsvc.udp import ntp, tlv
from netlabsvc.udp.sessions import CAP, IDLE_NS, Sessions
from netlabsvc.udp.tongue import Refusal, Tongue

BASE_BYTES = 44
AUTHENTICATED_BYTES = 112
#: Up to T1 and its Error Estimate: what a TWAMP-Light sender sends at least (RFC 5357, app. I).
SHORTEST_BYTES = 14
#: Up to T1 in a reply: what a TWAMP-Light reflector sends at least.
SHORTEST_REPLY_BYTES = 36
KEY_BYTES = 16
_HASHED_BYTES = 96
#: A reply of our own that comes back carries one of our time stamps, no older than this.
LOOP_NS = 60 * ntp.SECOND_NS
#: A sender that begins anew sends 0 again: after a second, or after a number as large as this.
RESTART_NS = ntp.SECOND_NS
RESTART_NUMBER = 1000


class _Layout(NamedTuple):
    """Where the fields stand: number, T1, Error Estimate, SSID, what is T2 and T1 in a reply; and
    number, T3, Error Estimate, SSID, T2, number, T1, Error Estimate, TTL."""

    base_bytes: int
    request: Struct
    reply: Struct


_PLAIN = _Layout(BASE_BYTES, Struct("!I8s2sH Q4xQ8x"), Struct("!IQHHQ I8s2s2xB3x"))
_AUTHENTICATED = _Layout(
    AUTHENTICATED_BYTES,
    Struct("!I12x8s2sH4x Q24xQ24x"),
    Struct("!I12xQHH4xQ8x I12x8s2s6xB15x"),
)


class _Session(tlv.Account):
    """A session as a stateful reflector knows it."""

    __slots__ = ("last_ns", "last_number")

    def __init__(self) -> None:
        super().__init__()
        self.last_ns = 0
        self.last_number = 0


class Stamp(Tongue):
    """A STAMP reflector.

    :param monotonic_ns: for the age of sessions; no time stamp is made of it.
    :param key: switches to authenticated mode; 16 bytes or more.
    :param stateful: whether replies are counted per session, so that a sender can tell loss up
        from loss down.
    :param extensions: RFC 8972: the SSID and TLVs. Without, all behind byte 14 is padding.
    :param cap: sessions at most; the least recently used goes.
    :raises ValueError: for a key that is too short.
    """

    def __init__(
        self,
        monotonic_ns: Callable[[], int],
        key: bytes | None = None,
        stateful: bool = True,
        extensions: bool = True,
        cap: int = CAP,
        idle_ns: int = IDLE_NS,
    ) -> None:
        if key is not None and len(key) < KEY_BYTES:
            raise ValueError(f"a STAMP key has {KEY_BYTES} bytes or more, this one {len(key)}")
        #: Of the clock behind T2 and T3; set it whenever more is known.
        self.error_estimate = ntp.error_estimate(False, 16 * ntp.SECOND_NS)
        self.wants_sent = False
        self._monotonic_ns = monotonic_ns
        self._key = key
        self._extensions = extensions
        self._layout = _PLAIN if key is None else _AUTHENTICATED
        # A session of a single request may be a slow one: it is idle as late as any.
        self._sessions: Sessions[tuple[str, int, int], _Session] | None = (
            Sessions(cap, idle_ns, idle_ns) if stateful else None
        )

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
        """The reflection of a test packet; see `Tongue.reply`."""
        base_bytes, request, reply = self._layout
        length, key = len(data), self._key
        if length < base_bytes:
            if length < SHORTEST_BYTES or key is not None:
                return Refusal.TOO_SHORT
            if not may_grow:
                return Refusal.WOULD_GROW
            data = data.ljust(base_bytes, b"\0")
        if key is not None and not authentic(data, key):
            return Refusal.BAD_HMAC
        number, stamp, estimate, ssid, t2, t1 = request.unpack_from(data)
        if t2 and abs(ntp.to_unix_ns(t1, received_ns) - received_ns) <= LOOP_NS:
            return Refusal.LOOP_SUSPECT
        if not self._extensions:
            ssid = 0
        own, session = number, None
        if self._sessions is not None:
            session = self._session(host, port, ssid, number)
            own = session.sent & 0xFFFFFFFF
            session.sent += 1
        rest = self._rest(data, number, own, session) if length > base_bytes else b""
        came, left = ntp.from_unix_ns(received_ns), ntp.from_unix_ns(now_ns())
        quality = self.error_estimate
        base = reply.pack(own, left, quality, ssid, came, number, stamp, estimate, ttl)
        return base + rest if key is None else base + _hmac(base, key) + rest

    def sent(self, reply: bytes, host: str, port: int, at_ns: int) -> None:
        """Take note of when a reply left, for Follow-Up Telemetry."""
        if self._sessions is None:
            return
        fields = self._layout.reply.unpack_from(reply)
        session = self._sessions.find((host, port, fields[3]), self._monotonic_ns())
        if session is not None:
            session.left_number = fields[0]
            session.left_stamp = ntp.from_unix_ns(at_ns)

    def _session(self, host: str, port: int, ssid: int, number: int) -> _Session:
        """The session of a request, which is counted there."""
        sessions, now_ns, key = self._sessions, self._monotonic_ns(), (host, port, ssid)
        assert sessions is not None
        session = sessions.use(key, now_ns)
        if session is None or (number == 0 and _restarts(session, now_ns)):
            session = _Session()
            sessions.add(key, session, now_ns)
        session.received += 1
        session.last_ns = now_ns
        session.last_number = number
        if session.window is not None:
            session.window.note(number)
        return session

    def _rest(self, data: bytes, number: int, own: int, session: _Session | None) -> bytes:
        """What stands behind the base packet of a reply: as long as in the request."""
        rest = data[self._layout.base_bytes :]
        if not self._extensions or len(rest) < tlv.HEADER_BYTES:
            return rest
        seal = None
        if self._key is not None:
            seal = tlv.Seal(self._key, data[:4], own.to_bytes(4, "big"))
        rest = tlv.reflect(rest, number, session, seal)
        if session is not None and session.asked_follow_up:
            self.wants_sent = True
        return rest


def _restarts(session: _Session, now_ns: int) -> bool:
    """Whether a number 0 begins a session anew, and is no late copy of its first packet."""
    return now_ns - session.last_ns > RESTART_NS or session.last_number >= RESTART_NUMBER


def _hmac(packet: bytes, key: bytes) -> bytes:
    return hmac.digest(key, packet[:_HASHED_BYTES], "sha256")[:16]


def authentic(packet: bytes, key: bytes) -> bool:
    """Whether the HMAC of an authenticated packet of 112 bytes or more is good."""
    return hmac.compare_digest(_hmac(packet, key), packet[_HASHED_BYTES:AUTHENTICATED_BYTES])


def request(number: int, t1_ns: int, estimate: int, ssid: int, key: bytes | None = None) -> bytes:
    """A test packet as a sender makes it, without TLVs.

    :param t1_ns: Unix nanoseconds.
    :param estimate: the 16 bits of T1's Error Estimate.
    :param key: makes it an authenticated one.
    """
    stamp, bits = ntp.from_unix_ns(t1_ns).to_bytes(8, "big"), estimate.to_bytes(2, "big")
    layout = _PLAIN if key is None else _AUTHENTICATED
    packet = layout.request.pack(number, stamp, bits, ssid, 0, 0)
    return packet if key is None else packet + _hmac(packet, key)


class Reflection(NamedTuple):
    """What a reply says. Time stamps are 64 bits, in the format that their estimate names."""

    number: int
    t3: int
    estimate: int
    ssid: int
    t2: int
    sender_number: int
    t1: int
    sender_estimate: int
    #: TTL of the request at the reflector; None where the reply is too short to tell.
    ttl: int | None


def parse_reply(data: bytes, key: bytes | None = None) -> Reflection | None:
    """Read a reply; None where it is too short or its HMAC is wrong.

    TWAMP-Light reflectors may answer with as little as 36 bytes.
    """
    layout = _PLAIN if key is None else _AUTHENTICATED
    least_bytes = SHORTEST_REPLY_BYTES if key is None else AUTHENTICATED_BYTES
    if len(data) < least_bytes or (key is not None and not authentic(data, key)):
        return None
    whole = data.ljust(layout.base_bytes, b"\0")
    number, t3, estimate, ssid, t2, sender_number, t1, bits, ttl = layout.reply.unpack_from(whole)
    return Reflection(
        number,
        t3,
        estimate,
        ssid,
        t2,
        sender_number,
        int.from_bytes(t1, "big"),
        int.from_bytes(bits, "big"),
        ttl if len(data) > 40 else None,
    )
