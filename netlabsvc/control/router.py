"""Which route a request is for. It knows paths and methods, not HTTP's bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from netlabsvc.routes import Problem, Route


@dataclass(frozen=True)
class Found:
    """A route, and the arguments that were in the path."""

    route: Route
    arguments: dict[str, str]


class Router:
    """All routes of one API."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)
        self._patterns = [(_pattern(route.path), route) for route in self.routes]

    def find(self, method: str, path: str) -> Found:
        """The route for a request; HEAD goes where GET goes.

        :param path: as it came, percent-encoded, without the query.
        :raises Problem: 404, or 405 with the methods that would be right.
        """
        asked = "GET" if method == "HEAD" else method
        allowed = []
        for pattern, route in self._patterns:
            if match := pattern.fullmatch(path):
                if route.method == asked:
                    return Found(route, {n: unquote(v) for n, v in match.groupdict().items()})
                allowed.append(route.method)
        if not allowed:
            raise Problem(404, f"there is no {path}; /v1/openapi.json lists what there is")
        if "GET" in allowed:
            allowed.append("HEAD")
        raise Problem(405, f"{path} takes {' or '.join(allowed)}, not {method}", allow=allowed)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", path)
    names = [f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts)]
    return re.compile("".join(names))
