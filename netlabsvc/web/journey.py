"""From the URL that was asked for to the response that answers it: redirects, within one time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netlabsvc.web import redirect
from netlabsvc.web.asking import Request
from netlabsvc.web.client import Event, Take, fetch
from netlabsvc.web.response import Head, Remark
from netlabsvc.web.trust import Trust
from netlabsvc.web.url import Url


@dataclass(frozen=True)
class Redirect:
    """A response that sends elsewhere; its body is not read."""

    head: Head
    to: Url


class _Moved(Exception):
    """Ends a fetch whose answer is elsewhere."""

    def __init__(self, to: Url) -> None:
        super().__init__()
        self.to = to


async def travel(
    reactor: Any,
    request: Request,
    take: Any,
    *,
    trusted: Trust,
    max_time_s: float | None = None,
    redirects: int | None = None,
) -> None:
    """Fetch, and go where the responses send.

    :param take: gets the events of `client.fetch`, and a `Redirect` in the place of a head.
    :param max_time_s: for all of it.
    :param redirects: how many to follow; None follows none, and takes one for the answer.
    :raises Failed: nothing came, or not all of it, or one redirect too many.
    """
    end_s = None if max_time_s is None else reactor.seconds() + max_time_s
    visited = [request.url]
    while True:
        follow = take if redirects is None else _watch(request.url, take)
        try:
            await fetch(reactor, request, follow, trusted=trusted, end_s=end_s)
        except _Moved as moved:
            to = moved.to
        else:
            return
        visited.append(to)
        if redirects is not None and len(visited) > redirects + 1:
            raise redirect.too_many(visited, redirects)
        for text in _losses(request, to):
            take(Remark(text))
        request, _ = request.at(to)


def _watch(url: Url, take: Any) -> Take:
    """A taker that leaves at a redirect."""

    def watch(event: Event) -> None:
        if isinstance(event, Head) and (to := redirect.target(url, event)):
            take(Redirect(event, to))
            raise _Moved(to)
        take(event)

    return watch


def _losses(request: Request, to: Url) -> list[str]:
    """What is lost on the way there."""
    here, lost = request.url.authority, []
    if (request.url.scheme, to.scheme) == ("https", "http"):
        lost.append(f"{here} redirects from https to http: what follows can be read and changed")
    if names := request.at(to)[1]:
        lost.append(f"{here} redirects to {to.authority}, which is not told {', '.join(names)}")
    return lost
