"""The pages of the web inbox: the frame that all share, the list, an error. Values in, HTML out.

Every page works without JavaScript; live.js only adds rows to the list while it is open. Nothing
on a page comes from a mail unescaped: see markup.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlencode

from netlabsvc.mail.labels import VERDICTS, label
from netlabsvc.mail.languages import LANGUAGES
from netlabsvc.mail.markup import Child, Markup, join, tag
from netlabsvc.mail.record import Verdict
from netlabsvc.times import rfc3339

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath "
    "d='M2 4h12v9H2zM2 4l6 5 6-5' stroke='%230b6b6b' stroke-width='1.8' fill='none' "
    "stroke-linejoin='round'/%3E%3C/svg%3E"
)
_NAMES = {"en": "English", "zh": "中文"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the page, and where.

    :ivar base: where the inbox is: ``/inbox``, below the site's prefix.
    :ivar path: of this page, to ask for it in another language.
    :ivar lang: ``en`` or ``zh``.
    :ivar chosen: the language stands in the address, and so in every link of the page.
    :ivar token: what makes a form ours.
    :ivar assets: what the addresses of style sheet and script end with, so that a new one is read.
    :ivar integrity: of the script (Subresource Integrity).
    """

    base: str = "/inbox"
    path: str = "/inbox"
    query: tuple[tuple[str, str], ...] = ()
    lang: str = "en"
    chosen: bool = False
    token: str = ""
    assets: str = ""
    integrity: str = ""

    def say(self, name: str) -> str:
        """A word of the pages, in this reader's language."""
        return label(name, self.lang)

    def link(self, path: str, **query: str) -> str:
        """An address below the inbox that keeps the language."""
        if self.chosen:
            query["lang"] = self.lang
        return f"{self.base}{path}" + (f"?{urlencode(query)}" if query else "")


@dataclass(frozen=True, slots=True)
class Row:
    """A mail as the list shows it; texts may hold anything."""

    id: int
    time_s: float
    verdict: Verdict
    sender: str
    recipients: tuple[str, ...]
    subject: str
    size_bytes: int
    reply: str


def page(reader: Reader, title: str, *content: Child, live: bool = False) -> bytes:
    """A whole page."""
    script = tag(
        "script",
        src=f"{reader.base}/live.js?{reader.assets}",
        integrity=reader.integrity,
        defer=True,
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", f"{title} · netlab"),
        tag("link", rel="icon", href=_ICON),
        tag("link", rel="stylesheet", href=f"{reader.base}/style.css?{reader.assets}"),
        script,
    )
    body = tag(
        "body",
        tag("a", reader.say("skip"), href="#content", class_="skip"),
        _top(reader, live),
        tag("main", *content, id="content", tabindex="-1"),
    )
    lang = "zh-CN" if reader.lang == "zh" else "en"
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang=lang)}\n".encode()


def _top(reader: Reader, live: bool) -> Markup:
    lamp = tag(
        "span",
        tag("span", reader.say("not live"), id="lamp-text"),
        id="lamp",
        class_="lamp",
        hidden=True,
        data_on=reader.say("live"),
        data_off=reader.say("not live"),
    )
    return tag(
        "header",
        tag("a", "netlab", href=reader.base.rpartition("/")[0] + "/", class_="mark"),
        tag("a", reader.say("inbox"), href=reader.link(""), class_="home"),
        lamp if live else None,
        tag("nav", _languages(reader), class_="languages", aria_label=reader.say("languages")),
        class_="top",
    )


def _languages(reader: Reader) -> Markup:
    kept = [(name, value) for name, value in reader.query if name != "lang"]
    return join(
        tag(
            "a",
            _NAMES[lang],
            href=f"{reader.path}?{urlencode([*kept, ('lang', lang)])}",
            lang="zh-CN" if lang == "zh" else "en",
            aria_current="true" if lang == reader.lang else None,
        )
        for lang in LANGUAGES
    )


def error(reader: Reader, status: int, phrase: str, why: str) -> bytes:
    """The page of an error: its status, and in a sentence what would be right."""
    title = f"{status} {phrase}"
    back = tag("p", tag("a", reader.say("back"), href=reader.link("")))
    return page(reader, title, tag("h1", title), tag("p", why, class_="quiet"), back)


def list_page(
    reader: Reader, rows: Sequence[Row], search: str, *, older: bool, newest: bool, smtp: str
) -> bytes:
    """The list, or what to do where there is none.

    :param older: there are more behind the last row.
    :param newest: the first row is the newest of all; else the page is not kept live.
    :param smtp: ``127.0.0.1:2525``, where mail can be sent to; "" where that is not known.
    """
    rows_there = tag(
        "form",
        _table(reader, rows),
        _bar(reader),
        _token(reader),
        method="post",
        action=reader.link("/delete"),
        id="mails",
    )
    nothing = _nothing(reader, search, smtp)
    content = (
        tag("h1", reader.say("inbox"), class_="hidden"),
        _search(reader, search),
        tag(
            "p",
            role="status",
            aria_live="polite",
            class_="hidden",
            id="news",
            data_new=reader.say("new mail"),
        ),
        tag("div", rows_there if rows else nothing, id="list"),
        _pager(reader, rows, search, older=older, newest=newest),
    )
    return page(reader, reader.say("inbox"), *content, live=newest)


def _search(reader: Reader, search: str) -> Markup:
    return tag(
        "form",
        tag("label", reader.say("search in"), for_="q", class_="hidden"),
        tag(
            "input",
            type="search",
            id="q",
            name="q",
            value=search,
            maxlength="200",
            placeholder=reader.say("search in"),
            autocomplete="off",
        ),
        tag("input", type="hidden", name="lang", value=reader.lang) if reader.chosen else None,
        tag("button", reader.say("search")),
        tag("a", reader.say("clear"), href=reader.link("")) if search else None,
        role="search",
        method="get",
        action=reader.base,
        class_="search",
    )


def _bar(reader: Reader) -> Markup:
    return tag("p", tag("button", reader.say("delete chosen"), class_="danger"), class_="bar")


def _table(reader: Reader, rows: Sequence[Row]) -> Markup:
    names = ("result", "from", "to", "subject", "size", "time")
    return tag(
        "table",
        tag("caption", reader.say("inbox"), class_="hidden"),
        tag(
            "thead",
            tag(
                "tr",
                tag("th", tag("span", reader.say("choose"), class_="hidden"), scope="col"),
                (tag("th", reader.say(name), scope="col", class_=name) for name in names),
            ),
        ),
        tag("tbody", (_row(reader, row) for row in rows), id="rows"),
        class_="mails",
    )


def _row(reader: Reader, row: Row) -> Markup:
    subject = row.subject or reader.say("no subject" if row.size_bytes else "no message")
    quiet = None if row.subject else "quiet"
    lesson = tag("span", row.reply, class_="lesson") if row.verdict is not Verdict.KEPT else None
    choose = f"{reader.say('choose')}: {subject}"
    return tag(
        "tr",
        tag(
            "td",
            tag("input", type="checkbox", name="id", value=str(row.id), aria_label=choose),
            class_="choose",
        ),
        tag("td", chip(reader, row.verdict), class_="result"),
        tag("td", row.sender or reader.say("nobody"), class_="from"),
        tag("td", ", ".join(row.recipients) or reader.say("nobody"), class_="to"),
        tag(
            "th",
            tag("a", subject, href=reader.link(f"/{row.id}"), class_=quiet),
            lesson,
            scope="row",
            class_="subject",
        ),
        tag("td", amount(row.size_bytes) if row.size_bytes else "–", class_="size"),
        tag("td", moment(row.time_s), class_="time"),
        data_id=str(row.id),
    )


def _nothing(reader: Reader, search: str, smtp: str) -> Markup:
    if search:
        return tag("p", reader.say("none found"), class_="nothing")
    send = "echo Hi | netlab mail --from ada@lab --to bob@lab --subject Hello"
    send += f" --server {smtp}" if smtp else ""
    return tag(
        "div",
        tag("p", reader.say("empty"), class_="big"),
        tag("p", reader.say("try")),
        tag("pre", tag("code", send)),
        class_="nothing",
    )


def _pager(
    reader: Reader, rows: Sequence[Row], search: str, *, older: bool, newest: bool
) -> Markup | None:
    words = {"q": search} if search else {}
    first = None if newest else tag("a", reader.say("newest"), href=reader.link("", **words))
    last = None
    if older:
        behind = reader.link("", before=str(rows[-1].id), **words)
        last = tag("a", reader.say("older"), href=behind, rel="next")
    if first is None and last is None:
        return None
    return tag("nav", first, last, class_="pager", aria_label=reader.say("pages"))


def _token(reader: Reader) -> Markup:
    return tag("input", type="hidden", name="token", value=reader.token)


def delete_form(reader: Reader, mail_id: int) -> Markup:
    """The button that deletes one mail."""
    return tag(
        "form",
        tag("input", type="hidden", name="id", value=str(mail_id)),
        _token(reader),
        tag("button", reader.say("delete"), class_="danger"),
        method="post",
        action=reader.link("/delete"),
    )


def chip(reader: Reader, verdict: Verdict) -> Markup:
    """What became of a mail, as a coloured word."""
    return tag("span", VERDICTS[verdict].text(reader.lang), class_=f"chip {verdict}")


def moment(time_s: float) -> Markup:
    """A point in time; live.js turns it into the reader's own zone."""
    at = datetime.fromtimestamp(time_s, UTC)
    return tag("time", f"{at:%Y-%m-%d %H:%M:%S} UTC", datetime=rfc3339(time_s))


def amount(size_bytes: int) -> str:
    """A size for people: ``812 B``, ``4.0 kB``, ``12.3 MB``."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.1f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"
