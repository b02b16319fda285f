"""Why a URL could not be fetched: a sentence, and the exit status that curl has for it."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """Exit statuses, by the names of libcurl-errors(3)."""

    UNSUPPORTED_PROTOCOL = 1
    URL_MALFORMAT = 3
    COULDNT_RESOLVE_HOST = 6
    COULDNT_CONNECT = 7
    WEIRD_SERVER_REPLY = 8
    PARTIAL_FILE = 18
    HTTP_RETURNED_ERROR = 22
    WRITE_ERROR = 23
    OPERATION_TIMEDOUT = 28
    RANGE_ERROR = 33
    SSL_CONNECT_ERROR = 35
    TOO_MANY_REDIRECTS = 47
    GOT_NOTHING = 52
    RECV_ERROR = 56
    PEER_FAILED_VERIFICATION = 60
    BAD_CONTENT_ENCODING = 61
    SSL_CACERT_BADFILE = 77


class Failed(Exception):
    """A fetch that did not succeed.

    :ivar status: what a command ends with.
    """

    def __init__(self, status: Status, why: str) -> None:
        super().__init__(why)
        self.status = status
