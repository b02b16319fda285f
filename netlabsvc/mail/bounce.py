"""The report that tells a sender what was not delivered: plain words first, then fields.

    Content-Type: multipart/report; report-type=delivery-status        RFC 6522
      text/plain               for people
      message/delivery-status  for programs                            RFC 3464
      text/rfc822-headers      of the message that was not delivered

It goes out under the null path, so that no report ever answers a report (RFC 5321 4.5.5). It knows
no store and no clock. A report about one set of recipients always has the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from hashlib import sha256

from netlabsvc.mail.schedule import Recipient

#: Of the message that was not delivered.
MAX_HEADERS_BYTES = 16384


def wanted(mail_from: str, notify: Sequence[str]) -> bool:
    """Whether somebody is to be told: no null path, and nobody who said NOTIFY=NEVER (RFC 3461)."""
    return bool(mail_from) and (not notify or "FAILURE" in notify)


def report(
    mail_id: int,
    mail_from: str,
    failed: Sequence[Recipient],
    message: bytes,
    *,
    host: str,
    queued_s: float,
    now_s: float,
) -> bytes:
    """A report to the sender.

    :param mail_id: in the queue.
    :param host: the name of this machine.
    """
    returned = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0][:MAX_HEADERS_BYTES]
    text = "\n".join([_opening(failed), *map(_told, failed), _closing(mail_id, queued_s)])
    parts = [
        bytes(_part("plain", text)),
        _status(host, failed, queued_s),
        bytes(_part("rfc822-headers", returned.decode("utf-8", "replace") + "\n")),
    ]
    whole = EmailMessage(policy=SMTPUTF8)
    whole["From"] = f"netlab queue <mailer-daemon@{host}>"
    whole["To"] = f"<{mail_from}>"
    whole["Subject"] = "Not delivered: your mail to " + _names(failed)
    whole["Date"] = format_datetime(datetime.fromtimestamp(now_s, UTC))
    unique = sha256(repr((queued_s, [one.address for one in failed])).encode()).hexdigest()[:16]
    whole["Message-ID"] = f"<queue.{mail_id}.{unique}@{host}>"
    whole["Auto-Submitted"] = "auto-replied"
    whole["MIME-Version"] = "1.0"
    boundary = f"=queue-{mail_id}-{unique}="
    kind = "multipart/report; report-type=delivery-status"
    head = bytes(whole).removesuffix(b"\r\n")
    head += f'Content-Type: {kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    border = f"--{boundary}".encode()
    body = b"".join(border + b"\r\n" + part + b"\r\n" for part in parts)
    return head + body + border + b"--\r\n"


def _opening(failed: Sequence[Recipient]) -> str:
    who = "this recipient" if len(failed) == 1 else f"these {len(failed)} recipients"
    return f"Your mail was not delivered to {who}, and no other attempt will be made:\n"


def _told(one: Recipient) -> str:
    said = f"{one.code} {one.text}" if one.code and not one.text.startswith("not d") else one.text
    lines = [f"  {one.address}", f"    {said}"]
    if one.doubtful:
        lines.append(
            "    But it may have arrived: after an earlier attempt the connection was lost between "
            "the\n    end of the message and the server's answer."
        )
    return "\n".join([*lines, ""])


def _closing(mail_id: int, queued_s: float) -> str:
    when = datetime.fromtimestamp(queued_s, UTC)
    return (
        f"It was number {mail_id} in the queue of netlab, since {when:%Y-%m-%d %H:%M:%S} UTC. "
        "Its headers\nfollow. To try again, send it again.\n"
    )


def _names(failed: Sequence[Recipient]) -> str:
    first = failed[0].address
    return first if len(failed) == 1 else f"{first} and {len(failed) - 1} more"


def _part(subtype: str, text: str) -> EmailMessage:
    part = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    part.set_content(text, subtype=subtype)
    return part


def _status(host: str, failed: Sequence[Recipient], queued_s: float) -> bytes:
    """``message/delivery-status``: groups of fields, the first about the mail (RFC 3464 2.1)."""
    arrived = format_datetime(datetime.fromtimestamp(queued_s, UTC))
    groups = [[("Reporting-MTA", f"dns; {host}"), ("Arrival-Date", arrived)]]
    groups += [_fields(one) for one in failed]
    text = "\r\n".join("".join(f"{n}: {v}\r\n" for n, v in group) for group in groups)
    kind, encoding = ("", "7bit") if text.isascii() else ("global-", "8bit")  # RFC 6533
    head = f"Content-Type: message/{kind}delivery-status\r\nContent-Transfer-Encoding: {encoding}"
    return f"{head}\r\n\r\n{text}".encode()


def _fields(one: Recipient) -> list[tuple[str, str]]:
    """What a program may want to know of one recipient."""
    kind = "rfc822" if one.address.isascii() else "utf-8"  # RFC 6533 for what is not ASCII
    fields = [
        ("Final-Recipient", f"{kind}; {one.address}"),
        ("Action", "failed"),
        ("Status", _status_code(one)),
    ]
    if one.code:
        fields.append(("Diagnostic-Code", f"smtp; {one.code} {one.text}"))
    return fields


def _status_code(one: Recipient) -> str:
    """The enhanced code in the reply (RFC 3463), else one that says about the same."""
    first, _, _ = one.text.partition(" ")
    digits = first.split(".")
    if len(digits) == 3 and all(part.isdecimal() for part in digits) and digits[0] in "45":
        return first
    return "5.0.0" if 500 <= one.code < 600 else "4.4.7"
