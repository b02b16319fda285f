"""How a mail is to be sent: deadlines, TLS, credentials, where to stop. Values, nothing more."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from netlabsvc.mail.address import is_domain
from netlabsvc.mail.credentials import Credentials
from netlabsvc.mail.delivery import Stage


class TlsMode(StrEnum):
    """When TLS begins, and whether it must."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    OPPORTUNISTIC = "opportunistic"
    OFF = "off"


@dataclass(frozen=True)
class Deadlines:
    """How long each stage may take, in seconds (RFC 5321 4.5.3.2), and all of one mail."""

    connect_s: float = 30.0
    tls_s: float = 60.0
    greeting_s: float = 300.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    dot_s: float = 600.0
    quit_s: float = 2.0
    total_s: float = 1800.0

    def of(self, stage: Stage) -> float:
        return self._by_stage.get(stage, self.command_s)

    @cached_property
    def _by_stage(self) -> dict[Stage, float]:
        return {
            Stage.CONNECT: self.connect_s,
            Stage.TLS: self.tls_s,
            Stage.GREETING: self.greeting_s,
            Stage.DATA: self.data_s,
            Stage.BODY: self.block_s,
            Stage.DOT: self.dot_s,
            Stage.QUIT: self.quit_s,
        }


@dataclass(frozen=True)
class Stop:
    """End the dialogue on purpose when a stage is over: with QUIT, or by closing."""

    after: Stage
    drop: bool = False


@dataclass(frozen=True)
class Plan:
    """How to talk to one server.

    :ivar hello: the name for EHLO; by default this host's, or its address where that is no name.
    :ivar tls: makes the TLS connections of `mode` (a `tls.Trust`); needed unless mode is off.
    :ivar pipelining: send MAIL, RCPT and DATA at once where the server offers it (RFC 2920).
    :raises ValueError: for a `hello` that is no domain in ASCII.
    """

    hello: str | None = None
    deadlines: Deadlines = Deadlines()
    mode: TlsMode = TlsMode.OFF
    tls: Any = None
    credentials: Credentials | None = None
    pipelining: bool = False
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if self.hello is not None and not is_domain(self.hello):
            why = "EHLO needs letters, digits, hyphens, dots"
            raise ValueError(f"{self.hello!r} is no host name; {why}")
