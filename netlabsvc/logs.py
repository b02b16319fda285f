"""The daemon's log: text for people, JSON lines for machines.

Whatever a peer sent is shown escaped here, at the one place where all of it passes: no peer can
forge a line or colour a terminal. Rooms put values into event fields and need not care.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from netlabsvc.escape import escape
from netlabsvc.times import rfc3339

NOT_OURS = "the log goes to twistd's --syslog, which takes all of it, in its own form"
_QUIET = (LogLevel.debug, LogLevel.info)


class Batch:
    """Many lines of the log as one event.

    A room that has much to log collects it for one turn of the reactor and logs
    ``log.info("{batch}", batch=Batch(...))``: an event for each line would cost more than the line.
    """

    def __init__(
        self,
        items: Iterable[tuple[str, Mapping[str, Any]]],
        *,
        bare: bool = False,
        json: bool = False,
    ) -> None:
        """:param items: the text of each line and its fields.
        :param bare: the lines have a form of their own, of which other programs know: a log of text
            adds nothing to them. They must hold nothing unsafe.
        :param json: each line is an object already, which a log of JSON, too, takes as it is.
        """
        self.items = list(items)
        self.bare = bare
        self.json = json

    def __str__(self) -> str:
        return "\n".join(text for text, _ in self.items)


@implementer(ILogObserver)
class Observer:
    """Writes each event as one line, or as one line per item of its batch, in one write."""

    def __init__(self, write: Callable[[bytes], object], format: str, level: str = "info") -> None:
        """:param format: ``text`` or ``json``; :param level: as the attribute."""
        self._write = write
        self._descriptors = OnceAMinute()
        self.set_format(format)
        self.level = level

    def set_format(self, format: str) -> None:
        """:param format: ``text`` or ``json``."""
        self._render = {"text": text_lines, "json": json_lines}[format]

    @property
    def level(self) -> str:
        """The least that is shown: debug, info, warn or error."""
        return str(self._least.name)

    @level.setter
    def level(self, word: str) -> None:
        self._least = LogLevel.levelWithName(word)
        self._shows_batches = self._least <= LogLevel.info

    def __call__(self, event: LogEvent) -> None:
        shown: LogEvent | None = event
        if "batch" not in event:  # batches are ours, and many: they need no closer look
            shown = self._sift(event)
        elif not self._shows_batches:
            return
        if shown is not None:
            text = "\n".join(self._render(shown))
            self._write(f"{text}\n".encode("utf-8", "backslashreplace"))

    def _sift(self, event: LogEvent) -> LogEvent | None:
        """The event that is to be shown for this one, or None."""
        if not is_out_of_descriptors(event):
            level = event.get("log_level", LogLevel.info)
            noise = self._least > LogLevel.debug and is_noise(event)
            return None if noise or level < self._least else event
        if self._least > LogLevel.warn or not self._descriptors.allows(event["log_time"]):
            return None
        return {
            **event,
            "log_format": "out of file descriptors: new connections are refused until some close; "
            "raise the limit (ulimit -n, LimitNOFILE=)",
            "log_level": LogLevel.warn,
            "log_failure": None,
        }


class OnceAMinute:
    """Lets the first of many equal events through, and then one a minute."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def allows(self, now_s: float) -> bool:
        if now_s < self._next_s:
            return False
        self._next_s = now_s + 60
        return True


def is_noise(event: LogEvent) -> bool:
    """What Twisted says of its own working, below a warning."""
    return event.get("log_level") in _QUIET and not is_ours(event)


def is_ours(event: LogEvent) -> bool:
    """Whether it comes from this house, not from Twisted."""
    namespace: str = event.get("log_namespace", "")
    return namespace.startswith("netlabsvc")


def is_out_of_descriptors(event: LogEvent) -> bool:
    """One of the events with which twisted.internet.tcp reports a failing accept."""
    text = event.get("log_format") or ""
    return event.get("log_namespace", "").startswith("twisted.internet.tcp") and (
        "EMFILE" in text or "Could not accept new connection" in text
    )


def text_lines(event: LogEvent) -> Iterator[str]:
    """``2026-11-20 14:03:07.123 chat: ada (127.0.0.1:41766) connected``, local time."""
    time_s: float = event["log_time"]
    level = event.get("log_level", LogLevel.info)
    word = "" if level in _QUIET else f"{level.name.upper()}: "
    head = f"{_second(int(time_s))}.{int(time_s % 1 * 1000):03} {room_of(event)}: {word}"
    if isinstance(batch := event.get("batch"), Batch):
        for text, _ in batch.items:
            yield escape(text) if batch.bare else head + escape(text)
        return
    details: list[str] = []
    text = formatEvent(event)
    if not is_ours(event):
        # Twisted's own reports of an error come with a traceback in their text.
        text, *details = text.split("\n")
    yield head + escape(text)
    if failure := event.get("log_failure"):
        details = failure.getTraceback().splitlines()
    # Indented, so that nothing inside a traceback can pass for a line of the log.
    yield from (f"    | {escape(line)}" for line in details)


def json_lines(event: LogEvent) -> Iterator[str]:
    """Objects with ts (RFC 3339, UTC), level, logger, msg and the event's own fields."""
    batch = event.get("batch")
    if isinstance(batch, Batch) and batch.json:
        yield from (text for text, _ in batch.items)
        return
    head = {
        "ts": rfc3339(event["log_time"]),
        "level": event.get("log_level", LogLevel.info).name,
        "logger": room_of(event),
    }
    for text, fields in _items(event):
        own = {k: v for k, v in fields.items() if not k.startswith("log_") and k != "batch"}
        failure = event.get("log_failure")
        trace = {"traceback": failure.getTraceback()} if failure else {}
        yield json.dumps({**own, **head, "msg": text, **trace}, default=str)


def _items(event: LogEvent) -> Iterable[tuple[str, Mapping[str, Any]]]:
    batch = event.get("batch")
    return batch.items if isinstance(batch, Batch) else [(formatEvent(event), event)]


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    """A second of local time for people: to write it costs more than all the rest of a line."""
    return datetime.fromtimestamp(second).strftime("%Y-%m-%d %H:%M:%S")


def room_of(event: LogEvent) -> str:
    """The room whose event it is; ``netlab`` for the roof, ``twisted`` for Twisted."""
    return _room_in(event.get("log_namespace", ""))


@lru_cache(maxsize=256)
def _room_in(namespace: str) -> str:
    """``chat`` for netlabsvc.chat.session, ``netlab`` for the roof, ``twisted`` for Twisted."""
    parts = namespace.split(".")
    if parts[0] != "netlabsvc":
        return parts[0] or "log"
    return parts[1] if len(parts) > 2 else "netlab"
