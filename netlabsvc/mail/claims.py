"""Who says who: what each layer of a mail claims about its sender, side by side.

    layer            who fills it in        can the client lie?
    TCP peer         the kernel             no
    EHLO             the client             yes, and nobody checks it
    AUTH user        checked by a password  only where everything is accepted
    MAIL FROM        the client             yes: the envelope, where bounces go
    From             the client             yes: what people are shown
    Sender, Reply-To, Return-Path           yes: three more headers

RFC 5321, 5322 and 4954. It compares and does not judge: a difference may be as it should be, as
with mailing lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import getaddresses

from netlabsvc.mail.languages import Both
from netlabsvc.mail.parts import Parts
from netlabsvc.mail.record import Record


@dataclass(frozen=True, slots=True)
class Claim:
    """What one layer says.

    :ivar value: "" where the layer says nothing.
    :ivar given: False where the layer is not there at all.
    :ivar differs: it names another mailbox than MAIL FROM does.
    """

    layer: str
    value: str
    given: bool
    differs: bool
    why: Both


_WHY = {
    "TCP": Both(
        "The address that the connection came from. The kernel says so; a client cannot choose it.",
        "连接的来源地址，由内核给出，客户端无法伪造。",
    ),
    "TLS": Both(
        "Whether anyone on the way could read along.",
        "传输是否加密：途中有没有人能看到内容。",
    ),
    "EHLO": Both(
        "The name that the client gave itself. A server must not refuse mail for it.",
        "客户端自报的主机名。服务器不得因此拒收邮件。",
    ),
    "AUTH": Both(
        "Who logged in. It is worth as much as the check of the password behind it.",
        "登录的用户名。它的可信程度取决于对密码的检查。",
    ),
    "MAIL FROM": Both(
        "The sender on the envelope: bounces go there. Readers do not see it.",
        "信封上的发件人：退信会寄到这里。收信人看不到它。",
    ),
    "From": Both(
        "The author that readers are shown. It is text in the message; SMTP does not look at it.",
        "显示给收信人的作者。它只是邮件里的文字，SMTP 并不检查。",
    ),
    "Sender": Both(
        "Who sent it for the author, where that is someone else.",
        "代作者发信的人（如果不是作者本人）。",
    ),
    "Reply-To": Both(
        "Where answers go. A favourite of frauds: the reply leaves for another address.",
        "回信寄往的地址。骗子常用：回信会寄到另一个地址。",
    ),
    "Return-Path": Both(
        "Written by the last server, from MAIL FROM. A client that writes it itself pretends.",
        "由最后一个服务器根据 MAIL FROM 写入。客户端自己写上去就是冒充。",
    ),
}
_HEADERS = ("From", "Sender", "Reply-To", "Return-Path")


def claims(record: Record, parts: Parts | None) -> tuple[Claim, ...]:
    """What each layer says, the outermost first.

    :param parts: of the message; None where none was sent.
    """
    facts, envelope = record.facts, record.mail_from
    tls = " ".join(filter(None, (facts.tls, facts.cipher)))
    rows = [
        _claim("TCP", facts.peer),
        _claim("TLS", tls, given=bool(tls)),
        _claim("EHLO", facts.hello, given=bool(facts.hello)),
        _claim("AUTH", facts.auth_user, given=bool(facts.auth_mechanism or facts.auth_user)),
        _claim("MAIL FROM", f"<{envelope or ''}>", given=envelope is not None),
    ]
    user = facts.auth_user
    if user and envelope and not _same_user(user, envelope):
        rows[3] = _claim("AUTH", user, differs=True)
    for name in _HEADERS:
        values = parts.values(name) if parts else ()
        rows.append(
            _claim(name, ", ".join(values), given=bool(values), differs=_differs(values, envelope))
        )
    return tuple(rows)


def _claim(layer: str, value: str, *, given: bool = True, differs: bool = False) -> Claim:
    return Claim(layer, value, given, differs, _WHY[layer])


def _same_user(user: str, envelope: str) -> bool:
    """Whether a login, with or without a domain, is the sender's mailbox."""
    mailbox = envelope.casefold()
    return user.casefold() in (mailbox, mailbox.rpartition("@")[0])


def _differs(values: tuple[str, ...], envelope: str | None) -> bool:
    """Whether headers name another address than the envelope; the null path differs from none."""
    if not values or not envelope:
        return False
    return addresses(values) != {envelope.casefold()}


def addresses(values: tuple[str, ...]) -> set[str]:
    """The bare addresses in header values, in lower case; none where they are past reading."""
    try:
        found = getaddresses(list(values))
    except (RecursionError, ValueError, IndexError):  # thousands of comments within comments
        return set()
    return {address.casefold() for _, address in found if address}
