"""The keys of [udp]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc.keys import PORTS, key
from netlabsvc.udp import notation
from netlabsvc.udp.notation import Mistake, Piece


def probability(value: object) -> float:
    """Read a probability: 0.3, "0.3" or "30%".

    :raises ValueError: for anything that is no number from 0 to 1 (0% to 100%).
    """
    try:
        return notation.probability(Piece(str(value).strip()))
    except Mistake as mistake:  # whoever asks knows where the value stands
        raise ValueError(mistake.problem) from None


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
