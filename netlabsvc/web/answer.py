"""How a whole answer is put into a twisted.web request."""

from __future__ import annotations

from twisted.web.http import Request
from twisted.web.server import NOT_DONE_YET

from netlabsvc.web import pages


def answer(request: Request, body: bytes) -> int:
    """Finish a request with a body, which HEAD gets only the length of.

    :returns: what a resource's render returns for a request that is taken care of.
    """
    request.setHeader(b"Content-Length", b"%d" % len(body))
    if request.method != b"HEAD":
        request.write(body)
    request.finish()
    return NOT_DONE_YET


def answer_page(request: Request, page: bytes) -> int:
    """Finish a request with a page that was made here."""
    request.setHeader(b"Content-Type", pages.CONTENT_TYPE)
    request.setHeader(b"Content-Security-Policy", pages.CONTENT_SECURITY_POLICY)
    return answer(request, page)


def answer_error(request: Request, status: int, why: str) -> int:
    """Finish a request with an error and its page."""
    request.setResponseCode(status, pages.phrase(status).encode("ascii"))
    return answer_page(request, pages.error(status, why))


def answer_not_allowed(request: Request, allowed: bytes) -> int:
    """Finish a request whose method is not one of those allowed: ``GET, HEAD, OPTIONS``."""
    request.setHeader(b"Allow", allowed)
    return answer_error(request, 405, f"Methods here: {allowed.decode('ascii')}.")


def answer_empty(request: Request, status: int) -> int:
    """Finish a request with a status that has no body: 204 or 304."""
    request.setResponseCode(status, pages.phrase(status).encode("ascii"))
    request.finish()
    return NOT_DONE_YET
