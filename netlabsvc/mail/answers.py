"""The answers of the web inbox, made from the store: each method is called in a thread.

It knows no requests: a reader and plain values in, an `Answer` out.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import netlabsvc
from netlabsvc.escape import json_text
from netlabsvc.mail import cage, pages, views
from netlabsvc.mail.labels import LABELS
from netlabsvc.mail.languages import Both
from netlabsvc.mail.mailbox import Entry, Mailbox
from netlabsvc.mail.pages import Reader, Row
from netlabsvc.mail.parts import Parts, taken_apart
from netlabsvc.mail.report import as_object
from netlabsvc.mail.schema import StoreError

HTML = b"text/html; charset=utf-8"
JSON = b"application/json"
BYTES = b"application/octet-stream"
#: A page loads its own style sheet and script, talks to its own events, frames its own cage.
PAGE_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    b"img-src data:; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
)
DATA_POLICY = b"default-src 'none'; sandbox; frame-ancestors 'none'"
#: Mails on a page of the list.
ROWS = 50
MAX_LIMIT = 1000
ASSETS = {"style.css": b"text/css; charset=utf-8", "live.js": b"text/javascript; charset=utf-8"}


_NO_VIEW = Both("This mail has no such view.", "这封邮件没有这种视图。")
_NO_PART = Both("This mail has no such part.", "这封邮件没有这个部分。")
_NO_MAIL = Both(
    "There is no such mail: deleted, or gone to make room.",
    "没有这封邮件：已被删除，或因空间不足被清理。",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent.

    :ivar gone: the mails that it has deleted.
    """

    body: bytes
    kind: bytes = HTML
    status: int = HTTPStatus.OK
    policy: bytes = PAGE_POLICY
    headers: tuple[tuple[bytes, bytes], ...] = ()
    gone: tuple[int, ...] = ()


class Wrong(Exception):
    """Why there is no such answer: a status, and in a sentence what would be right."""

    def __init__(
        self, status: HTTPStatus, why: Both, headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(why.en)
        self.status = status
        self.why = why
        self.headers = headers


class Answers:
    """Reads the store of one state directory."""

    def __init__(self, directory: Path, smtp: Callable[[], str]) -> None:
        """:param smtp: where mail can be sent to, as a command would say it."""
        self._directory = directory
        self._smtp = smtp
        data = Path(netlabsvc.__file__).parent / "data" / "inbox"
        self._assets = {name: (data / name).read_bytes() for name in ASSETS}
        digest = hashlib.sha256(b"".join(self._assets.values())).hexdigest()
        self._version = digest[:12]
        script = hashlib.sha384(self._assets["live.js"]).digest()
        self._integrity = f"sha384-{b64encode(script).decode()}"

    def reader(
        self,
        base: str,
        path: str,
        query: tuple[tuple[str, str], ...],
        lang: str,
        chosen: bool,
        token: str,
    ) -> Reader:
        return Reader(base, path, query, lang, chosen, token, self._version, self._integrity)

    def wrong(self, reader: Reader, wrong: Wrong, *, api: bool) -> Answer:
        """The page of a mistake, or its JSON."""
        status, headers = wrong.status, wrong.headers
        if api:
            text = {"status": int(status), "detail": wrong.why.en}
            return Answer(_json(text), JSON, status, DATA_POLICY, headers)
        body = pages.error(reader, status, status.phrase, wrong.why.text(reader.lang))
        return Answer(body, status=status, headers=headers)

    def asset(self, name: str) -> Answer:
        """The style sheet or the script; its address changes with it."""
        keep = ((b"Cache-Control", b"max-age=31536000, immutable"),)
        return Answer(self._assets[name], ASSETS[name], policy=DATA_POLICY, headers=keep)

    # Pages

    def mails(self, reader: Reader, query: Mapping[str, str]) -> Answer:
        """A page of the list."""

        def make() -> Answer:
            entries, before = self._entries(query, ROWS + 1)
            body = pages.list_page(
                reader,
                [_row(one) for one in entries[:ROWS]],
                query.get("q", ""),
                older=len(entries) > ROWS,
                newest=before is None,
                smtp=self._smtp(),
            )
            return Answer(body)

        return self._page(reader, make)

    def view(self, reader: Reader, mail_id: int, view: str) -> Answer:
        """One view of a mail."""

        def make() -> Answer:
            mail = self._mail(mail_id)
            if view and view not in views.views(mail):
                raise Wrong(HTTPStatus.NOT_FOUND, _NO_VIEW)
            return Answer(views.view_page(reader, mail, view))

        return self._page(reader, make)

    def cage(self, reader: Reader, mail_id: int) -> Answer:
        """The HTML of a mail, under a policy that lets it do nothing."""

        def make() -> Answer:
            parts = self._parts(mail_id)
            if parts.html is None:
                raise Wrong(HTTPStatus.NOT_FOUND, LABELS["no html"])
            return Answer(cage.document(parts), policy=cage.POLICY)

        return self._page(reader, make)

    def source(self, reader: Reader, mail_id: int) -> Answer:
        """The bytes as they were received."""
        return self._page(reader, lambda: self._eml(mail_id))

    def part(self, reader: Reader, mail_id: int, place: int) -> Answer:
        """A part as a download, whatever it claims to be."""

        def make() -> Answer:
            leaves = self._parts(mail_id).leaves
            if place >= len(leaves):
                raise Wrong(HTTPStatus.NOT_FOUND, _NO_PART)
            return _download(leaves[place].data, leaves[place].file_name)

        return self._page(reader, make)

    def delete(self, reader: Reader, mail_ids: list[int]) -> Answer:
        """Take mails out, and go back to the list."""

        def make() -> Answer:
            self._remove(mail_ids)
            back = ((b"Location", reader.link("").encode("ascii")),)
            return Answer(b"", status=HTTPStatus.SEE_OTHER, headers=back, gone=tuple(mail_ids))

        return self._page(reader, make)

    # JSON

    def mails_json(self, query: Mapping[str, str]) -> Answer:
        """The newest mails, or those before one."""

        def make() -> Answer:
            entries, _ = self._entries(query, _count(query, "limit", 100, MAX_LIMIT))
            return _answer_json([one.as_object() for one in entries])

        return self._api(make)

    def mail_json(self, mail_id: int) -> Answer:
        """All that is known of a mail; its bytes are elsewhere."""

        def make() -> Answer:
            mail = self._mail(mail_id)
            with Mailbox(self._directory) as mailbox:
                entry = mailbox.entry(mail_id)
            return _answer_json({**entry.as_object(), **as_object(mail.record, mail.parts)})

        return self._api(make)

    def source_json(self, mail_id: int) -> Answer:
        """The bytes as they were received; a mistake is told in JSON."""
        return self._api(lambda: self._eml(mail_id))

    def delete_json(self, mail_id: int) -> Answer:
        """Take a mail out."""

        def make() -> Answer:
            if not self._remove([mail_id]):
                raise KeyError(mail_id)
            answer = _json({"removed": [mail_id]})
            return Answer(answer, JSON, policy=DATA_POLICY, gone=(mail_id,))

        return self._api(make)

    # The store

    def _entries(self, query: Mapping[str, str], limit: int) -> tuple[list[Entry], int | None]:
        before = _count(query, "before", 0, 10**18) or None
        search = query.get("q", "")[:200]
        with Mailbox(self._directory) as mailbox:
            return mailbox.page(before, limit, search), before

    def _mail(self, mail_id: int) -> views.Mail:
        with Mailbox(self._directory) as mailbox:
            record = mailbox.record(mail_id)
            try:
                source = mailbox.source(mail_id)
            except KeyError:
                return views.Mail(mail_id, record, None)
        return views.Mail(mail_id, record, taken_apart(source), source)

    def _source(self, mail_id: int) -> bytes:
        with Mailbox(self._directory) as mailbox:
            return mailbox.source(mail_id)

    def _eml(self, mail_id: int) -> Answer:
        return _download(self._source(mail_id), f"mail-{mail_id}.eml")

    def _parts(self, mail_id: int) -> Parts:
        return taken_apart(self._source(mail_id))

    def _remove(self, mail_ids: list[int]) -> int:
        with Mailbox(self._directory) as mailbox:
            return mailbox.remove(mail_ids)

    def _page(self, reader: Reader, make: Callable[[], Answer]) -> Answer:
        try:
            return _made(make)
        except Wrong as wrong:
            return self.wrong(reader, wrong, api=False)

    def _api(self, make: Callable[[], Answer]) -> Answer:
        try:
            return _made(make)
        except Wrong as wrong:
            return self.wrong(Reader(), wrong, api=True)


def _made(make: Callable[[], Answer]) -> Answer:
    """:raises Wrong: with the store's words, or because there is no such mail."""
    try:
        return make()
    except KeyError:
        raise Wrong(HTTPStatus.NOT_FOUND, _NO_MAIL) from None
    except (StoreError, FileNotFoundError) as error:
        why = Both(f"The store cannot be read: {error}", f"无法读取邮件存储：{error}")
        raise Wrong(HTTPStatus.SERVICE_UNAVAILABLE, why) from None


def _row(entry: Entry) -> Row:
    sender = entry.author or entry.mail_from or ("<>" if entry.mail_from == "" else "")
    return Row(
        entry.id,
        entry.time_s,
        entry.verdict,
        sender,
        entry.rcpt_to,
        entry.subject,
        entry.size,
        entry.reply,
    )


def _count(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """:raises Wrong: when it is no number, or too large."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) <= most):
        why = Both(
            f"{name} is a whole number, at most {most}.", f"{name} 应为不超过 {most} 的整数。"
        )
        raise Wrong(HTTPStatus.BAD_REQUEST, why)
    return int(text)


def _download(data: bytes, name: str) -> Answer:
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    how = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    headers = ((b"Content-Disposition", how.encode("ascii")),)
    return Answer(data, BYTES, policy=DATA_POLICY, headers=headers)


def _answer_json(value: object) -> Answer:
    return Answer(_json(value), JSON, policy=DATA_POLICY)


def _json(value: object) -> bytes:
    return f"{json_text(value)}\n".encode()
