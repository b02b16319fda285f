"""A mail's page: its head, and one view of it below. Values in, HTML out.

/inbox/7             the text, or where there is no message the dialogue
/inbox/7/VIEW        html headers source parts dialogue claims lint
/inbox/7/body.html   the HTML itself, for the cage only: see inbox.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from netlabsvc.mail.claims import Claim, claims
from netlabsvc.mail.labels import VERDICTS
from netlabsvc.mail.lint import RULES
from netlabsvc.mail.markup import Child, Markup, join, tag
from netlabsvc.mail.pages import Reader, amount, chip, delete_form, moment, page
from netlabsvc.mail.parts import Parts
from netlabsvc.mail.phrases import notes
from netlabsvc.mail.record import Record
from netlabsvc.mail.text import shown

#: Of the source and of a text so many characters are shown.
MAX_SHOWN = 1 << 18


@dataclass(frozen=True, slots=True)
class Mail:
    """All that the page of a mail is made of.

    :ivar parts: None, and the source empty, where no message came.
    """

    id: int
    record: Record
    parts: Parts | None
    source: bytes = b""

    @property
    def subject(self) -> str:
        return (self.parts.values("Subject") or ("",))[0] if self.parts else ""


#: What it means that a layer is not there, where that says something.
_ABSENT = {"TLS": "no TLS", "AUTH": "no AUTH"}


def view_page(reader: Reader, mail: Mail, view: str) -> bytes:
    """One view of a mail.

    :param view: one of `views`, or "" for the first of them.
    """
    there = views(mail)
    view = view or there[0]
    missing = "no subject" if mail.parts else "no message"
    subject = mail.subject or reader.say(missing)
    return page(
        reader,
        f"{subject} · {reader.say(view)}",
        tag("p", tag("a", f"← {reader.say('back')}", href=reader.link("")), class_="way"),
        _head(reader, mail, subject),
        _tabs(reader, mail, there, view),
        tag(
            "section",
            _VIEWS[view](reader, mail),
            class_=f"view {view}",
            aria_label=reader.say(view),
        ),
    )


def views(mail: Mail) -> list[str]:
    """The views that a mail has, in their order."""
    return list(_VIEWS) if mail.parts else ["dialogue", "claims"]


def _head(reader: Reader, mail: Mail, subject: str) -> Markup:
    record = mail.record
    sender = reader.say("nobody") if record.mail_from is None else f"<{record.mail_from}>"
    whom = record.rcpt_to or tuple(one.address for one in record.recipients)
    to = ", ".join(f"<{one}>" for one in whom)
    return tag(
        "div",
        tag("div", tag("h1", subject), delete_form(reader, mail.id), class_="title"),
        tag(
            "p",
            chip(reader, record.verdict),
            tag("code", record.reply, class_="reply") if record.reply else None,
        ),
        tag(
            "dl",
            *_fact("MAIL FROM", sender),
            *_fact("RCPT TO", to or reader.say("nobody")),
            *_fact(reader.say("time"), moment(record.time_s)),
            *(_fact(reader.say("size"), amount(record.size_bytes)) if mail.parts else ()),
        ),
        class_="head",
    )


def _fact(name: str, value: Child) -> tuple[Markup, Markup]:
    return tag("dt", name), tag("dd", value)


def _tabs(reader: Reader, mail: Mail, there: list[str], view: str) -> Markup:
    counts = {"lint": len(mail.record.findings)}
    if mail.parts:
        counts["parts"] = len(mail.parts.attachments)

    def tab(name: str) -> Markup:
        place = f"/{mail.id}" if name == there[0] else f"/{mail.id}/{name}"
        count = counts.get(name, 0)
        badge = tag("span", str(count), class_="count") if count else None
        current = "page" if name == view else None
        return tag("a", reader.say(name), badge, href=reader.link(place), aria_current=current)

    return tag("nav", map(tab, there), class_="tabs", aria_label=reader.say("views"))


def _text(reader: Reader, mail: Mail) -> Markup:
    assert mail.parts is not None
    text = mail.parts.text
    cut = _cut(reader, mail.parts)
    if text is None:
        return join(tag("p", reader.say("no text"), class_="quiet"), cut)
    longer = tag("p", reader.say("cut"), class_="quiet") if text[MAX_SHOWN:] else None
    return join(_block(text[:MAX_SHOWN], "letter"), longer, cut)


def _cut(reader: Reader, parts: Parts) -> Markup | None:
    return tag("p", parts.cut.text(reader.lang), class_="quiet") if parts.cut else None


def _html(reader: Reader, mail: Mail) -> Markup:
    assert mail.parts is not None
    if mail.parts.html is None:
        return tag("p", reader.say("no html"), class_="quiet")
    cage = tag(
        "iframe",
        src=reader.link(f"/{mail.id}/body.html"),
        sandbox="",
        title=reader.say("html"),
        referrerpolicy="no-referrer",
    )
    return join(tag("p", reader.say("caged"), class_="quiet"), cage)


def _headers(reader: Reader, mail: Mail) -> Markup:
    assert mail.parts is not None
    rows = (
        tag("tr", tag("th", name, scope="row"), tag("td", value))
        for name, value in mail.parts.headers
    )
    return tag("table", tag("tbody", rows), class_="plain")


def _source(reader: Reader, mail: Mail) -> Markup:
    start = mail.source[:MAX_SHOWN]
    text = start.decode("utf-8", "backslashreplace").replace("\r\n", "\n")
    lead = tag(
        "p",
        reader.say("as received"),
        " ",
        tag("a", reader.say("download"), href=f"{reader.base}/{mail.id}/raw"),
        class_="quiet",
    )
    cut = tag("p", reader.say("cut"), class_="quiet") if len(start) < len(mail.source) else None
    return join(lead, _block(text, "source"), cut)


def _parts(reader: Reader, mail: Mail) -> Markup:
    assert mail.parts is not None
    names = ("name", "type", "size")
    rows = (
        tag(
            "tr",
            tag(
                "th",
                tag("a", one.file_name, href=f"{reader.base}/{mail.id}/part/{one.place}"),
                scope="row",
            ),
            tag("td", one.kind),
            tag("td", amount(len(one.data)), class_="size"),
        )
        for one in mail.parts.attachments
    )
    head = tag("tr", (tag("th", reader.say(name), scope="col") for name in names))
    table = tag("table", tag("thead", head), tag("tbody", rows), class_="plain files")
    nothing = tag("p", reader.say("no files"), class_="quiet")
    tree = "\n".join(f"{'   ' * depth}{kind}" for depth, kind in mail.parts.tree)
    return join(
        tag("h2", reader.say("files")),
        table if mail.parts.attachments else nothing,
        tag("h2", reader.say("tree")),
        _block(tree, "tree"),
        _cut(reader, mail.parts),
    )


def _dialogue(reader: Reader, mail: Mail) -> Markup:
    dialogue = mail.record.dialogue
    sides = {"C": reader.say("client"), "S": reader.say("server")}
    rows = (
        tag(
            "tr",
            tag("td", f"{line.at_s:.3f}", class_="at"),
            tag("td", tag("abbr", line.side, title=sides[line.side]), class_="side"),
            tag("td", tag("code", line.text), class_="said"),
            tag("td", note.text(reader.lang), class_="note"),
            class_=f"{_tone(line.side, line.text)}",
        )
        for line, note in zip(dialogue, notes(dialogue), strict=True)
    )
    titles = (
        (f"{reader.say('time')} (s)", "at"),
        (reader.say("who"), "side"),
        (reader.say("line"), "said"),
        (reader.say("meaning"), "note"),
    )
    head = tag("tr", (tag("th", title, scope="col", class_=kind) for title, kind in titles))
    return join(
        tag("p", reader.say("dialogue lead"), class_="quiet"),
        tag("table", tag("thead", head), tag("tbody", rows)),
    )


def _tone(side: str, text: str) -> str:
    if side == "C":
        return "client"
    return {"4": "server later", "5": "server never"}.get(text[:1], "server")


def _claims(reader: Reader, mail: Mail) -> Markup:
    def said(one: Claim) -> Markup:
        if one.given:
            return tag("code", one.value)
        return tag("span", reader.say(_ABSENT.get(one.layer, "says nothing")), class_="quiet")

    rows = (
        tag(
            "tr",
            tag("th", one.layer, scope="row"),
            tag(
                "td",
                said(one),
                tag("strong", reader.say("differs"), class_="differs") if one.differs else None,
                class_="says",
            ),
            tag("td", one.why.text(reader.lang), class_="note"),
            class_="different" if one.differs else None,
        )
        for one in claims(mail.record, mail.parts)
    )
    titles = ("layer", "says", "worth")
    head = tag("tr", (tag("th", reader.say(name), scope="col") for name in titles))
    return join(
        tag("p", reader.say("claims lead"), class_="quiet"),
        tag("table", tag("thead", head), tag("tbody", rows)),
        _decided(reader, mail.record),
    )


def _decided(reader: Reader, record: Record) -> Markup:
    """The rule that accepted or refused, and what each recipient was told."""
    lines = (
        tag("li", tag("code", f"<{one.address}>"), " ", tag("code", f"{one.code} {one.text}"))
        for one in record.recipients
    )
    return join(
        tag("h2", reader.say("decided")),
        tag(
            "dl",
            *_fact(reader.say("result"), VERDICTS[record.verdict].text(reader.lang)),
            *(_fact(reader.say("rule"), record.rule) if record.rule else ()),
            *_fact(reader.say("reply"), tag("code", record.reply)),
            *_fact(reader.say("personality"), record.personality),
        ),
        tag("h2", reader.say("recipients")) if record.recipients else None,
        tag("ul", lines) if record.recipients else None,
    )


def _lint(reader: Reader, mail: Mail) -> Markup:
    if not mail.record.findings:
        return tag("p", reader.say("clean"), class_="clean")

    def finding(place: int) -> Markup:
        one = mail.record.findings[place]
        rule = RULES.get(one.rule)
        counts = reader.say("times").format(one.count) if one.count > 1 else ""
        line = reader.say("first in line").format(one.line) if one.line else ""
        facts = " · ".join(filter(None, (counts, line, one.detail)))
        return tag(
            "li",
            tag("h2", tag("code", one.rule)),
            tag("p", rule.why.text(reader.lang)) if rule else None,
            tag(
                "p", " · ".join(filter(None, (facts, rule.source if rule else ""))), class_="quiet"
            ),
        )

    return tag("ul", map(finding, range(len(mail.record.findings))), class_="findings")


def _block(text: str, kind: str) -> Markup:
    return tag("pre", shown(text), class_=kind)


_VIEWS: dict[str, Callable[[Reader, Mail], Markup]] = {
    "text": _text,
    "html": _html,
    "headers": _headers,
    "source": _source,
    "parts": _parts,
    "dialogue": _dialogue,
    "claims": _claims,
    "lint": _lint,
}
