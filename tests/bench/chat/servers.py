"""The chat servers that are measured, each with its own configuration and speech."""

from __future__ import annotations

import shlex
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..process import Process, free_port

_NGIRCD = """\
[Global]
Name = bench.lab
Info = bench
Listen = 127.0.0.1
Ports = {port}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxPenaltyTime = 0
MaxNickLength = 16
PingTimeout = 3600
PongTimeout = 3600
[Options]
DNS = no
Ident = no
PAM = no
RequireAuthPing = no
"""


@dataclass
class Server(ABC):
    """A program to be measured; its clients send lines and hear lines.

    :ivar exact: every client hears the very same bytes; else its lines are counted.
    """

    name: str
    exact: bool = True

    @abstractmethod
    def command(self, port: int, directory: Path) -> list[str]:
        """The command line that listens on a port of 127.0.0.1."""

    def environ(self) -> Mapping[str, str]:
        return {}

    def start(self, directory: Path) -> tuple[Process, int]:
        """A running server and its port."""
        port = free_port()
        place = directory / self.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        process = Process(self.command(port, place), place, self.environ())
        try:
            process.wait_until_it_listens(port)
        except BaseException:
            process.stop()
            raise
        return process, port

    def hello(self, number: int) -> bytes:
        """What a client sends when it comes."""
        return b""

    def say(self, text: bytes) -> bytes:
        """How a client says a line; `text` has no line end."""
        return text + b"\n"


@dataclass
class Netlab(Server):
    """The daemon of this environment, its log on.

    :ivar settings: what differs from the defaults, as variables of the environment.
    """

    name: str = "netlab"
    settings: dict[str, str] = field(default_factory=dict)

    def command(self, port: int, directory: Path) -> list[str]:
        twistd = str(Path(sys.executable).with_name("twistd"))
        options = ["--services=chat", f"--chat-port={port}", f"--state-dir={directory / 'state'}"]
        return [twistd, "-n", "--pidfile=", "netlab", *options]

    def environ(self) -> Mapping[str, str]:
        return self.settings


class StockHub(Server):
    """What Twisted's tutorials lead to."""

    def command(self, port: int, directory: Path) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("stock_hub.py")), str(port)]


class Ngircd(Server):
    """An IRC server in C, its limits lifted."""

    def command(self, port: int, directory: Path) -> list[str]:
        file = directory / "ngircd.conf"
        file.write_text(_NGIRCD.format(port=port), "ascii")
        return ["ngircd", "--nodaemon", "--config", str(file)]

    def hello(self, number: int) -> bytes:
        return f"NICK c{number:05}\r\nUSER c 0 * :c\r\nJOIN #lab\r\n".encode()

    def say(self, text: bytes) -> bytes:
        return b"PRIVMSG #lab :" + text + b"\r\n"


class Ncat(Server):
    """nmap's ncat; it puts a header before what it happens to read at once, not before a line."""

    def command(self, port: int, directory: Path) -> list[str]:
        return ["ncat", "--chat", "--max-conns=1000", "--listen", "127.0.0.1", str(port)]


@dataclass
class Other(Server):
    """Any hub of lines, for comparison."""

    line: str = ""

    def command(self, port: int, directory: Path) -> list[str]:
        return shlex.split(self.line.replace("{port}", str(port)))


def installed() -> dict[str, Server]:
    """The servers beside ours that this machine has, by name."""
    known = [StockHub("stock hub"), Ngircd("ngircd"), Ncat("ncat --chat", exact=False)]
    return {s.name: s for s in known if isinstance(s, StockHub) or shutil.which(s.name.split()[0])}
