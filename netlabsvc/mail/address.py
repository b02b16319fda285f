"""Addresses of the envelope: a strict check that refuses and never repairs.

    Mailbox         = Local-part "@" ( Domain / address-literal )       RFC 5321 4.1.2
    Local-part      = Dot-string / Quoted-string                        at most 64 octets
    Domain          = sub-domain *("." sub-domain)                      at most 255, each 63
    address-literal = "[" IPv4 "]" / "[IPv6:" IPv6 "]"

and letters beyond ASCII in each of them (RFC 6531 3.3, SMTPUTF8). It knows neither display names
nor header syntax, and whether a mailbox exists is nothing an address can tell.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address

from netlabsvc.mail.text import name_of

MAX_LOCAL_BYTES = 64
MAX_DOMAIN_BYTES = 255
#: A path is at most 256 octets, and its angle brackets count (RFC 5321 4.5.3.1.3).
MAX_MAILBOX_BYTES = 254
MAX_LABEL_BYTES = 63

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ATOM = re.compile(rf"[{_ATEXT}\x80-\U0010ffff]+")
_QUOTED = re.compile(r'"(?:[ !#-\[\]-~\x80-\U0010ffff]|\\[ -~])*"')
_ASCII_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Nearly every address there is; the rest, and the mistakes, take the long way.
_PLAIN = re.compile(rf"([{_ATEXT}]+(?:\.[{_ATEXT}]+)*)@({_LABEL}(?:\.{_LABEL})*)")


class AddressError(ValueError):
    """This is no mailbox; the text says where and what would be right."""


@dataclass(frozen=True)
class Mailbox:
    """An address as it was written, cut at its last @."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


def mailbox(text: str) -> Mailbox:
    """Check an address for the envelope.

    :raises AddressError: names the first thing that is wrong.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_MAILBOX_BYTES:
        raise AddressError(f"{text[:40]!r}...: longer than {MAX_MAILBOX_BYTES} octets")
    plain = _PLAIN.fullmatch(text)
    local, at, domain = plain.group(1, 0, 2) if plain else text.rpartition("@")
    try:
        if not plain:
            _no_stray_characters(text, local)
            _require(at, "there is no @; write name@domain")
            _check_local(local)
        _require(len(local.encode()) <= MAX_LOCAL_BYTES, "more than 64 octets before the @")
        _check_domain(domain)
    except AddressError as error:
        raise AddressError(f"{text!r}: {error}") from None
    return Mailbox(local, domain)


def is_domain(text: str) -> bool:
    """Whether this is a domain name in ASCII, as EHLO needs it (RFC 5321 4.1.1.1)."""
    return (
        len(text) <= MAX_DOMAIN_BYTES
        and _ASCII_DOMAIN.fullmatch(text) is not None
        and (len(text) <= MAX_LABEL_BYTES or max(map(len, text.split("."))) <= MAX_LABEL_BYTES)
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, which nobody else can listen to."""
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.")


def with_ascii_domain(text: str) -> str:
    """The same mailbox with its domain in ASCII (``xn--``), which every server can take.

    A domain that IDNA 2008 would have changed first (capitals, other normal forms) stays as it is,
    and so does a local part beyond ASCII: it needs SMTPUTF8 anyway.
    """
    local, _, domain = text.rpartition("@")
    plain = domain == unicodedata.normalize("NFC", domain.lower())
    if domain.isascii() or not local.isascii() or not plain:
        return text
    labels = (
        label if label.isascii() else "xn--" + label.encode("punycode").decode()
        for label in domain.split(".")
    )
    return f"{local}@{'.'.join(labels)}"


def bare(text: str) -> str:
    """The address in ``Name <address>``; a text without angle brackets is one already.

    A bracket without its other half stays where it is, for `mailbox` to refuse.
    """
    name, bracket, address = text.rpartition("<")
    if not bracket or not address.endswith(">") or name.endswith("<"):
        return text
    return address[:-1]


def split(text: str) -> list[str]:
    """Cut a list of addresses at its commas, those inside quotes excepted, and trim the blanks.

    :raises AddressError: for a place between commas that holds nothing.
    """
    items = re.findall(r'((?:"(?:[^"\\]|\\.)*"|[^",]|")*)(?:,|$)', text, re.DOTALL)
    if text and not text.endswith(","):
        items.pop()  # the empty match at the end of the text
    parts = [item.strip(" ") for item in items]
    if not all(parts):
        raise AddressError(f"{text!r}: nothing between two commas, or after the last")
    return parts


def _require(fact: object, otherwise: str) -> None:
    if not fact:
        raise AddressError(otherwise)


def _no_stray_characters(text: str, local: str) -> None:
    """Refuse, by its name, what could end a line or hide: a blank is right only inside quotes."""
    quoted = len(local) if _QUOTED.fullmatch(local) else 0
    for place, char in enumerate(text):
        if char == " " and place < quoted:
            continue
        if unicodedata.category(char)[0] in "CZ":
            where = f"{name_of(char)} at character {place + 1}"
            raise AddressError(f"{where} cannot be part of an address")


def _check_local(local: str) -> None:
    _require(local, "there is nothing before the @")
    if local.startswith('"'):
        _require(_QUOTED.fullmatch(local), "the quoted part before the @ is broken")
        return
    for atom in local.split("."):
        _require(atom, "a dot before the @ stands alone, first, or last")
        if not _ATOM.fullmatch(atom):
            stray = next(char for char in atom if not _ATOM.fullmatch(char))
            raise AddressError(f"{stray!r} before the @ needs quotes around that part")


def _check_domain(domain: str) -> None:
    if is_domain(domain):
        return
    _require(domain, "there is nothing after the @")
    if domain.startswith("["):
        _check_literal(domain)
        return
    octets = len(domain.encode())
    _require(octets <= MAX_DOMAIN_BYTES, f"the domain is longer than {MAX_DOMAIN_BYTES} octets")
    for label in domain.split("."):
        _require(label, "a dot in the domain stands alone, first, or last")
        _require(label[0] != "-" != label[-1], f"{label!r} starts or ends with a hyphen")
        for char in label:
            _require(_in_domain(char), f"{char!r} cannot be part of a domain")
        encoded = label if label.isascii() else "xn--" + label.encode("punycode").decode()
        _require(len(encoded) <= MAX_LABEL_BYTES, f"{label!r} is longer than 63 octets")


def _in_domain(char: str) -> bool:
    """Letters, digits and hyphens; beyond ASCII letters, marks and digits (about RFC 5892)."""
    if char.isascii():
        return char.isalnum() or char == "-"
    kind = unicodedata.category(char)
    return kind[0] in "LM" or kind == "Nd"


def _check_literal(literal: str) -> None:
    """``[127.0.0.1]`` or ``[IPv6:::1]`` (RFC 5321 4.1.3); no other kind is registered."""
    inside = literal[1:-1] if literal.endswith("]") else ""
    try:
        if inside[:5].upper() == "IPV6:":
            _require("%" not in inside, f"{literal!r} names an interface")
            IPv6Address(inside[5:])
        else:
            IPv4Address(inside)
    except AddressValueError:
        raise AddressError(
            f"{literal!r} is no address literal; write [127.0.0.1] or [IPv6:::1]"
        ) from None
