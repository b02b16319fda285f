"""The commands of one mail transaction, and what the server must offer for them.

    MAIL FROM:<...> [SIZE=n] [BODY=8BITMIME] [SMTPUTF8] [RET=FULL|HDRS] [ENVID=xtext]
    RCPT TO:<...>   [NOTIFY=...]

SIZE is RFC 1870, 8BITMIME RFC 6152, SMTPUTF8 RFC 6531, RET, ENVID and NOTIFY RFC 3461. A mail that
needs what is not offered is not sent: no server may change or cut it on the way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlabsvc.mail.capabilities import Capabilities
from netlabsvc.mail.delivery import Outgoing


class CannotCarry(Exception):
    """This server cannot take this mail; the text says why."""


def mail_command(outgoing: Outgoing, offers: Capabilities) -> bytes:
    """:raises CannotCarry: before anything of the mail is said."""
    if 0 < offers.max_size < outgoing.wire_size:
        size = outgoing.wire_size
        raise CannotCarry(f"the message has {size} bytes, the server takes {offers.max_size}")
    words = [f"MAIL FROM:<{outgoing.mail_from}>"]
    if "SIZE" in offers:
        words.append(f"SIZE={outgoing.wire_size}")
    for keyword, parameter in _needed(outgoing):
        if keyword not in offers:
            raise CannotCarry(f"the server does not offer {keyword}, which this mail needs")
        words.append(parameter)
    return " ".join(filter(None, words)).encode()


def _needed(outgoing: Outgoing) -> Iterator[tuple[str, str]]:
    """Extensions that this mail needs, and what they add to MAIL."""
    if outgoing.needs_8bit:
        yield "8BITMIME", "BODY=8BITMIME"
    if outgoing.needs_smtputf8:
        yield "SMTPUTF8", "SMTPUTF8"
    dsn = outgoing.dsn
    if dsn.ret:
        yield "DSN", f"RET={dsn.ret}"
    if dsn.envelope_id:
        yield "DSN", f"ENVID={_xtext(dsn.envelope_id)}"
    if dsn.notify:
        yield "DSN", ""


def rcpt_command(outgoing: Outgoing, recipient: str) -> bytes:
    """RCPT; whether the parameters are offered was seen for MAIL."""
    notify = f" NOTIFY={','.join(outgoing.dsn.notify)}" if outgoing.dsn.notify else ""
    return f"RCPT TO:<{recipient}>{notify}".encode()


def _xtext(text: str) -> str:
    """RFC 3461 section 4: ``+`` and ``=`` as ``+2B`` and ``+3D``."""
    return re.sub("[+=]", lambda match: f"+{ord(match[0]):02X}", text)
