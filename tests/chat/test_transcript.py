"""netlabsvc.chat.transcript: what was said outlives the daemon."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import pytest

from netlabsvc.chat.message import News, Said
from netlabsvc.chat.transcript import FILE, KEPT, Transcript

NOW = 1_700_000_000.25


def said(text: str, to: str = "") -> Said:
    return Said(NOW, "小明", "10.0.0.5:1", (text,), to=to)


def test_every_message_is_one_json_line(tmp_path: Path) -> None:
    """With an exact time, who, from where, and what; flushed at once."""
    transcript = Transcript(tmp_path, 1 << 20)
    transcript.write(said("你好").records(), NOW)
    transcript.write(News("ada left", "left", "ada", "10.0.0.6:2").records(), NOW)
    first, second = (json.loads(x) for x in (tmp_path / FILE).read_text("utf-8").splitlines())
    assert (first["event"], first["name"], first["text"]) == ("said", "小明", "你好")
    assert first["peer"] == "10.0.0.5:1"
    assert first["ts"][19:23] == ".250"
    assert second["event"] == "left"


def test_the_history_comes_back_after_a_restart(tmp_path: Path) -> None:
    """The last lines to all, also from the file before; whispers and torn lines do not."""
    transcript = Transcript(tmp_path, 4096)
    for number in range(30):
        transcript.write(said(f"m{number} {'x' * 200}").records(), NOW)
    transcript.write(said("secret", to="ada").records(), NOW)
    transcript.close()
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"ts": "2026-11-20T14:03:07.250+01:00", "event": "sai')
    history = Transcript(tmp_path, 4096).history(20)
    assert [x.texts[0].partition(" ")[0] for x in history] == [f"m{n}" for n in range(10, 30)]
    assert history[0].time_s == NOW


def test_old_files_are_kept_up_to_a_number(tmp_path: Path) -> None:
    """Rotated by size: .1 is the newest of them."""
    transcript = Transcript(tmp_path, 100)
    for number in range(20):
        transcript.write(said(f"m{number}" + "x" * 100).records(), NOW)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [FILE, *(f"{FILE}.{n}" for n in range(1, KEPT + 1))]
    assert "m19" in (tmp_path / f"{FILE}.1").read_text()


def test_a_new_file_that_cannot_be_opened_costs_no_line(tmp_path: Path) -> None:
    """Without a free descriptor the full file goes on, and no old one is shifted for it."""
    transcript = Transcript(tmp_path, 400)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        for number in range(3):
            with pytest.raises(OSError, match="Too many open files"):
                transcript.write(said(f"m{number}" + "x" * 400).records(), NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    transcript.write(said("m3").records(), NOW)
    transcript.write(said("m4").records(), NOW)
    transcript.close()
    full, new = (tmp_path / f"{FILE}.1").read_text(), (tmp_path / FILE).read_text()
    assert [f"m{n}" in full for n in range(5)] == [True, True, True, True, False]
    assert "m4" in new
    assert len(list(tmp_path.iterdir())) == 2


def test_what_comes_after_a_torn_line_is_not_lost_with_it(tmp_path: Path) -> None:
    """A crash in the middle of a line costs that line alone."""
    (tmp_path / FILE).write_bytes(b'{"ts": "2026-11-20T14:03:07.250+01:00", "event": "sai')
    transcript = Transcript(tmp_path, 4096)
    transcript.write(said("after").records(), NOW)
    assert [x.texts for x in transcript.history(20)] == [("after",)]


def test_a_file_of_two_daemons_is_refused(tmp_path: Path) -> None:
    """The second is told so; each would else move the other's file away."""
    first = Transcript(tmp_path, 4096)
    with pytest.raises(OSError, match="another daemon writes it"):
        Transcript(tmp_path, 4096)
    first.close()
    Transcript(tmp_path, 4096).close()


def test_a_history_that_somebody_wrote_forges_nothing(tmp_path: Path) -> None:
    """Wrong types, depth and line ends are passed over or escaped."""
    good = {"ts": "2026-11-20T14:03:07.250+01:00", "event": "said", "name": "a", "peer": "b:1"}
    lines = [
        json.dumps({**good, "text": 5}),
        json.dumps({**good, "name": ["a"], "text": "x"}),
        json.dumps([good]),
        "[" * 100_000,
        json.dumps({**good, "text": "a\n*** root left"}),
    ]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n")
    (only,) = Transcript(tmp_path, 1 << 20).history(20)
    assert only.texts == (r"a\n*** root left",)


def test_the_history_is_found_behind_much_that_is_none(tmp_path: Path) -> None:
    """However many came and went since somebody said something."""
    transcript = Transcript(tmp_path, 1 << 30)
    transcript.write(said("long ago").records(), NOW)
    joined = News("x joined " + "x" * 500, "joined", "x" * 500, "10.0.0.6:2")
    for _ in range(20):
        transcript.write([*joined.records()] * 200, NOW)
    assert [x.texts for x in transcript.history(20)] == [("long ago",)]
