"""One decision about one packet, and the line of JSON that tells of it.

    {"number":3,"reflector":"classic","client":"127.0.0.1:41766","direction":"up","copy":0,
     "stage":"delay","verdict":"delayed","drawn_ns":21400112,"applied_ns":21400112,"t_ns":17...}

`number` is that of the request, and `copy` 1 for the second of two copies. `drawn_ns` is what was
drawn by chance, null where no time is drawn; `bits` are those turned over, in lines of corruption
only. With the same seed and the same arrivals a line is the same but for the two fields that are
measured: `applied_ns`, the delay that resulted (the rate's queue and the order of FIFO depend on
when packets arrive), and `t_ns`, the time of the decision.
"""

from __future__ import annotations

from json import JSONEncoder
from typing import NamedTuple

_quoted = JSONEncoder().encode  # escapes all but printable ASCII


class Decision(NamedTuple):
    """What one stage decided about one packet.

    :param stage: fate, rate, loss, corrupt, duplicate, delay or reorder; sent where the pipeline
        tells that the packet has gone its way, cap where it dropped it for want of room.
    :param bits: the numbers of those turned over; bit 0 is the highest of the first byte.
    """

    number: int
    direction: str
    stage: str
    verdict: str
    copy: int = 0
    drawn_ns: int | None = None
    applied_ns: int | None = None
    bits: tuple[int, ...] = ()


def line(decision: Decision, reflector: str, client: str, t_ns: int) -> str:
    """The decision as one line of JSON, without its end.

    :param client: address and port as people write them; it may hold anything.
    :param t_ns: nanoseconds since the Unix epoch.
    """
    number, direction, stage, verdict, copy, drawn_ns, applied_ns, bits = decision
    turned = f'"bits":{list(bits)},'.replace(" ", "") if bits else ""
    return (
        f'{{"number":{number},"reflector":"{reflector}","client":{_quoted(client)},'
        f'"direction":"{direction}","copy":{copy},"stage":"{stage}","verdict":"{verdict}",'
        f'"drawn_ns":{"null" if drawn_ns is None else drawn_ns},{turned}'
        f'"applied_ns":{"null" if applied_ns is None else applied_ns},"t_ns":{t_ns}}}'
    )
