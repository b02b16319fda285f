"""The TELNET filter: takes commands out of the bytes of a client, and answers negotiations.

It knows nothing of lines but one thing: CR NUL, which a telnet in character mode sends for Enter
(RFC 854, "NVT printer"), leaves here as CR LF. It never starts a negotiation: GNU telnet would
change its line ends. It refuses every option, which also ends telnet's wait for TIMING-MARK after
Ctrl-C (RFC 860).

    IAC  IAC               a byte 255 of data
    IAC  WILL..DONT  OPT   a negotiation: WILL is answered by DONT, DO by WONT, the others not
    IAC  SB ... IAC  SE    a subnegotiation, skipped
    IAC  COMMAND           everything else (IP, AO, AYT, DM, ...): AYT is answered, the rest skipped

A command may stand for a byte of a character: GNU telnet takes 0x9C for Ctrl-\\ and sends BRK in
its place, 0x8F for Ctrl-O and sends AO. What is left of such a line is evidence for no encoding;
`cut` tells of which lines that holds.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum


class Command(IntEnum):
    """TELNET commands that need an action (RFC 854)."""

    SE = 240
    AYT = 246
    SB = 250
    WILL = 251
    WONT = 252
    DO = 253
    DONT = 254
    IAC = 255


_REFUSALS = {Command.WILL: Command.DONT, Command.DO: Command.WONT}
AYT_ANSWER = b"*** yes, netlab is here\r\n"


class Filter:
    """One client's filter."""

    __slots__ = ("_cr", "_cuts", "_fed_bytes", "_held", "_inside", "_lines_bytes")

    def __init__(self) -> None:
        self._held = b""  # a command that is not whole yet
        self._inside = False  # a subnegotiation
        self._cr = False  # the last byte was a CR, and waits for what follows
        self._fed_bytes = 0  # of data, with what waits
        self._lines_bytes = 0  # of lines that `cut` was asked about
        self._cuts: deque[int] = deque()  # behind so many bytes of data a command stood

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes as they come, cut anywhere.

        :return: the data without commands, and the bytes to send in answer.
        """
        replies = b""
        if self._held or self._inside or b"\xff" in data:
            data, replies = self._commands(self._held + data)
        self._fed_bytes += len(data)
        if self._cr or b"\r\0" in data or data.endswith(b"\r"):
            data = self._line_ends(data)
        return data, replies

    def cut(self, line_bytes: int) -> bool:
        """Whether a command stood inside the next line of the data, behind its first byte.

        To be asked once for each line, in order.

        :param line_bytes: its length, with its end.
        """
        begin = self._lines_bytes
        self._lines_bytes += line_bytes
        found = False
        while self._cuts and self._cuts[0] < self._lines_bytes:
            found = self._cuts.popleft() > begin or found
        return found

    def _commands(self, data: bytes) -> tuple[bytes, bytes]:
        out, replies, at, fed_bytes = [], [], 0, self._fed_bytes
        self._held = b""
        while (iac := data.find(Command.IAC, at)) >= 0:
            if not self._inside:
                out.append(data[at:iac])
                fed_bytes += iac - at
            command = data[iac : iac + 3]
            negotiation = len(command) > 1 and command[1] in range(Command.WILL, Command.IAC)
            length = 3 if negotiation and not self._inside else 2
            if len(command) < length:
                self._held = command
                break
            at = iac + length
            if command[1] == Command.IAC and not self._inside:
                out.append(command[:1])
                fed_bytes += 1
            elif not self._cuts or self._cuts[-1] != fed_bytes:
                self._cuts.append(fed_bytes)
            replies.append(self._answer(command))
        else:
            if not self._inside:
                out.append(data[at:])
        return b"".join(out), b"".join(replies)

    def _answer(self, command: bytes) -> bytes:
        """Note where a subnegotiation begins and ends; the bytes that a command asks for."""
        code = command[1]
        if self._inside or code == Command.SB:
            self._inside = code != Command.SE
            return b""
        if code in _REFUSALS:
            return bytes([Command.IAC, _REFUSALS[Command(code)], command[2]])
        return AYT_ANSWER if code == Command.AYT else b""

    def _line_ends(self, data: bytes) -> bytes:
        data = (b"\r" if self._cr else b"") + data
        self._cr = data.endswith(b"\r")
        return data.removesuffix(b"\r").replace(b"\r\0", b"\r\n")
