"""The seam of the reflectors: what one protocol must do, and every reason not to answer.

A tongue turns one datagram into at most one reply. It knows no sockets and reads no clock but
the one that it is handed; which sources are answered at all, faults and rates are the pipeline's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol


class Refusal(StrEnum):
    """Why a request gets no reply; the value is the name of its counter."""

    # Of the pipeline
    REFUSED_PORT = "refused_port"
    """From a service that answers anything, or from a port of our own."""
    REFUSED_ADDRESS = "refused_address"
    """From a broadcast or multicast address."""
    OVER_ITS_RATE = "over_its_rate"
    """Its source asks faster than one source may."""
    OVER_ALL = "over_all"
    """All sources together ask faster than they may."""
    IMPAIRED = "impaired"
    """Lost on purpose, by a configured fault."""
    TOO_MANY_DELAYED = "too_many_delayed"
    """To be held back, where as many are held back as there is room for."""
    COPY_DROPPED = "copy_dropped"
    """The copy of a reply whose request was a copy's: there are two replies at most."""
    NO_REPLY_DUE = "no_reply_due"
    """Understood, and not to be answered: the end of a session."""
    SEND_ERROR = "send_error"
    """The kernel would not send it."""
    # Of the tongues
    LOOP_SUSPECT = "loop_suspect"
    """A reflection: the reply of another reflector, or our own."""
    TOO_SHORT = "too_short"
    """A field is missing that the reply needs."""
    MALFORMED = "malformed"
    """Not a packet of this protocol."""
    BAD_HMAC = "bad_hmac"
    """The HMAC is wrong, or missing, or there is one where none was agreed."""
    NO_SESSION = "no_session"
    """Its session is unknown, or over."""
    WRONG_CLIENT = "wrong_client"
    """Its session is that of another address."""
    WOULD_GROW = "would_grow"
    """The reply would be longer than the request, which this source may not have."""
    REPLY_TOO_LONG = "reply_too_long"
    """The reply does not fit into one datagram."""


class Tongue(Protocol):
    """One protocol of a reflector; implementations inherit what they do not need."""

    #: Whether `sent` is to be called for each reply. It may become true while running.
    wants_sent: bool = False

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
        """The reply to a datagram; None where it was understood and none is due.

        Never raises, whatever the datagram holds. Plain arguments: an object for each packet
        would cost as much as a reply.

        :param ttl: the TTL or hop limit that it arrived with, 0 to 255; 0 where unknown.
        :param received_ns: when it arrived (T2), Unix nanoseconds.
        :param now_ns: the same clock; read as late as possible (T3).
        :param may_grow: whether this source may have a reply that is longer than its request. It
            never is by more than `growth_bytes` of the protocol, or 44 bytes for STAMP.
        """
        raise NotImplementedError

    def sent(self, reply: bytes, host: str, port: int, at_ns: int) -> None:
        """Take note that a reply left, and when; called where `wants_sent` says so.

        :param reply: as it was made, before any fault of the way down.
        :param at_ns: Unix nanoseconds.
        """
        return  # most need not know
