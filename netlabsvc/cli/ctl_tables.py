"""How `netlab ctl` shows an answer to people: lines, safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from netlabsvc.control.tables import columns
from netlabsvc.escape import escape


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Columns as wide as their widest cell; a Chinese character takes two places."""
    yield from columns([head, *([escape(str(cell)) for cell in row] for row in rows)])


def services(status: dict[str, Any]) -> Iterator[str]:
    """`netlab ctl status`."""
    up = timedelta(seconds=int(status["uptime_s"]))
    yield f"netlab {status['version']}, process {status['pid']}, {status['state']}, up {up}"
    yield f"state in {escape(status['state_dir'])}"
    rows = [
        (
            one["service"],
            one["address"] if one["listening"] else "off",
            _protocol(one),
            one["key"],
        )
        for one in status["services"]
    ]
    yield from table(("service", "listens on", "", "key"), rows)


def _protocol(one: dict[str, Any]) -> str:
    protocol = "tls" if one.get("tls") else str(one.get("protocol", ""))
    return f"{protocol}, systemd" if one.get("inherited") else protocol


def impairments(them: list[dict[str, Any]]) -> Iterator[str]:
    """`netlab ctl impair`."""
    for one in them:
        changed = (
            "" if one["faults"] == one["configured"] else f"   (configured: {one['configured']})"
        )
        yield escape(f"{one['reflector']}: {one['faults']}{changed}")
        if one["fate"]:
            yield escape(f"{one['reflector']}: fate {one['fate']}")


def counted(them: list[dict[str, Any]]) -> Iterator[str]:
    """`netlab ctl counters`: a column for each reflector."""
    names = [name for name in (them[0] if them else {}) if name != "reflector"]
    head = ("", *(one["reflector"] for one in them))
    yield from table(head, [(name, *(one[name] for one in them)) for name in names])


def members(them: list[dict[str, Any]]) -> Iterator[str]:
    """`netlab ctl who`."""
    if not them:
        yield "nobody is here"
        return
    head = ("no", "name", "address", "idle", "encoding", "line end", "queued", "")
    rows = [
        (
            one["number"],
            one["name"],
            one["peer"],
            f"{one['idle_s']:.0f} s",
            one["encoding"],
            one["line_end"],
            one["queued_bytes"],
            "muted" if one["muted"] else "",
        )
        for one in them
    ]
    yield from table(head, rows)


def room(it: dict[str, Any]) -> Iterator[str]:
    """`netlab ctl mode` and `topic`."""
    yield f"mode {it['mode']}: {it['mode_means']}"
    yield f"topic: {escape(it['topic'])}" if it["topic"] else "no topic"
    waiting = f", {it['waiting_lines']} lines wait" if it["waiting_lines"] else ""
    yield f"{it['clients']} clients, {it['operators']} operators{waiting}"


def transcript(lines: list[dict[str, Any]]) -> Iterator[str]:
    """`netlab ctl transcript`."""
    if not lines:
        yield "nothing has been said yet"
    for one in lines:
        verb = ":" if one["event"] == "said" else ""
        yield escape(f"{clock(one['time'])} {one['name']} ({one['peer']}){verb} {one['text']}")


def mails(them: list[dict[str, Any]]) -> Iterator[str]:
    """`netlab ctl mails`."""
    if not them:
        yield "no mail yet"
        return
    rows = [
        (
            one["id"],
            clock(one["time"]),
            one["verdict"],
            one["size"],
            "" if one["mail_from"] is None else f"<{one['mail_from']}>",
            ", ".join(one["rcpt_to"]),
            one["subject"],
        )
        for one in them
    ]
    yield from table(("id", "time", "verdict", "bytes", "from", "to", "subject"), rows)


def personalities(it: dict[str, Any]) -> Iterator[str]:
    """`netlab ctl mail personality`."""
    chosen, configured = it["personality"], it["configured"]
    yield chosen if chosen == configured else f"{chosen}   (configured: {configured})"
    rows = [
        ("*" if one["name"] == chosen else "", one["name"], one["help"])
        for one in it["personalities"]
    ]
    yield from table(("", "personality", "what it does"), rows)


def changes(them: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    """`netlab ctl reload`."""
    for one in them["changed"]:
        yield escape(f"{one['key']} is now {one['new']} (it was {one['old']})")
    for one in them["needs_restart"]:
        yield escape(f"{one['key']} stays {one['old']} until a restart ({one['new']})")
    if not any(them.values()):
        yield "nothing has changed"


def event_line(_id: str, kind: str, data: dict[str, Any]) -> str:
    """`netlab ctl events`."""
    when = clock(data["time"]) + " " if "time" in data else ""
    return escape(f"{when}{kind}: {data.get('message', '')}")


def clock(time: str) -> str:
    """A time of the API (RFC 3339) as people here read it."""
    return f"{datetime.fromisoformat(time).astimezone():%Y-%m-%d %H:%M:%S}"
