"""What is wrong with a message on the wire, or missing in it, and which RFC says so.

    rule             seen in       what it is
    bare-lf, bare-cr the message   a line end that is half a line end
    long-line        the message   more than 998 octets between two CRLF
    undeclared-8bit  the message   octets above 127, and no BODY=8BITMIME
    nul              the message   octets of value 0
    no-date, no-from, no-message-id   a header that is missing
    bcc-leaked       the message   a header that was for the sender's eyes only
    dot-not-stuffed  the wire      a line began with one dot and more; the server took the dot off

It looks and never repairs. What only the wire shows, its reader counts and hands over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netlabsvc.mail.languages import Both
from netlabsvc.mail.record import Finding

MAX_LINE_BYTES = 998
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_NAME = re.compile(rb"^([!-9;-~]+)[ \t]*:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a finding means.

    :ivar source: the RFC and its section.
    """

    why: Both
    source: str


RULES: dict[str, Rule] = {
    "bare-lf": Rule(
        Both(
            "A line ends with LF alone. Lines of a mail end with CR LF; servers disagree about the "
            "rest, and that lets one mail smuggle in another.",
            "有的行只用 LF 结尾。邮件的每一行必须以 CR LF 结尾；不同服务器对单独的 LF 理解不同，"
            "攻击者可借此把另一封邮件夹带进来。",
        ),
        "RFC 5321 §2.3.8",
    ),
    "bare-cr": Rule(
        Both(
            "A CR stands without its LF. Neither may occur alone in a mail.",
            "有的 CR 后面没有 LF。邮件中 CR 和 LF 都不允许单独出现。",
        ),
        "RFC 5322 §2.3",
    ),
    "long-line": Rule(
        Both(
            f"A line is longer than {MAX_LINE_BYTES} octets. Servers on the way may cut or refuse "
            "it; send it as quoted-printable or base64.",
            f"有的行超过 {MAX_LINE_BYTES} 个字节。途中的服务器可能截断或拒收；"
            "请改用 quoted-printable 或 base64 编码。",
        ),
        "RFC 5322 §2.1.1",
    ),
    "undeclared-8bit": Rule(
        Both(
            "Octets above 127, but MAIL did not say BODY=8BITMIME: a 7-bit server may spoil them.",
            "含有大于 127 的字节，但 MAIL 命令没有声明 BODY=8BITMIME："
            "只支持 7 位的服务器会破坏它们。",
        ),
        "RFC 6152 §3",
    ),
    "nul": Rule(
        Both(
            "Octets of value 0. They are not allowed in a mail, and programs in C end there.",
            "含有值为 0 的字节。邮件中不允许出现，用 C 写的程序会在此处截断。",
        ),
        "RFC 5322 §4",
    ),
    "no-date": Rule(
        Both(
            "There is no Date header. Every mail needs one; filters take its absence for spam.",
            "缺少 Date 头字段。每封邮件都必须有；缺少它常被判为垃圾邮件。",
        ),
        "RFC 5322 §3.6.1",
    ),
    "no-from": Rule(
        Both(
            "There is no From header: readers are not told who wrote this.",
            "缺少 From 头字段：收信人看不到是谁写的。",
        ),
        "RFC 5322 §3.6.2",
    ),
    "no-message-id": Rule(
        Both(
            "There is no Message-ID header. Without it replies cannot be put into a thread.",
            "缺少 Message-ID 头字段。没有它，回信就无法归入同一会话。",
        ),
        "RFC 5322 §3.6.4",
    ),
    "bcc-leaked": Rule(
        Both(
            "The message holds a Bcc header: everyone who gets it can read who got it in secret. "
            "Name such recipients in RCPT only.",
            "邮件中含有 Bcc 头字段：每个收信人都能看到密送名单。密送收件人只应出现在 RCPT 命令里。",
        ),
        "RFC 5322 §3.6.3",
    ),
    "dot-not-stuffed": Rule(
        Both(
            "A line began with a dot that was not doubled. The server takes the first dot of a "
            "line off, so it is lost; a line of one dot would have ended the mail.",
            "有的行以一个点开头，却没有写成两个点。服务器会去掉行首的第一个点，于是这个点丢失了；"
            "如果一行只有一个点，邮件就会提前结束。",
        ),
        "RFC 5321 §4.5.2",
    ),
}


def lint(data: bytes, *, body_8bit: bool, wire: Mapping[str, int]) -> tuple[Finding, ...]:
    """What is to be said of a message, in the order of `RULES`.

    :param body_8bit: whether MAIL said BODY=8BITMIME.
    :param wire: how often a rule was broken that only the wire shows: ``{"dot-not-stuffed": 2}``.
    """
    found = {one.rule: one for one in (*_line_ends(data), *_octets(data, body_8bit))}
    found |= {one.rule: one for one in (*_long_lines(data), *_headers(data))}
    found |= {rule: Finding(rule, count) for rule, count in wire.items() if count}
    return tuple(found[rule] for rule in RULES if rule in found)


def _line_ends(data: bytes) -> Iterator[Finding]:
    whole = data.count(b"\r\n")
    for rule, octet, pattern in (("bare-lf", b"\n", _BARE_LF), ("bare-cr", b"\r", _BARE_CR)):
        if count := data.count(octet) - whole:
            first = pattern.search(data)
            assert first is not None
            yield Finding(rule, count, _line(data, first.start()))


def _octets(data: bytes, body_8bit: bool) -> Iterator[Finding]:
    if count := data.count(0):
        yield Finding("nul", count, _line(data, data.index(0)))
    if not body_8bit and not data.isascii():
        above = re.compile(rb"[\x80-\xff]")
        first = above.search(data)
        assert first is not None
        count = len(data) - len(data.translate(None, bytes(range(128, 256))))
        yield Finding("undeclared-8bit", count, _line(data, first.start()))


def _long_lines(data: bytes) -> Iterator[Finding]:
    if len(data) <= MAX_LINE_BYTES:
        return
    long = [(at, len(line)) for at, line in enumerate(data.split(b"\r\n"), 1) if line[998:]]
    if long:
        octets = max(length for _, length in long)
        yield Finding("long-line", len(long), long[0][0], f"{octets} octets")


def _headers(data: bytes) -> Iterator[Finding]:
    end = 0 if data.startswith((b"\r\n", b"\n")) else None
    if end is None:
        blank = _END_OF_HEAD.search(data)
        end = blank.start() if blank else len(data)
    names = {match[1].lower(): match.start() for match in _NAME.finditer(data, 0, end)}
    for name in (b"date", b"from", b"message-id"):
        if name not in names:
            yield Finding(f"no-{name.decode()}")
    if b"bcc" in names:
        yield Finding("bcc-leaked", 1, _line(data, names[b"bcc"]))


def _line(data: bytes, place: int) -> int:
    """The number of the line, from 1, in which an octet stands, as an editor counts them."""
    return data.count(b"\n", 0, place) + 1
