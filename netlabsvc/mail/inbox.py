"""The web inbox: the pages over the store, and JSON, as a resource that the site mounts.

    GET  /inbox                      the list; q=WORDS searches, before=ID goes on
    GET  /inbox/ID[/VIEW]            a mail; lang=zh or lang=en on every page
    GET  /inbox/ID/body.html         its HTML, for the cage; /raw, /part/N: downloads
    POST /inbox/delete               a form: id, once or more, and the page's token
    GET  /inbox/api/mails            JSON; q, before, limit; /ID one mail, /ID/source its bytes
    DELETE /inbox/api/mails/ID
    GET  /inbox/api/events           server-sent events: arrivals.py

What a mail holds is hostile: its HTML has an address of its own under a policy that lets nothing
run, load or be sent, and everything else of it is a download. Whoever asks must use a name that is
ours (visitors.py). Reading and rendering happen in a thread, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from netlabsvc.mail.answers import ASSETS, JSON, Answer, Answers, Wrong
from netlabsvc.mail.arrivals import Arrivals
from netlabsvc.mail.languages import LANGUAGES, Both
from netlabsvc.mail.mailbox import Entry
from netlabsvc.mail.pages import Reader
from netlabsvc.mail.settings import Sandbox
from netlabsvc.mail.visitors import form_is_ours, host_is_ours, origin_is_ours
from netlabsvc.reach import may_read

#: So many pages are made at one time: the threads are the store's as well.
AT_ONCE = 3
_ALWAYS = (
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Cross-Origin-Resource-Policy", b"same-origin"),
)
_CLOSED = Both(
    'Only this machine may read the inbox; inbox = "all" in [mail.sandbox] opens it.',
    '只有本机可以查看收件箱；在 [mail.sandbox] 中设置 inbox = "all" 即可开放。',
)
_NAME = Both(
    "This machine is not known by the name in Host. Use its address, or add the name to "
    "inbox_hosts in [mail.sandbox].",
    "地址栏中的主机名不是本机已知的名字。请改用 IP 地址访问，或把这个名字加入 [mail.sandbox] 的 "
    "inbox_hosts。",
)
_STRANGE = Both(
    "This was asked by a page that is not the inbox's. Reload the page, and try again.",
    "这个请求不是由收件箱的页面发出的。请刷新页面后再试。",
)
_FULL = Both("Too many pages listen already.", "正在监听的页面已经太多。")
_NOTHING = Both("There is nothing here.", "这里什么也没有。")

#: Whoever is turned away gets a page in which style sheet and script work.
_FOR_ALL = [[name] for name in ASSETS]

InThread = Callable[[Callable[[], Any]], Deferred[Any]]


class Inbox(Resource):
    """Everything below /inbox."""

    isLeaf = True

    def __init__(
        self,
        settings: Sandbox,
        answers: Answers,
        arrivals: Arrivals,
        in_thread: InThread,
        secret: str,
    ) -> None:
        """:param settings: who may read, and under which names.

        :param answers: makes the answers, in the thread.
        :param secret: what the forms of our pages hold, and no other page knows.
        """
        super().__init__()
        self._settings = settings
        self._answers = answers
        self._arrivals = arrivals
        self._in_thread = in_thread
        self._secret = secret
        self._turns = DeferredSemaphore(AT_ONCE)

    def apply(self, settings: Sandbox) -> None:
        """Go on with other names of this machine."""
        self._settings = settings

    def arrived(self, entry: Entry) -> None:
        """Tell the pages of a mail that was kept, or of an attempt that was refused."""
        self._arrivals.tell("mail", entry.as_object(), entry.id)

    def render(self, request: Any) -> int:
        """Answer, sooner or later."""
        segments = [part.decode("utf-8", "replace") for part in request.postpath or ()]
        reader = self._reader(request)
        try:
            if segments not in _FOR_ALL:
                self._admit(request)
            if segments == ["api", "events"]:
                return self._listen(request)
            make = self._maker(request, reader, segments)
        except Wrong as wrong:
            self._write(request, self._answers.wrong(reader, wrong, api=segments[:1] == ["api"]))
            return NOT_DONE_YET
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        made: Deferred[Answer] = self._turns.run(self._in_thread, make)
        made.addCallback(self._made, request, gone)
        made.addErrback(self._failed, request, gone)
        return NOT_DONE_YET

    def _made(self, answer: Answer, request: Any, gone: list[object]) -> None:
        if answer.gone:
            self._arrivals.tell("gone", {"ids": list(answer.gone)})
        if not gone:
            self._write(request, answer)

    def _failed(self, failure: Failure, request: Any, gone: list[object]) -> None:
        """A mistake of ours: the site has the words for it."""
        if not gone:
            request.processingFailed(failure)

    # Who asks

    def _admit(self, request: Any) -> None:
        """:raises Wrong: to strangers, and to pages that use a stranger's name."""
        peer = request.getClientAddress()
        host = None if isinstance(peer, UNIXAddress) else getattr(peer, "host", "")
        if not may_read(self._settings.inbox, host):
            raise Wrong(HTTPStatus.FORBIDDEN, _CLOSED)
        local = getattr(request.getHost(), "host", "")
        if not host_is_ours(_header(request, b"Host") or "", local, self._settings.inbox_hosts):
            raise Wrong(HTTPStatus.MISDIRECTED_REQUEST, _NAME)

    def _check_page(self, request: Any) -> None:
        """:raises Wrong: when the page that asks is not ours."""
        origin, site = _header(request, b"Origin"), _header(request, b"Sec-Fetch-Site")
        host = _header(request, b"Host") or ""
        if not origin_is_ours(origin, site, host, secure=request.isSecure()):
            raise Wrong(HTTPStatus.FORBIDDEN, _STRANGE)

    def _reader(self, request: Any) -> Reader:
        query = _query(request)
        chosen = query.get("lang") in LANGUAGES
        wanted = (_header(request, b"Accept-Language") or "").casefold()
        lang = query["lang"] if chosen else "zh" if wanted.startswith("zh") else "en"
        base, place = _joined(request.prepath), _joined(request.postpath or ())
        path = base if request.method == b"POST" else base + place
        return self._answers.reader(base, path, tuple(query.items()), lang, chosen, self._secret)

    # What is asked

    def _maker(self, request: Any, reader: Reader, segments: list[str]) -> Callable[[], Answer]:
        """What makes the answer, to be called in a thread.

        :raises Wrong: for what is nowhere; UnsupportedMethod: for what cannot be done there.
        """
        answers, query = self._answers, _query(request)
        makers: Mapping[bytes, Callable[[], Answer]]
        match segments:
            case [] | [""]:
                makers = {b"GET": partial(answers.mails, reader, query)}
            case [name] if name in ASSETS:
                makers = {b"GET": partial(answers.asset, name)}
            case ["delete"]:
                makers = {b"POST": partial(answers.delete, reader, self._form(request))}
            case ["api", "mails"]:
                makers = {b"GET": partial(answers.mails_json, query)}
            case ["api", "mails", number]:
                mail_id = _number(number)
                makers = {b"GET": partial(answers.mail_json, mail_id)}
                if request.method == b"DELETE":
                    self._check_page(request)
                makers[b"DELETE"] = partial(answers.delete_json, mail_id)
            case ["api", "mails", number, "source"]:
                makers = {b"GET": partial(answers.source_json, _number(number))}
            case [number, "raw"]:
                makers = {b"GET": partial(answers.source, reader, _number(number))}
            case [number, "body.html"]:
                makers = {b"GET": partial(answers.cage, reader, _number(number))}
            case [number, "part", place]:
                makers = {b"GET": partial(answers.part, reader, _number(number), _number(place))}
            case [number] | [number, _]:
                view = segments[1] if len(segments) == 2 else ""
                makers = {b"GET": partial(answers.view, reader, _number(number), view)}
            case _:
                raise Wrong(HTTPStatus.NOT_FOUND, _NOTHING)
        return makers[_method(request, makers)]

    def _form(self, request: Any) -> list[int]:
        """The mails that a form names; nothing for a method that is not POST.

        :raises Wrong: when the form is not ours, or not understood.
        """
        if request.method != b"POST":
            return []
        fields = parse_qs(request.content.read().decode("utf-8", "replace"))
        origin, host = _header(request, b"Origin"), _header(request, b"Host") or ""
        token = fields.get("token", [""])[0]
        if not form_is_ours(origin, host, token, self._secret, secure=request.isSecure()):
            raise Wrong(HTTPStatus.FORBIDDEN, _STRANGE)
        return [_number(one) for one in fields.get("id", [])]

    def _listen(self, request: Any) -> int:
        _method(request, {b"GET": None})
        self._check_page(request)
        if self._arrivals.full:
            raise Wrong(HTTPStatus.SERVICE_UNAVAILABLE, _FULL, ((b"Retry-After", b"10"),))
        for name, value in _ALWAYS:
            request.setHeader(name, value)
        if request.method == b"HEAD":
            self._write(request, Answer(b"", b"text/event-stream; charset=utf-8"))
        else:
            self._arrivals.listen(request, request.getHeader(b"Last-Event-ID"))
        return NOT_DONE_YET

    # The answer

    def _write(self, request: Any, answer: Answer) -> None:
        phrase = HTTPStatus(answer.status).phrase.encode("ascii")
        request.setResponseCode(answer.status, phrase)
        request.setHeader(b"Content-Type", answer.kind)
        request.setHeader(b"Content-Security-Policy", answer.policy)
        request.setHeader(b"Cache-Control", b"no-store")
        request.setHeader(b"Content-Length", b"%d" % len(answer.body))
        for name, value in (*_ALWAYS, *answer.headers):
            request.setHeader(name, value)
        if answer.kind != JSON:
            request.setHeader(b"X-DNS-Prefetch-Control", b"off")
        if request.method != b"HEAD":
            request.write(answer.body)
        request.finish()


def _method(request: Any, makers: Mapping[bytes, object]) -> bytes:
    """:raises UnsupportedMethod: with those that are right."""
    method: bytes = b"GET" if request.method == b"HEAD" else request.method
    if method not in makers:
        allowed = [*makers, *([b"HEAD"] if b"GET" in makers else [])]
        raise UnsupportedMethod(allowed)
    return method


def _joined(names: Iterable[bytes]) -> str:
    """Names as a path that begins with one slash: two would name another host."""
    return "".join(f"/{quote(name, safe='')}" for name in names if name)


def _header(request: Any, name: bytes) -> str | None:
    value = request.getHeader(name)
    return None if value is None else value.decode("latin-1")


def _query(request: Any) -> dict[str, str]:
    """The arguments behind the question mark; of one that is there twice, the first."""
    return {
        name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
        for name, values in (request.args or {}).items()
    }


def _number(text: str) -> int:
    """:raises Wrong: there is no mail of that number."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Wrong(HTTPStatus.NOT_FOUND, _NOTHING)
    return int(text)
