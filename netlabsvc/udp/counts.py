"""What became of the requests of a reflector, in numbers.

received + copies = replied + the sum of all reasons + those that wait for their time
"""

from __future__ import annotations

from netlabsvc.udp.tongue import Refusal


class Counts:
    """One reflector's counters.

    :ivar received: datagrams that came in.
    :ivar copies: packets that duplication added, requests and replies.
    :ivar replied: datagrams that left.
    :ivar reasons: packets that led to no reply, by the reason.
    """

    def __init__(self) -> None:
        self.received = 0
        self.copies = 0
        self.replied = 0
        self.reasons = dict.fromkeys(Refusal, 0)

    def refuse(self, reason: Refusal) -> None:
        """Count a packet that leads to no reply."""
        self.reasons[reason] += 1

    def all(self) -> dict[str, int]:
        """Every counter by its name."""
        told = {"received": self.received, "copies": self.copies, "replied": self.replied}
        return told | {reason.value: n for reason, n in self.reasons.items()}

    def __str__(self) -> str:
        """What there is to tell: ``received 10, replied 7, impaired 3``."""
        always = ("received", "replied")
        return ", ".join(f"{name} {n}" for name, n in self.all().items() if n or name in always)
