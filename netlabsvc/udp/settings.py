"""The keys of [udp]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc.keys import PORTS, key


def probability(value: object) -> float:
    """Read a probability: 0.3, "0.3" or "30%".

    :raises ValueError: for anything that is no number from 0 to 1 (0% to 100%).
    """
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = -1.0
    number = number / 100 if percent else number
    if isinstance(value, bool) or not 0.0 <= number <= 1.0:
        raise ValueError("a probability is 0 to 1 or 0% to 100%, such as 0.3 or 30%")
    return number


@dataclass(frozen=True)
class Settings:
    """What the UDP reflector can be told."""

    port: int | None = key(
        12000,
        "UDP port of the classic reflector; 0 takes a free one",
        bounds=PORTS,
        flag="udp-port",
    )
    loss: float = key(
        0.0,
        "probability that a request is dropped, 0.3 or 30%",
        flag="udp-loss",
        read=probability,
        live=True,
    )
