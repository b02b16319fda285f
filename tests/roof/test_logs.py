"""netlabsvc.logs: one event, one line, whatever a peer put into it."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel
from zope.interface import implementer

from netlabsvc.logs import Batch, Observer


def logged(format: str, *events: LogEvent, level: str = "info") -> list[str]:
    """The lines that an observer writes for some events."""
    written: list[bytes] = []
    observer = Observer(written.append, format, level)
    for event in events:
        observer(event)
    return b"".join(written).decode().splitlines()


def event(text: str, /, **fields: object) -> LogEvent:
    """An event of the chat room at a fixed time."""
    (caught,) = capture(lambda log: log.info(text, **fields), "netlabsvc.chat.session")
    return {**caught, "log_time": 1_700_000_000.25}


def capture(say: Callable[[Logger], None], namespace: str) -> list[LogEvent]:
    """The events that something logs."""
    caught: list[LogEvent] = []

    @implementer(ILogObserver)
    class Keeper:
        def __call__(self, event: LogEvent) -> None:
            caught.append(event)

    say(Logger(namespace, observer=Keeper()))
    return caught


@given(st.text())
def test_what_a_peer_sent_stays_on_its_line(sent: str) -> None:
    """No text of a peer ends a line, moves a cursor or turns the text round."""
    (line,) = logged("text", event("{who} said {text}", who="ada", text=sent))
    assert " chat: ada said " in line
    assert not any(ord(c) < 0x20 and c != "\t" for c in line)
    assert not set(line) & set("\x7f\x85\x9b\u2028\u202e\u2066")


def test_text_shows_chinese_as_it_is_and_controls_escaped() -> None:
    """People can read it; terminals are not driven by it."""
    (line,) = logged("text", event("{t}", t="你好\x1b[31m\r\n\x9b\u202e"))
    assert line.endswith(r"chat: 你好\x1b[31m\r\n\x9b\u202e")


def test_json_has_time_level_logger_message_and_fields() -> None:
    """Each line is one object; a field of a peer cannot replace the log's own."""
    (line,) = logged("json", event("{name} joined", name="a\nb", ts="forged"))
    assert json.loads(line) == {
        "ts": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "logger": "chat",
        "msg": "a\nb joined",
        "name": "a\nb",
    }


def test_a_batch_is_a_line_each_in_one_write() -> None:
    """What was said in one turn of the reactor costs one write."""
    written: list[bytes] = []
    batch = Batch([("one", {"n": 1}), ("t\nwo", {"n": 2})])
    Observer(written.append, "text")(event("{batch}", batch=batch))
    assert len(written) == 1
    assert [line.partition("chat: ")[2] for line in written[0].decode().splitlines()] == [
        "one",
        r"t\nwo",
    ]
    lines = logged("json", event("{batch}", batch=batch))
    assert [(json.loads(x)["msg"], json.loads(x)["n"]) for x in lines] == [("one", 1), ("t\nwo", 2)]


def test_a_traceback_cannot_forge_a_line() -> None:
    """The lines of a traceback are indented below the line they belong to."""
    try:
        raise RuntimeError("x\n2026-01-01 00:00:00.000 chat: forged\x1b[0m")
    except RuntimeError:
        caught = capture(lambda log: log.failure("it broke"), "netlabsvc.service")
    first, *rest = logged("text", caught[0])
    assert "CRITICAL: it broke" in first
    assert all(line.startswith("    | ") for line in rest)
    assert "\x1b" not in "".join(rest)


def test_running_out_of_descriptors_is_told_once_a_minute() -> None:
    """However many connections Twisted had to refuse."""
    emfile = {
        "log_namespace": "twisted.internet.tcp.Port",
        "log_format": "EMFILE encountered; releasing reserved file descriptor.",
        "log_level": LogLevel.info,
    }
    events = [{**emfile, "log_time": float(t)} for t in (100, 101, 159, 161)]
    lines = logged("text", *events)
    assert len(lines) == 2
    assert "WARN: out of file descriptors" in lines[0]


def test_twisted_itself_is_heard_from_warnings_on() -> None:
    """What Twisted says about its own working is no news for people."""
    said = {"log_namespace": "twisted.web.server.Site", "log_time": 0.0, "log_format": "hm"}
    assert logged("text", {**said, "log_level": LogLevel.info}) == []
    (line,) = logged("text", {**said, "log_level": LogLevel.error})
    assert "twisted: ERROR: hm" in line


def test_the_level_says_what_is_shown() -> None:
    """What is said in the chat is info; debug adds what Twisted says of its own working."""
    batch = event("{batch}", batch=Batch([("said", {})]))
    mine = [{**event(name), "log_level": level} for name, level in LEVELS.items()]
    twisted = {"log_namespace": "twisted.web", "log_time": 0.0, "log_format": "twisted"}
    events = (batch, *mine, {**twisted, "log_level": LogLevel.info})
    shown = {
        level: [line.split()[-1] for line in logged("text", *events, level=level)]
        for level in ("debug", "info", "warn", "error")
    }
    assert shown == {
        "debug": ["said", "info", "warn", "error", "critical", "twisted"],
        "info": ["said", "info", "warn", "error", "critical"],
        "warn": ["warn", "error", "critical"],
        "error": ["error", "critical"],
    }


LEVELS = {name: LogLevel.levelWithName(name) for name in ("info", "warn", "error", "critical")}


def test_level_and_format_change_while_it_runs() -> None:
    """From the next event on."""
    written: list[bytes] = []
    observer = Observer(written.append, "text")
    observer.level = "warn"
    observer(event("hidden"))
    observer.level = "info"
    observer.set_format("json")
    observer(event("shown"))
    assert [json.loads(line)["msg"] for line in written] == ["shown"]
    assert observer.level == "info"
