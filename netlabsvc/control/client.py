"""The other end of the control API: what `netlab ctl` and `netlab operator` call.

Plain sockets, no reactor: a command that asks one thing is done before Twisted would be loaded.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import quote, urlencode

from netlabsvc.control.events import parse


class Unreachable(Exception):
    """No daemon answers; the text says where it was looked for, and what to do."""


class Refused(Exception):
    """The daemon says no.

    :ivar document: the problem document.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or "refused"))
        self.document = document


class _Connection(HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Control:
    """A daemon's control API.

    :ivar path: of the socket that answered.
    """

    def __init__(self, paths: list[str], timeout_s: float = 10.0) -> None:
        """:param paths: where to look; the first socket that answers is used.

        :raises Unreachable: when none does.
        """
        self._timeout_s = timeout_s
        self.path = _first_that_answers(paths)

    def ask(self, method: str, path: str, arguments: Mapping[str, object] | None = None) -> Any:
        """The answer to one request.

        :param arguments: of the query or the body, as the method has it; None is left out.
        :raises Refused: when the daemon says no; :raises Unreachable: when it gives no answer.
        """
        given = {name: v for name, v in (arguments or {}).items() if v is not None}
        connection = _Connection(self.path, self._timeout_s)
        body, headers = None, {}
        if method in ("POST", "PUT"):
            body, headers = json.dumps(given).encode(), {"Content-Type": "application/json"}
        else:
            path = _with(path, given)
        try:
            response = self._response(connection, method, path, body, headers)
            return json.loads(response.read())
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"the daemon on {self.path} gave no answer: {error}") from None
        finally:
            connection.close()

    def events(self, last_id: str = "", **query: object) -> Events:
        """What happens, from now on, or from behind the event of this id.

        :raises Refused: when the daemon says no; :raises Unreachable: when it has gone.
        """
        headers = {"Last-Event-ID": last_id} if last_id else {}
        connection = _Connection(self.path, None)
        response = self._response(connection, "GET", _with("/v1/events", query), None, headers)
        assert connection.sock is not None
        return Events(response, connection.sock)

    def _response(
        self,
        connection: _Connection,
        method: str,
        path: str,
        data: bytes | None,
        headers: dict[str, str],
    ) -> HTTPResponse:
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise Refused(json.loads(response.read()))
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"the daemon on {self.path} gave no answer: {error}") from None
        return response


class Events:
    """A stream of events: iterate over it once.

    :ivar last_id: of the last event that was given.
    """

    def __init__(self, response: HTTPResponse, sock: socket.socket) -> None:
        self.last_id = ""
        self._response = response
        self._sock = sock

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Kind and data of each event, until the stream ends or `close` is called."""
        for id, kind, data in parse(self._lines()):
            self.last_id = id
            yield kind, json.loads(data)

    def close(self) -> None:
        """End it, from any thread."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def _lines(self) -> Iterator[str]:
        with suppress(OSError, HTTPException, ValueError):
            while line := self._response.readline():
                yield line.decode("utf-8", "replace").rstrip("\n")


def path_of(*parts: object) -> str:
    """``/v1/chat/bans/::1`` from its parts, each encoded."""
    return "/".join(["", "v1", *(quote(str(part), safe="") for part in parts)])


def _with(path: str, query: Mapping[str, object]) -> str:
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def _first_that_answers(paths: list[str]) -> str:
    """:raises Unreachable: when none does."""
    reasons = []
    for path in paths:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)
        except OSError as error:
            reasons.append(f"{path}: {error.strerror or error}")
        else:
            return path
    raise Unreachable(
        "no daemon answers on its control socket (" + "; ".join(reasons) + "); "
        "is it running? --control PATH or $NETLAB_CONTROL says where its socket is"
    )
