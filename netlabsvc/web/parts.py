"""Several parts of a file on their way into one response: multipart/byteranges.

Which parts, and what stands between them, `ranges.multipart` says.
"""

from __future__ import annotations

from twisted.web.http import Request

from netlabsvc.web.ranges import Multipart
from netlabsvc.web.transfer import Reading


class Parts(Reading):
    """Sends one part after the other, each behind its head."""

    def __init__(self, request: Request, fd: int, body: Multipart) -> None:
        """:param fd: an open file, which the transfer closes when the request is over."""
        super().__init__(request, fd, 0, 0)
        self._rest = list(zip(body.heads, body.parts, strict=True))
        self._tail = body.tail

    def _end(self) -> None:
        if not self._rest:
            self._request.write(self._tail)
            super()._end()
            return
        head, part = self._rest.pop(0)
        self._at, self._left = part.first, part.length
        self._request.write(head)
        if not self._paused:  # else the transport goes on with it when there is room
            self.resumeProducing()
