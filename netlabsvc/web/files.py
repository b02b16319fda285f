"""Static files as a twisted.web resource (RFC 9110).

It knows HTTP and a `Tree`; it knows neither connections nor what else is mounted beside it.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from netlabsvc.web import listing, negotiation, pages, ranges, target, transfer, tree
from netlabsvc.web.answer import (
    answer,
    answer_empty,
    answer_error,
    answer_not_allowed,
    answer_page,
)
from netlabsvc.web.lane import Source
from netlabsvc.web.memory import Memory
from netlabsvc.web.parts import Parts
from netlabsvc.web.policy import Policy
from netlabsvc.web.preconditions import Outcome, Validators, evaluate, http_date, range_applies
from netlabsvc.web.types import content_type

METHODS = b"GET, HEAD, OPTIONS"
INDEX = b"index.html"
NOT_FOUND_PAGE = b"404.html"
#: A longer 404.html is no page for an error; the plain one is sent instead.
NOT_FOUND_MOST_BYTES = 256 * 1024
#: Of a file, no byte.
NONE = ranges.Range(0, -1)
_CODINGS = {coding.suffix: coding for coding in negotiation.CODINGS}


class Place(NamedTuple):
    """Where in the site a request leads."""

    mount: tuple[bytes, ...]
    names: tuple[bytes, ...]
    directory: bool


@dataclass(frozen=True)
class Serving:
    """What is served, and how.

    :ivar listing: whether a directory without index.html is listed.
    :ivar front: makes the page of the root if it has no index.html, of the name by which the
        visitor calls this host.
    """

    root: tree.Tree
    listing: bool = True
    policy: Policy = field(default_factory=Policy)
    front: Callable[[str], bytes] | None = None


class Files(Resource):
    """A directory and all that is below it.

    :ivar serving: from the next request on it may be something else.
    """

    isLeaf = True

    def __init__(self, serving: Serving, memory: Memory, reactor: IReactorTime) -> None:
        super().__init__()
        self.serving = serving
        self._memory = memory
        self._reactor = reactor
        self._secret = secrets.token_bytes(16)

    def render(self, request: Request) -> int:
        policy = self.serving.policy
        _add(request, policy.sharing())
        if request.method == b"OPTIONS":
            request.setHeader(b"Allow", METHODS)
            _add(request, policy.preflight(_header(request, b"Access-Control-Request-Headers")))
            return answer_empty(request, HTTPStatus.NO_CONTENT)
        if request.method not in (b"GET", b"HEAD"):
            return answer_not_allowed(request, METHODS)
        try:
            return self._serve(request, _place(request))
        except tree.Refused as refused:
            if refused.status == HTTPStatus.NOT_FOUND:
                return self._not_found(request, refused.why)
            return answer_error(request, refused.status, refused.why)

    def _serve(self, request: Request, place: Place) -> int:
        with self._open(_header(request, b"Accept-Encoding"), place.names) as found:
            if found.directory:
                return self._directory(request, place, found)
            if place.directory:
                raise tree.Refused(HTTPStatus.NOT_FOUND, "It is a file; leave the slash away.")
            return self._file(request, place.names, found)

    def _open(self, accepted: bytes | None, names: Sequence[bytes]) -> tree.Found:
        """Open a file, or the compressed neighbour of it that is preferred."""

        def choose(there: Sequence[bytes]) -> bytes:
            best = negotiation.coding(accepted, [_CODINGS[suffix] for suffix in there])
            return best.suffix if best else b""

        return self.serving.root.open(names, tuple(_CODINGS), choose)

    def _directory(self, request: Request, place: Place, found: tree.Found) -> int:
        if not place.directory:
            # Made of decoded names: whatever was sent, it starts with one slash and stays here.
            path = target.join(place.mount + place.names, directory=True)
            mark, query = request.uri.partition(b"?")[1:]
            request.setHeader(b"Location", path + mark + query)
            return answer_error(request, HTTPStatus.MOVED_PERMANENTLY, "A directory ends in a /.")
        try:
            names = (*place.names, INDEX)
            with self._open(_header(request, b"Accept-Encoding"), names) as index:
                if not index.directory:
                    return self._file(request, names, index)
        except tree.Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
        if self.serving.front is not None and not place.names:
            request.setHeader(b"Cache-Control", b"no-cache")
            name = request.getRequestHostname().decode("latin-1")
            return answer_page(request, self.serving.front(name))
        return self._list(request, place, found)

    def _list(self, request: Request, place: Place, found: tree.Found) -> int:
        if not self.serving.listing:
            raise tree.Refused(HTTPStatus.FORBIDDEN, "There is no index.html, and no listing.")
        entries, more = self.serving.root.entries(found, place.names)
        by = listing.order(request.uri.partition(b"?")[2])
        request.setHeader(b"Vary", b"Accept")
        if negotiation.prefers_json(_header(request, b"Accept")):
            request.setHeader(b"Content-Type", listing.JSON_TYPE)
            return answer(request, listing.render_json(entries, more=more, by=by))
        return answer_page(request, listing.render(place.names, entries, more=more, by=by))

    def _file(self, request: Request, names: tuple[bytes, ...], found: tree.Found) -> int:
        """Answer with a file, the parts of it that were asked for, or that it has not changed."""
        now, name = self._validators(found), names[-1]
        outcome = evaluate(lambda header: _header(request, header), now)
        if outcome is Outcome.FAILED:
            raise tree.Refused(HTTPStatus.PRECONDITION_FAILED, "The file is another by now.")
        if outcome is Outcome.NOT_MODIFIED:
            _add(request, self._described(name, found, now))
            self._may_be_repeated(request, names, found, NONE)
            return answer_empty(request, HTTPStatus.NOT_MODIFIED)
        parts = self._parts(request, now, found.size_bytes)
        _add(request, self._described(name, found, now))
        if found.suffix:
            request.setHeader(b"Content-Encoding", _CODINGS[found.suffix].name)
        body = self._body(request, name, found, parts)
        request.setHeader(b"Content-Length", b"%d" % body.length)
        if request.method == b"HEAD":
            self._may_be_repeated(request, names, found, NONE)
            request.finish()
        elif isinstance(body, ranges.Multipart):
            Parts(request, found.detach(), body).start()
        elif (whole := self._whole(found)) is not None:
            self._may_be_repeated(request, names, found, body)
            request.write(whole[body.first : body.first + body.length])
            request.finish()
        else:
            transfer.send(request, found.detach(), body.first, body.length)
        return NOT_DONE_YET

    def _whole(self, found: tree.Found) -> bytes | None:
        """A small file as a whole, from memory where it is there; None: it is to be streamed."""
        whole = self._memory.get(found.state)
        if whole is None and self._memory.takes(found.size_bytes):
            with suppress(OSError):
                whole = os.pread(found.fd, found.size_bytes, 0)
            if whole is None or len(whole) != found.size_bytes:
                return None
            if found.rests(self._reactor.seconds()):
                self._memory.keep(found.state, whole)
        return whole

    def _may_be_repeated(
        self, request: Any, names: tuple[bytes, ...], found: tree.Found, part: ranges.Range
    ) -> None:
        """Tell the connection that the answer depends on nothing but the head and this file."""
        if found.rests(self._reactor.seconds()):
            accepted = _header(request, b"Accept-Encoding")
            request.source = Source(
                key=(self, names, accepted),
                look=partial(self._look, names, accepted),
                state=_state(found),
                body=found.state,
                first=part.first,
                length=part.length,
            )

    def _look(self, names: tuple[bytes, ...], accepted: bytes | None) -> Hashable:
        """What the names lead to by now; None when it is not there, or no file."""
        try:
            with self._open(accepted, names) as found:
                return None if found.directory else _state(found)
        except tree.Refused:
            return None

    def _described(
        self, name: bytes, found: tree.Found, now: Validators
    ) -> list[tuple[bytes, bytes]]:
        """What a 200 says of a file, and a 304, too (RFC 9110 section 15.4.5)."""
        told = [
            (b"ETag", now.etag),
            (b"Last-Modified", http_date(now.modified_s)),
            (b"Accept-Ranges", b"bytes"),
        ]
        if found.neighbours:
            told.append((b"Vary", b"Accept-Encoding"))
        if caching := self.serving.policy.caching(name):
            told.append((b"Cache-Control", caching))
        return told

    def _validators(self, found: tree.Found) -> Validators:
        etag = b'"%x-%x-%x"' % (found.size_bytes, found.modified_ns, found.inode)
        # No Last-Modified after the Date of the answer (RFC 9110 section 8.8.2.1).
        return Validators(etag, min(found.modified_s, int(self._reactor.seconds())))

    def _parts(self, request: Request, now: Validators, size_bytes: int) -> list[ranges.Range]:
        """The parts that were asked for; none where the whole file is the answer."""
        wanted = _header(request, b"Range")
        if wanted is None or request.method != b"GET":
            return []
        if_range, now_s = _header(request, b"If-Range"), int(self._reactor.seconds())
        if not range_applies(if_range, now, now_s):
            return []
        try:
            return ranges.parse(wanted, size_bytes) or []
        except ranges.Unsatisfiable as error:
            request.setHeader(b"Content-Range", b"bytes */%d" % size_bytes)
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise tree.Refused(status, f"No byte there: {error}.") from None

    def _body(
        self, request: Request, name: bytes, found: tree.Found, parts: Sequence[ranges.Range]
    ) -> ranges.Range | ranges.Multipart:
        """What is sent of a file; sets the status and the headers that say so."""
        kind, size_bytes = content_type(name), found.size_bytes
        request.setHeader(b"Content-Type", kind)
        if not parts:
            return ranges.Range(0, size_bytes - 1)
        request.setResponseCode(HTTPStatus.PARTIAL_CONTENT, b"Partial Content")
        if len(parts) == 1:
            request.setHeader(b"Content-Range", parts[0].content_range(size_bytes))
            return parts[0]
        # The same for the same file, so that equal requests get equal answers; and nobody who
        # writes a file can know it.
        state = b"%d %d %d" % (found.inode, found.modified_ns, size_bytes)
        boundary = blake2b(state, key=self._secret, digest_size=16).hexdigest().encode("ascii")
        request.setHeader(b"Content-Type", b"multipart/byteranges; boundary=" + boundary)
        return ranges.multipart(parts, size_bytes, kind, boundary)

    def _not_found(self, request: Request, why: str) -> int:
        """The site's own 404.html where it has one."""
        with suppress(tree.Refused), self.serving.root.open([NOT_FOUND_PAGE]) as page:
            if not page.directory and page.size_bytes <= NOT_FOUND_MOST_BYTES:
                request.setResponseCode(HTTPStatus.NOT_FOUND, b"Not Found")
                request.setHeader(b"Content-Type", pages.CONTENT_TYPE)
                return answer(request, os.pread(page.fd, page.size_bytes, 0))
        return answer_error(request, HTTPStatus.NOT_FOUND, why)


def _state(found: tree.Found) -> Hashable:
    """All that an answer depends on of what was found."""
    return found.state, found.neighbours, found.suffix


def _add(request: Request, headers: Sequence[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        request.setHeader(name, value)


def _place(request: Request) -> Place:
    """Where a request leads, of the names that twisted.web has found before and after the mount."""
    names = tuple(request.postpath or ())
    directory = names[-1:] == (b"",)
    return Place(tuple(request.prepath or ()), tuple(filter(None, names)), directory)


def _header(request: Request, name: bytes) -> bytes | None:
    """All values of a request header in one, as RFC 9110 section 5.3 joins them."""
    values = request.requestHeaders.getRawHeaders(name)
    return None if values is None else b", ".join(values)
