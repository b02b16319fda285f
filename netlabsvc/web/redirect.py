"""Where a response sends the one who asked (RFC 9110 section 15.4)."""

from __future__ import annotations

from collections import Counter

from netlabsvc.web.failure import Failed, Status
from netlabsvc.web.response import Head
from netlabsvc.web.url import Malformed, UnknownScheme, Url


def target(url: Url, head: Head) -> Url | None:
    """Where to ask next; None when this is the answer.

    :raises Failed: a place that is no URL, or where this program does not go.
    """
    places = head.values(b"location")
    if not 300 <= head.status < 400 or head.status == 304 or not places:
        return None
    place = places[0].decode("utf-8", "surrogateescape")
    try:
        return url.join(place)
    except (Malformed, UnknownScheme) as error:
        raise Failed(error.status, f"{url.authority} redirects to no place: {error}") from None


def too_many(visited: list[Url], limit: int) -> Failed:
    """The error of a journey that does not end, which names a circle where there is one."""
    url, count = Counter(visited).most_common(1)[0]
    why = f"{url} came {count} times: a circle" if count > 1 else f"the last to {visited[-1]}"
    return Failed(Status.TOO_MANY_REDIRECTS, f"more than {limit} redirects; {why}")
