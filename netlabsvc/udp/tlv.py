"""The extensions of STAMP: TLVs behind the base packet (RFC 8972), as a reflector answers them.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+---------------+-------------------------------+
    |U|M|I|reserved |     Type      |     Length of the value       |
    +-+-+-+-+-+-+-+-+---------------+-------------------------------+
    |  Value, not aligned                                           ~
    +---------------------------------------------------------------+
    U unrecognised   M malformed   I integrity check failed   (a sender sets U alone)

      1  Extra Padding       any length   comes back
      5  Direct Measurement  4 sent by the sender, 4 received here, 4 sent from here
      7  Follow-Up Telemetry 4 number of an earlier reply, 8 when it left, 1 method, 3 zero
      8  HMAC                16 of HMAC-SHA-256 over the Sequence Number and all TLVs before it
    252  Received window     4 how many different requests came, 8 which of the last (private use)

All else comes back with U set; among it Location, which would tell inside addresses, and Return
Path and Reflected Test Packet Control, which ask for replies elsewhere, or longer, or more.

The reply has the length of the request, always. Zeros to the end are a TWAMP-Light sender's
padding. Nothing here knows sockets, sessions beyond their figures, or a clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from netlabsvc.udp.window import Window

UNRECOGNISED, MALFORMED, INTEGRITY = 0x80, 0x40, 0x20
EXTRA_PADDING, DIRECT_MEASUREMENT, FOLLOW_UP_TELEMETRY, HMAC = 1, 5, 7, 8
RECEIVED_WINDOW = 252

HEADER_BYTES = 4
HMAC_BYTES = 16
#: So many TLVs are looked at; a packet could hold 16 000, each of which costs time.
MOST = 32
#: Follow-Up Telemetry: the time stamp was taken in software (RFC 8972, "Timestamping Methods").
_SOFTWARE = 2

_HEADER = Struct("!BBH")
_COUNTS = Struct("!II")
_FOLLOW_UP = Struct("!IQB3x")
_WINDOW = Struct("!IQ")


class Account:
    """What the reflector knows of a session, so far as TLVs tell it."""

    __slots__ = ("asked_follow_up", "left_number", "left_stamp", "received", "sent", "window")

    def __init__(self) -> None:
        #: Requests that came, copies too, and replies, the one that is being made too.
        self.received = 0
        self.sent = 0
        #: Number and send time (NTP) of the last reply known to have left; None before.
        self.left_number = 0
        self.left_stamp: int | None = None
        #: Whether someone wants to know that.
        self.asked_follow_up = False
        #: From the first question for it.
        self.window: Window | None = None


class Seal(NamedTuple):
    """What an HMAC TLV is checked and made with."""

    key: bytes
    #: The first four bytes of request and reply.
    request_number: bytes
    reply_number: bytes


class _Tlv(NamedTuple):
    at: int
    kind: int
    end: int


def reflect(tlvs: bytes, number: int, account: Account | None, seal: Seal | None) -> bytes:
    """The TLVs of a reply, byte for byte as long as those of the request.

    :param tlvs: what stands behind the base packet.
    :param number: the request's Sequence Number.
    :param account: of its session; None where the reflector is stateless.
    :param seal: in authenticated mode. TLVs other than Extra Padding then need an HMAC.
    """
    found, broken_at = _walk(tlvs)
    out = bytearray(tlvs)
    if broken_at is not None:
        out[broken_at] |= MALFORMED
    sealed = _sealed(tlvs, found, broken_at, seal)
    if sealed is None:
        for tlv in found:
            out[tlv.at] |= INTEGRITY
        if broken_at is not None:
            out[broken_at] |= INTEGRITY
        return bytes(out)
    for tlv in found:
        if not _answer(out, tlv, number, account):
            break
    if sealed and seal is not None:
        _seal(out, found, seal)
    return bytes(out)


def encode(kind: int, value: bytes, flags: int = UNRECOGNISED) -> bytes:
    """One TLV as a sender writes it."""
    return _HEADER.pack(flags, kind, len(value)) + value


def mac(key: bytes, number: bytes, before: bytes) -> bytes:
    """The value of an HMAC TLV.

    :param number: the first four bytes of the base packet.
    :param before: all TLVs before this one.
    """
    return hmac.digest(key, number + before, "sha256")[:HMAC_BYTES]


def _walk(tlvs: bytes) -> tuple[list[_Tlv], int | None]:
    """The TLVs that are whole, and where one stands that runs past the packet."""
    found: list[_Tlv] = []
    at, length = 0, len(tlvs)
    padding_at = len(tlvs.rstrip(b"\0"))
    while length - at >= HEADER_BYTES and at < padding_at and len(found) < MOST:
        _, kind, size = _HEADER.unpack_from(tlvs, at)
        end = at + HEADER_BYTES + size
        if end > length:
            return found, at
        found.append(_Tlv(at, kind, end))
        at = end
    return found, None


def _sealed(
    tlvs: bytes, found: list[_Tlv], broken_at: int | None, seal: Seal | None
) -> bool | None:
    """Whether there is a good HMAC TLV; None where the TLVs must not be acted upon."""
    seals = [i for i, tlv in enumerate(found) if tlv.kind == HMAC]
    if not seals:
        bare = broken_at is None and all(tlv.kind == EXTRA_PADDING for tlv in found)
        return False if seal is None or bare else None
    at, _, end = found[seals[0]]
    behind = found[seals[0] + 1 :]
    if (
        seal is None
        or broken_at is not None
        or end - at != HEADER_BYTES + HMAC_BYTES
        or any(tlv.kind != EXTRA_PADDING for tlv in behind)
    ):
        return None
    good = mac(seal.key, seal.request_number, tlvs[:at])
    return True if hmac.compare_digest(good, tlvs[at + HEADER_BYTES : end]) else None


def _seal(out: bytearray, found: list[_Tlv], seal: Seal) -> None:
    at, _, end = next(tlv for tlv in found if tlv.kind == HMAC)
    out[at + HEADER_BYTES : end] = mac(seal.key, seal.reply_number, bytes(out[:at]))


def _answer(out: bytearray, tlv: _Tlv, number: int, account: Account | None) -> bool:
    """Answer one TLV in its place; False where it is malformed, and nothing behind it counts."""
    at, kind, end = tlv
    flags = out[at] & ~(UNRECOGNISED | MALFORMED | INTEGRITY)
    if kind in (EXTRA_PADDING, HMAC):
        out[at] = flags
        return True
    known = _ANSWERS.get(kind)
    if known is None or account is None:
        out[at] = flags | UNRECOGNISED
        return True
    size, answer = known
    if end - at != HEADER_BYTES + size:
        out[at] = flags | MALFORMED
        return False
    out[at] = flags
    answer(out, at + HEADER_BYTES, number, account)
    return True


def _direct_measurement(out: bytearray, at: int, number: int, account: Account) -> None:
    _COUNTS.pack_into(out, at + 4, account.received & 0xFFFFFFFF, account.sent & 0xFFFFFFFF)


def _follow_up(out: bytearray, at: int, number: int, account: Account) -> None:
    account.asked_follow_up = True
    if account.left_stamp is not None:
        _FOLLOW_UP.pack_into(out, at, account.left_number, account.left_stamp, _SOFTWARE)
    else:
        _FOLLOW_UP.pack_into(out, at, 0, 0, 0)


def _received_window(out: bytearray, at: int, number: int, account: Account) -> None:
    if account.window is None:
        account.window = Window()
        account.window.note(number)
    window = account.window
    _WINDOW.pack_into(out, at, window.count & 0xFFFFFFFF, window.before(number))


#: The TLVs that tell of a session: the length of each value, and what writes it.
_ANSWERS: dict[int, tuple[int, Callable[[bytearray, int, int, Account], None]]] = {
    DIRECT_MEASUREMENT: (12, _direct_measurement),
    FOLLOW_UP_TELEMETRY: (_FOLLOW_UP.size, _follow_up),
    RECEIVED_WINDOW: (_WINDOW.size, _received_window),
}
