"""Members of a hub that keep what is delivered to them."""

from __future__ import annotations

from netlabsvc.chat.hub import Hub
from netlabsvc.chat.message import Style


class Listener:
    """A client without a socket."""

    def __init__(self, peer: str = "10.0.0.5:1", style: Style | None = None) -> None:
        self.peer = peer
        self.style = style or Style()
        self.heard = b""
        self.closed = False
        self.held = False

    def deliver(self, data: bytes | memoryview) -> None:
        self.heard += data

    def close(self) -> None:
        self.closed = True

    def queued(self) -> int:
        return 0

    def traits(self) -> str:
        return "utf-8, LF"

    def use_encoding(self, encoding: str) -> None:
        self.style = Style(encoding, self.style.end)

    def hold(self, why: str) -> None:
        self.held = True

    def release(self, why: str) -> None:
        self.held = False

    def lines(self) -> list[str]:
        """What was heard since the last call, as lines."""
        heard, self.heard = self.heard, b""
        return heard.decode(self.style.encoding).splitlines()


def room(*names: str) -> tuple[Hub, list[Listener]]:
    """A hub and its members, who have heard each other come."""
    hub = Hub(wake=lambda: None, now=lambda: 1_700_000_000.0)
    members = [Listener(f"10.0.0.{n}:{n}") for n in range(1, len(names) + 1)]
    for member, name in zip(members, names, strict=True):
        hub.enter(member, name)
    hub.flush()
    for member in members:
        member.heard = b""
    return hub, members
