"""Static files as a twisted.web resource (RFC 9110).

It knows HTTP and a `Tree`; it knows neither connections nor what else is mounted beside it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from netlabsvc.web import listing, pages, ranges, target, transfer, tree
from netlabsvc.web.answer import (
    answer,
    answer_empty,
    answer_error,
    answer_not_allowed,
    answer_page,
)
from netlabsvc.web.lane import Source
from netlabsvc.web.memory import Memory
from netlabsvc.web.preconditions import Outcome, Validators, evaluate, http_date, range_applies
from netlabsvc.web.types import content_type

METHODS = b"GET, HEAD, OPTIONS"
INDEX = b"index.html"
NOT_FOUND_PAGE = b"404.html"
#: A longer 404.html is no page for an error; the plain one is sent instead.
NOT_FOUND_MOST_BYTES = 256 * 1024
#: Of a file, no byte.
NONE = ranges.Range(0, -1)


class Place(NamedTuple):
    """Where in the site a request leads."""

    mount: tuple[bytes, ...]
    names: tuple[bytes, ...]
    directory: bool


class Files(Resource):
    """A directory and all that is below it.

    :ivar root: from the next request on another one may be served.
    :ivar listing: whether a directory without index.html is listed.
    """

    isLeaf = True

    def __init__(
        self, root: tree.Tree, memory: Memory, *, listing: bool, reactor: IReactorTime
    ) -> None:
        super().__init__()
        self.root = root
        self.listing = listing
        self._memory = memory
        self._reactor = reactor

    def render(self, request: Request) -> int:
        if request.method == b"OPTIONS":
            request.setHeader(b"Allow", METHODS)
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
        with self.root.open(place.names) as found:
            if found.directory:
                return self._directory(request, place, found)
            if place.directory:
                raise tree.Refused(HTTPStatus.NOT_FOUND, "It is a file; leave the slash away.")
            return self._file(request, place.names, found)

    def _directory(self, request: Request, place: Place, found: tree.Found) -> int:
        if not place.directory:
            # Made of decoded names: whatever was sent, it starts with one slash and stays here.
            path = target.join(place.mount + place.names, directory=True)
            mark, query = request.uri.partition(b"?")[1:]
            request.setHeader(b"Location", path + mark + query)
            return answer_error(request, HTTPStatus.MOVED_PERMANENTLY, "A directory ends in a /.")
        try:
            with tree.open_below(found.fd, INDEX) as index:
                if not index.directory:
                    return self._file(request, (*place.names, INDEX), index)
        except tree.Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
        return self._list(request, place, found)

    def _list(self, request: Request, place: Place, found: tree.Found) -> int:
        if not self.listing:
            raise tree.Refused(HTTPStatus.FORBIDDEN, "There is no index.html, and no listing.")
        entries, more = tree.entries(found.fd)
        return answer_page(request, listing.render(place.mount + place.names, entries, more=more))

    def _file(self, request: Request, names: tuple[bytes, ...], found: tree.Found) -> int:
        """Answer with a file, the part of it that was asked for, or that it has not changed."""
        now = self._validators(found)
        request.setHeader(b"ETag", now.etag)
        request.setHeader(b"Last-Modified", http_date(now.modified_s))
        request.setHeader(b"Accept-Ranges", b"bytes")
        outcome = evaluate(lambda header: _header(request, header), now)
        if outcome is Outcome.NOT_MODIFIED:
            self._may_be_repeated(request, names, found)
            return answer_empty(request, HTTPStatus.NOT_MODIFIED)
        if outcome is Outcome.FAILED:
            raise tree.Refused(HTTPStatus.PRECONDITION_FAILED, "The file is another by now.")
        part = self._part(request, now, found.size_bytes)
        request.setHeader(b"Content-Type", content_type(names[-1]))
        request.setHeader(b"Content-Length", b"%d" % part.length)
        if request.method == b"HEAD":
            self._may_be_repeated(request, names, found)
            request.finish()
        elif (body := self._body(found)) is not None:
            self._may_be_repeated(request, names, found, part)
            request.write(body[part.first : part.first + part.length])
            request.finish()
        else:
            transfer.send(request, found.detach(), part.first, part.length)
        return NOT_DONE_YET

    def _body(self, found: tree.Found) -> bytes | None:
        """A small file as a whole, from memory where it is there; None: it is to be streamed."""
        body = self._memory.get(found.state)
        if body is None and self._memory.takes(found.size_bytes):
            with suppress(OSError):
                body = os.pread(found.fd, found.size_bytes, 0)
            if body is None or len(body) != found.size_bytes:
                return None
            if found.rests(self._reactor.seconds()):
                self._memory.keep(found.state, body)
        return body

    def _may_be_repeated(
        self, request: Any, names: tuple[bytes, ...], found: tree.Found, part: ranges.Range = NONE
    ) -> None:
        """Tell the connection that the answer depends on nothing but the head and this file."""
        if found.rests(self._reactor.seconds()):
            look = partial(self._state, names)
            request.source = Source(names, look, found.state, part.first, part.length)

    def _state(self, names: tuple[bytes, ...]) -> tree.State | None:
        """The state of a file now; None when it is not there, or no file."""
        try:
            with self.root.open(names) as found:
                return None if found.directory else found.state
        except tree.Refused:
            return None

    def _validators(self, found: tree.Found) -> Validators:
        etag = b'"%x-%x-%x"' % (found.size_bytes, found.modified_ns, found.inode)
        # No Last-Modified after the Date of the answer (RFC 9110 section 8.8.2.1).
        return Validators(etag, min(found.modified_s, int(self._reactor.seconds())))

    def _part(self, request: Request, now: Validators, size_bytes: int) -> ranges.Range:
        """The bytes to send, which are all of them unless one range was asked for."""
        whole = ranges.Range(0, size_bytes - 1)
        wanted = _header(request, b"Range")
        if wanted is None or request.method != b"GET":
            return whole
        if not range_applies(_header(request, b"If-Range"), now):
            return whole
        try:
            parts = ranges.parse(wanted, size_bytes)
        except ranges.Unsatisfiable as error:
            request.setHeader(b"Content-Range", b"bytes */%d" % size_bytes)
            status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
            raise tree.Refused(status, f"No byte there: {error}.") from None
        if parts is None or len(parts) != 1:
            return whole
        [part] = parts
        request.setResponseCode(HTTPStatus.PARTIAL_CONTENT, b"Partial Content")
        request.setHeader(b"Content-Range", b"bytes %d-%d/%d" % (part.first, part.last, size_bytes))
        return part

    def _not_found(self, request: Request, why: str) -> int:
        """The site's own 404.html where it has one."""
        with suppress(tree.Refused), self.root.open([NOT_FOUND_PAGE]) as page:
            if not page.directory and page.size_bytes <= NOT_FOUND_MOST_BYTES:
                request.setResponseCode(HTTPStatus.NOT_FOUND, b"Not Found")
                request.setHeader(b"Content-Type", pages.CONTENT_TYPE)
                return answer(request, os.pread(page.fd, page.size_bytes, 0))
        return answer_error(request, HTTPStatus.NOT_FOUND, why)


def _place(request: Request) -> Place:
    """Where a request leads, of the names that twisted.web has found before and after the mount."""
    names = tuple(request.postpath or ())
    directory = names[-1:] == (b"",)
    return Place(tuple(request.prepath or ()), tuple(filter(None, names)), directory)


def _header(request: Request, name: bytes) -> bytes | None:
    """All values of a request header in one, as RFC 9110 section 5.3 joins them."""
    values = request.requestHeaders.getRawHeaders(name)
    return None if values is None else b", ".join(values)
