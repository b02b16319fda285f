"""The sender of STAMP (RFC 8762, section 4.2; RFC 8972): its requests, and which replies count.

A reply counts when (packets: `stamp`)

    it is 36 bytes long or longer; authenticated: 112, with a good HMAC
    its Session-Sender Sequence Number was sent in this run
    its Session-Sender Timestamp is the T1 that was sent with that number
    its SSID is ours, or 0: a peer that does not know RFC 8972

so nothing of another run and nothing forged is taken for an answer. Whether it is a duplicate or
late is decided elsewhere (`ledger`).

A stateful peer numbers its replies by a count of its own. While nothing is lost on the way up that
is the number of the request, which a stateless peer copies; so the request carries a Direct
Measurement TLV, in which a stateful one answers how many replies it has sent. Every other peer
returns it as padding. It knows no sockets and reads no clock.
"""

from __future__ import annotations

import hmac
from random import Random

from netlabsvc.udp import ntp, stamp, tlv
from netlabsvc.udp.probe import Answer
from netlabsvc.udp.trace import Trace

#: The answer's header: neither unrecognised nor malformed.
_ANSWERED = tlv.encode(tlv.DIRECT_MEASUREMENT, bytes(12), flags=0)[: tlv.HEADER_BYTES]
_ASKED_BYTES = tlv.HEADER_BYTES + 12
_KEYED = "the server has another key, or none"


def least_bytes(key: bytes | None) -> int:
    """The size of a request without padding."""
    return stamp.BASE_BYTES if key is None else stamp.AUTHENTICATED_BYTES


class Sender:
    """STAMP as a dialect (`probe.Dialect`).

    :param chance: draws the SSID.
    :param size_bytes: of each request, filled up with zeros, which every peer takes for padding;
        the base packet stays whole, the TLV is left out where it does not fit. 0: as they are.
    :param key: makes it authenticated STAMP.
    :param estimate: the Error Estimate of this machine's clock, 16 bits.
    """

    protocol = "stamp"

    def __init__(
        self, chance: Random, size_bytes: int = 0, key: bytes | None = None, estimate: int = 1
    ) -> None:
        self.ssid = chance.randrange(1, 1 << 16)
        self._size_bytes, self._key, self._estimate = size_bytes, key, estimate
        #: T1 of each number, as it went onto the wire.
        self._stamps: list[int] = []
        self._foreign = self._short = 0
        self._without_ssid = self._counts = self._disagrees = False
        self._agrees = False
        self._worst_s: float | None = 0.0

    def request(self, seq: int, wall_ns: int) -> bytes:
        """The request of a probe; on the wire the first one has the number 0."""
        self._stamps.append(ntp.from_unix_ns(wall_ns))
        number = seq - 1 & 0xFFFFFFFF
        packet = stamp.request(number, wall_ns, self._estimate, self.ssid, self._key)
        question = self._question(seq, packet[:4])
        if not self._size_bytes or len(packet) + len(question) <= self._size_bytes:
            packet += question
        return packet.ljust(self._size_bytes, b"\0")

    def _question(self, sent: int, number: bytes) -> bytes:
        """How many replies the peer has sent; authenticated, TLVs need an HMAC of their own."""
        asked = tlv.encode(tlv.DIRECT_MEASUREMENT, sent.to_bytes(4, "big") + bytes(8))
        if self._key is not None:
            asked += tlv.encode(tlv.HMAC, tlv.mac(self._key, number, asked))
        return asked

    def _replies_sent(self, reply: bytes) -> int | None:
        """The answer to that; None where the peer does not know the question."""
        at = least_bytes(self._key)
        told, seal = reply[at : at + _ASKED_BYTES], reply[at + _ASKED_BYTES :]
        if told[: tlv.HEADER_BYTES] != _ANSWERED or len(told) < _ASKED_BYTES:
            return None
        if self._key is not None:
            good = tlv.mac(self._key, reply[:4], told)
            if not hmac.compare_digest(good, seal[tlv.HEADER_BYTES :][: tlv.HMAC_BYTES]):
                return None
        return int.from_bytes(told[-4:], "big")

    def answer(self, data: bytes, sent: int, wall_ns: int) -> Answer | None:
        """What a reply says; None where it does not count."""
        said = stamp.parse_reply(data, self._key)
        if said is None or not self._ours(said):
            self._foreign += 1
            return None
        self._short += len(data) < least_bytes(self._key)
        self._without_ssid |= said.ssid == 0
        self._counts |= said.number != said.sender_number
        replies_sent = self._replies_sent(data)
        if replies_sent is not None:
            same = replies_sent == (said.number + 1) & 0xFFFFFFFF
            self._agrees |= same
            self._disagrees |= not same
        quality = ntp.parse_error_estimate(said.estimate)
        if self._worst_s is not None:
            known = quality.synchronised and quality.error_s is not None
            self._worst_s = max(self._worst_s, quality.error_s or 0.0) if known else None
        read = ntp.ptp_to_unix_ns if quality.ptp else ntp.to_unix_ns
        return Answer(
            said.sender_number + 1, read(said.t2, wall_ns), read(said.t3, wall_ns), said.number
        )

    def _ours(self, said: stamp.Reflection) -> bool:
        number = said.sender_number
        return (
            number < len(self._stamps)
            and said.t1 == self._stamps[number]
            and said.ssid in (self.ssid, 0)
        )

    def conclude(self, trace: Trace) -> None:
        """Write down what kind of peer it is."""
        trace.stateful = self._counts or (self._agrees and not self._disagrees)
        if trace.replies and self._worst_s is not None:
            trace.server_clock_error_ns = round(self._worst_s * 1e9)
        if self._short:
            trace.notes.append(
                "The server's replies are shorter than STAMP's: it is a TWAMP-Light reflector."
            )
        elif self._without_ssid:
            trace.notes.append("The server does not return the session id (RFC 8972).")
        if self._foreign and not trace.replies:
            remedy = "for an echo server use --proto text" if self._key is None else _KEYED
            trace.notes.append(f"What came back is no STAMP reply to this run; {remedy}.")
