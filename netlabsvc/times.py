"""How a point in time is written for machines."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(time_s: float) -> str:
    """``2026-11-20T13:03:07.250Z``: RFC 3339, in UTC, to the millisecond.

    :param time_s: since the Unix epoch.
    """
    text = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
