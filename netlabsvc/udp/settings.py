"""The keys of [udp], [udp.stamp] and [udp.irtt]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netlabsvc.keys import PORTS, key
from netlabsvc.udp.classic import Form
from netlabsvc.udp.grammar import from_table
from netlabsvc.udp.notation import Piece
from netlabsvc.udp.notation import probability as read_probability

REPLIES = tuple(form.value for form in Form)


def probability(value: object) -> float:
    """Read a probability: 0.3, "0.3" or "30%".

    :raises ValueError: for anything that is no number from 0 to 1 (0% to 100%).
    """
    text = str(value).strip()
    try:
        if isinstance(value, bool):
            raise ValueError
        return read_probability(Piece(text))
    except ValueError:
        raise ValueError("a probability is 0 to 1 or 0% to 100%, such as 0.3 or 30%") from None


def impairment(value: object) -> str:
    """Read faults in their text form, or in TOML's; returns the text, whose words `inputs` reads.

    :raises ValueError: for a table that makes no sense, and for what is neither.
    """
    if isinstance(value, Mapping):
        return str(from_table(value))
    if not isinstance(value, str):
        raise ValueError('takes faults, such as "up loss=30% delay=20ms~5ms; down dup=2%", or off')
    return value.strip()


@dataclass(frozen=True)
class Settings:
    """What holds for the classic reflector, and what for all of them."""

    port: int | None = key(
        12000,
        "UDP port of the classic reflector; 0 takes a free one",
        bounds=PORTS,
        flag="udp-port",
    )
    reply: str = key(
        Form.TIMESTAMP.value,
        "its reply: the time and the payload, the payload alone, or that in upper case",
        one_of=REPLIES,
        flag="udp-reply",
    )
    loss: float = key(
        0.0,
        "probability that a request is dropped, 0.3 or 30%: the short way to say up loss=30%",
        flag="udp-loss",
        read=probability,
        live=True,
    )
    impair: str = key(
        "off",
        'faults of all reflectors, such as "up loss=30% delay=20ms~5ms; down dup=2%"',
        flag="udp-impair",
        read=impairment,
        live=True,
    )
    fate: str = key(
        "",
        "file that says what happens to the n-th request of each client",
        flag="udp-fate",
        live=True,
    )
    decisions: str = key(
        "",
        "file for the decision log: a JSON object for everything that is done to a packet",
        flag="udp-decisions",
    )
    rate: float | None = key(
        100.0,
        "packets a second that one source beyond this machine may have answered",
        bounds=(0.1, 10_000_000),
        live=True,
    )
    burst: int = key(
        50, "packets that one source may send at once", bounds=(1, 10_000_000), live=True
    )
    total_rate: float | None = key(
        10_000.0,
        "packets a second that all sources beyond this machine may have answered together",
        bounds=(0.1, 10_000_000),
        live=True,
    )
    total_burst: int = key(
        1000, "packets that all of them may send at once", bounds=(1, 10_000_000), live=True
    )
    longer_replies: str = key(
        "private",
        "who may have a reply that is longer than the request (by a time stamp, or the 44 bytes "
        "of STAMP): private networks, or all",
        one_of=("private", "all"),
        live=True,
    )


@dataclass(frozen=True)
class Stamp:
    """The STAMP reflector."""

    port: int | None = key(
        8620,
        "UDP port of the STAMP reflector (RFC 8762); 0 takes a free one",
        bounds=PORTS,
        flag="stamp-port",
    )
    key_file: str = key("", "file with the shared key; with one, all packets are authenticated")
    stateful: bool = key(
        True, "whether replies are counted per session, so that a sender sees which way it lost"
    )
    extensions: bool = key(True, "whether SSID and TLVs (RFC 8972) are understood")
    impair: str = key("", "its own faults; empty: those of [udp]", read=impairment, live=True)


@dataclass(frozen=True)
class Irtt:
    """The irtt server."""

    port: int | None = key(
        2112, "UDP port of the irtt server; 0 takes a free one", bounds=PORTS, flag="irtt-port"
    )
    key_file: str = key("", "file with the key of irtt's --hmac; with one, every client needs it")
    impair: str = key("", "its own faults; empty: those of [udp]", read=impairment, live=True)
