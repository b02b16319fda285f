"""One command line of SMTP, and the reply to it: the grammar, without any state.

    line     = verb [SP argument] CRLF              at most 512 octets (RFC 5321 4.5.3.1.4), of
                                                    AUTH 12288 (RFC 4954 section 4)
    MAIL     = "FROM:" path *(SP name ["=" value])  SIZE=, BODY= and SMTPUTF8
    RCPT     = "TO:" path
    path     = "<" [mailbox] ">"                    a blank before it is let pass: textbooks have it

What is wrong raises `Refused`, which holds the reply. Which command may come when is told in
session.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from netlabsvc.mail.address import AddressError, mailbox
from netlabsvc.mail.login import MAX_LINE_BYTES as MAX_AUTH_LINE_BYTES
from netlabsvc.mail.personality import PLAIN, Manner

#: With its CRLF. The extensions offered add at most 53 octets to MAIL, and a path is at most 256:
#: no command that is right comes near.
MAX_COMMAND_LINE_BYTES = 512

_LF_ALONE = "a line ends with CR LF, this one with LF alone (in nc: nc -C)"
_PATH = re.compile(r' *<((?:"(?:[^"\\]|\\.)*"|[^"<>])*)>(?: (.*))?')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_SIZE_DIGITS = 20  # RFC 1870 section 6


class Reply(NamedTuple):
    """What the server says: a code, an enhanced status code or "", a line of text or several."""

    code: int
    enhanced: str
    text: tuple[str, ...]
    manner: Manner = PLAIN

    def lines(self) -> list[str]:
        """The reply without its line ends."""
        text = self.text
        if self.manner.multiline and self.code != 334:  # which is one line (RFC 4954 section 4)
            text = ("a reply may have several lines", *text)
        status = f"{self.enhanced} " if self.enhanced else ""
        first = [f"{self.code}-{status}{line}" for line in text[:-1]]
        return [*first, f"{self.code} {status}{text[-1]}"]

    def encode(self) -> bytes:
        end = "\n" if self.manner.lf_only else "\r\n"
        return "".join([line + end for line in self.lines()]).encode("ascii")


class Refused(Exception):
    """This command, or this message, gets this reply.

    :ivar rule: what refused it, in a few words; "" where the reply says it all.
    """

    def __init__(self, code: int, enhanced: str, text: str, rule: str = "") -> None:
        self.reply = Reply(code, enhanced, (text,))
        self.rule = rule


@dataclass(frozen=True)
class Parameters:
    """What MAIL said beside the address."""

    size: int = 0
    body_8bit: bool = False
    smtputf8: bool = False


def parse(line: bytes) -> tuple[str, str]:
    """The verb, in capitals, and the argument of a line that is given with its line end.

    :raises Refused: for a line that is too long, does not end with CRLF, or is no text.
    """
    limit = MAX_AUTH_LINE_BYTES if line[:5].upper() == b"AUTH " else MAX_COMMAND_LINE_BYTES
    if len(line) > limit:
        raise Refused(500, "5.5.2", f"a command line has at most {limit} octets")
    if not line.endswith(b"\r\n"):
        raise Refused(500, "5.5.2", _LF_ALONE)
    try:
        text = line[:-2].decode()
    except UnicodeDecodeError:
        raise Refused(500, "5.5.2", "a command is ASCII, with SMTPUTF8 UTF-8") from None
    if _CONTROL.search(text):
        raise Refused(500, "5.5.2", "a control character in a command")
    verb, _, argument = text.partition(" ")
    # Only ASCII is folded: there are letters whose capital is an S.
    return verb.upper() if verb.isascii() else verb, argument.strip(" ")


def answer(line: bytes) -> str:
    """What a line says that answers a 334.

    :raises Refused: for a line that is too long, does not end with CRLF, or is no text.
    """
    if len(line) > MAX_AUTH_LINE_BYTES:
        raise Refused(500, "5.5.6", f"a line of AUTH has at most {MAX_AUTH_LINE_BYTES} octets")
    if not line.endswith(b"\r\n"):
        raise Refused(500, "5.5.2", _LF_ALONE)
    return line[:-2].decode("ascii", "replace")


def sender(argument: str, max_size: int, *, extended: bool) -> tuple[str, Parameters]:
    """The address of MAIL, "" for the null path, and its parameters.

    :param max_size: the largest message accepted, in bytes.
    :param extended: whether the client said EHLO, without which there are no parameters.
    :raises Refused: says what is wrong.
    """
    path, words = _path("MAIL FROM", argument)
    if words and not extended:
        raise Refused(555, "5.5.4", "parameters need EHLO instead of HELO")
    parameters = _parameters(words)
    if parameters.size > max_size:
        raise too_large(max_size)
    if path:
        _check(path, parameters.smtputf8, "5.1.7")
    return path, parameters


def recipient(argument: str, *, smtputf8: bool) -> str:
    """The address of RCPT.

    :raises Refused: says what is wrong.
    """
    path, words = _path("RCPT TO", argument)
    if words:
        raise Refused(555, "5.5.4", "RCPT takes no parameters here")
    if path.lower() != "postmaster":  # the one that is right without a domain (RFC 5321 4.5.1)
        _check(path, smtputf8, "5.1.3")
    return path


def too_large(max_size: int) -> Refused:
    return Refused(552, "5.3.4", f"a message has at most {max_size} bytes")


def _path(command: str, argument: str) -> tuple[str, list[str]]:
    keyword, colon, rest = argument.partition(":")
    match = _PATH.fullmatch(rest)
    if keyword.upper() != command[5:] or not match:
        what = "angle brackets" if colon else "colon"
        if "<" in rest.partition(">")[0] and ">" in rest:
            what = "nothing but a blank and parameters behind the angle brackets"
        raise Refused(501, "5.5.4", f"write {command}:<name@domain>, with the {what}")
    path, words = match.groups()
    return path, (words or "").split()


def _check(path: str, smtputf8: bool, enhanced: str) -> None:
    try:
        mailbox(path)
    except AddressError as error:
        text = str(error).encode("ascii", "backslashreplace").decode()
        raise Refused(553, enhanced, text[:400]) from None
    if not (smtputf8 or path.isascii()):
        raise Refused(553, "5.6.7", "letters beyond ASCII need SMTPUTF8 behind MAIL FROM:<...>")


def _parameters(words: list[str]) -> Parameters:
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.upper().partition("=")
        if name == "SIZE":
            right = value.isascii() and value.isdigit() and len(value) <= _MAX_SIZE_DIGITS
        elif name == "BODY":
            right = value in ("7BIT", "8BITMIME")
        elif name == "SMTPUTF8":
            right = not equals
        else:
            raise Refused(555, "5.5.4", "MAIL takes SIZE=, BODY= and SMTPUTF8 here")
        if not right or name in found:
            raise Refused(501, "5.5.4", f"{name} is there twice, or with a value it cannot have")
        found[name] = value
    size = int(found.get("SIZE", "0"))
    return Parameters(size, found.get("BODY") == "8BITMIME", "SMTPUTF8" in found)
