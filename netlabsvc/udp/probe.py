"""The text probe, and what a reply to it says.

    request   Ping <n> <time>     n from 1, without leading zeros; seconds since the epoch, six
                                  decimals: "Ping 7 1700000000.123456"; dots up to a wanted size

A reply belongs to the probe whose ``Ping <n>`` it carries, anywhere and in either case: servers
put a time stamp before the payload, cut off its end, or turn it into capitals. One that carries
the time of another probe is damaged and belongs to none. Which probe a reply without any number
belongs to is decided elsewhere (`ledger`).

A reply that begins with a time tells the server's clock:

    | at its beginning           | unit         |
    |----------------------------|--------------|
    | 10 digits, point, 1 to 9   | seconds      |
    | 13 digits                  | milliseconds |
    | 16 digits                  | microseconds |
    | 19 digits                  | nanoseconds  |

It knows no socket and reads no clock.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

from netlabsvc.udp.trace import Trace

# Ten digits at most: a hostile reply must not cost the conversion of sixty thousand.
_NUMBER = re.compile(rb"ping ([1-9][0-9]{0,9})(?![0-9])", re.IGNORECASE)
_ANY_NUMBER = re.compile(rb"ping [0-9]", re.IGNORECASE)
_OURS = re.compile(rb"([0-9]{10})\.([0-9]{6})(?![0-9])")
_TIME = re.compile(rb"([0-9]{10}\.[0-9]{1,9}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?![0-9.])")


class Answer(NamedTuple):
    """What one reply says."""

    seq: int | None
    """The number of the probe that it answers; None where it carries none."""
    received_ns: int | None = None
    """T2, Unix nanoseconds."""
    replied_ns: int | None = None
    """T3, Unix nanoseconds."""
    number: int | None = None
    """The server's own count of its replies."""


class Dialect(Protocol):
    """What a prober says, and how it understands what comes back: text, or STAMP."""

    protocol: str

    def request(self, seq: int, wall_ns: int) -> bytes:
        """The probe of a number; called once for each, in order.

        :param wall_ns: now, in Unix nanoseconds.
        """

    def answer(self, data: bytes, sent: int, wall_ns: int) -> Answer | None:
        """What a datagram says; None where it is no reply to a probe of this run.

        :param sent: the highest number sent so far.
        """

    def conclude(self, trace: Trace) -> None:
        """Write down what was learned of the server, at the end of the run."""


def request(seq: int, now_ns: int) -> bytes:
    """The probe of a number.

    :param now_ns: nanoseconds since the Unix epoch.
    """
    seconds, ns = divmod(now_ns, 1_000_000_000)
    return b"Ping %d %d.%06d" % (seq, seconds, ns // 1000)


def least_bytes(count: int) -> int:
    """The size of the longest probe of a run that is not made longer."""
    return len(request(count, 10**18))


def number(reply: bytes, sent: int) -> int | None:
    """The number of the probe that a reply belongs to, or None where it belongs to none.

    A number at the very end may have lost digits to a server that cuts: "Ping 1" is no reply to
    the first probe any more once the tenth has left.

    :param sent: the highest number sent so far.
    """
    found = _NUMBER.search(reply)
    if found is None:
        return None
    seq = int(found[1])
    maybe_cut = found.end() == len(reply) and seq * 10 <= sent
    return seq if seq <= sent and not maybe_cut else None


def server_time(reply: bytes) -> int | None:
    """The server's clock in Unix nanoseconds, as a reply begins with it; None where it does not."""
    found = _TIME.match(reply)
    if found is None:
        return None
    seconds, point, fraction = found[1].partition(b".")
    digits = fraction if point else seconds[10:]
    return int(seconds[:10]) * 10**9 + int(digits.ljust(9, b"0"))


class Text:
    """The text probe as a dialect.

    :param size_bytes: of each probe; those that are longer anyway stay as they are.
    """

    protocol = "text"

    def __init__(self, size_bytes: int = 0) -> None:
        self._size_bytes = size_bytes
        #: The probe that said so, by time in microseconds.
        self._probe_of: dict[int, int] = {}

    def request(self, seq: int, wall_ns: int) -> bytes:
        """See `Dialect`."""
        self._probe_of[wall_ns // 1000] = seq
        text = request(seq, wall_ns)
        return (
            text if len(text) >= self._size_bytes else (text + b" ").ljust(self._size_bytes, b".")
        )

    def answer(self, data: bytes, sent: int, wall_ns: int) -> Answer | None:
        """See `Dialect`."""
        seq = number(data, sent)
        if seq is None and _ANY_NUMBER.search(data):
            return None  # never sent, or cut
        if seq is not None and any(
            self._probe_of.get(int(time[1] + time[2]), seq) != seq for time in _OURS.finditer(data)
        ):
            return None
        told_ns = server_time(data)
        return Answer(seq, told_ns, told_ns)

    def conclude(self, trace: Trace) -> None:
        """Nothing more is known of it."""
