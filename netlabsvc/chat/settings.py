"""The keys of [chat]."""

from __future__ import annotations

from dataclasses import dataclass

from netlabsvc.keys import PORTS, key

MIB = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """What the chat hub can be told."""

    port: int | None = key(
        12000,
        "TCP port for nc and telnet; 0 takes a free one",
        bounds=PORTS,
        flag="chat-port",
        excludes="listen",
    )
    listen: tuple[str, ...] = key((), "Twisted endpoint strings, instead of host and port")
    raw_port: int | None = key(
        None,
        "TCP port where each chunk is a message, for programs that send no line ends",
        bounds=PORTS,
        flag="chat-raw-port",
        excludes="raw_listen",
    )
    raw_listen: tuple[str, ...] = key((), "endpoint strings, instead of host and raw_port")
    length_port: int | None = key(
        None,
        "TCP port where 4 bytes of length, big-endian, stand before each message",
        bounds=PORTS,
        flag="chat-length-port",
        excludes="length_listen",
    )
    length_listen: tuple[str, ...] = key((), "endpoint strings, instead of host and length_port")
    mode: str = key(
        "hub",
        "hub: everyone hears everyone else; echo: only oneself; operator: only the operator",
        one_of=("hub", "echo", "operator"),
        flag="chat-mode",
        live=True,
    )
    login: str = key(
        "guest",
        "guest: talk at once; prompt: the first line is the name",
        one_of=("guest", "prompt"),
        flag="chat-login",
        live=True,
    )
    max_clients: int | None = key(
        1000, "clients at one time", bounds=(1, 100_000), flag="chat-max-clients", live=True
    )
    max_line: int | None = key(
        2048, "longest line a client may send", unit="bytes", bounds=(80, 1 << 20), live=True
    )
    rate: float | None = key(
        10.0,
        "lines per second that one client may send for long",
        unit="1/s",
        bounds=(0.1, 1e6),
        live=True,
    )
    burst: int = key(20, "lines that one client may send at once", bounds=(1, 1_000_000), live=True)
    queue: int | None = key(
        MIB,
        "most that waits for a client that does not read, beside the kernel's part",
        unit="bytes",
        bounds=(16 * 1024, 1024 * MIB),
        live=True,
    )
    stall_s: float | None = key(
        5.0,
        "a client that reads nothing for so long is cut",
        unit="s",
        bounds=(1, 3600),
        live=True,
    )
    transcript: bool = key(False, "keep every message in chat.jsonl under the state directory")
    transcript_size: int = key(
        16 * MIB,
        "size at which chat.jsonl becomes chat.jsonl.1, and that one chat.jsonl.2, up to .5",
        unit="bytes",
        bounds=(4096, 1 << 40),
    )
