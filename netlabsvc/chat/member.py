"""What the hub needs of a client."""

from __future__ import annotations

from typing import Protocol

from netlabsvc.chat.message import Style


class Member(Protocol):
    """What the hub needs of a client.

    :ivar peer: its address and port, for people.
    """

    peer: str
    style: Style

    def deliver(self, data: bytes | memoryview) -> None:
        """Send, or queue; never raises."""

    def close(self) -> None:
        """Send what was delivered, then end the connection."""

    def queued(self) -> int:
        """Bytes delivered that have not reached the peer's kernel."""

    def traits(self) -> str:
        """Encoding and line end, for /who."""

    def use_encoding(self, encoding: str) -> None:
        """Read and write this encoding from now on."""

    def hold(self, why: str) -> None:
        """Do not listen to the client for a while."""

    def release(self, why: str) -> None:
        """Listen again, as far as this reason goes."""
