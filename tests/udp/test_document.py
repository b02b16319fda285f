"""The JSON of a run, against its schema and against the run."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from netlabsvc.udp.document import document
from netlabsvc.udp.explain import TEXT
from netlabsvc.udp.stats import analyse
from netlabsvc.udp.trace import Stamps, Trace
from support.traces import once, sent, through

SCHEMA = json.loads((files("netlabsvc") / "data" / "ping.schema.json").read_text("utf-8"))
CONFIG: dict[str, object] = {"target": "127.0.0.1:8620", "count": 20, "seed": 7}


def made(trace: Trace) -> dict[str, Any]:
    """The document as a reader gets it: written, read, and valid."""
    read: dict[str, Any] = json.loads(json.dumps(document(trace, analyse(trace), CONFIG)))
    jsonschema.Draft202012Validator(SCHEMA).validate(read)
    return read


def eventful() -> Trace:
    """Probe 3 is lost up, 7 down, 6 answered twice, 9 late, 11 overtaken."""
    trace = sent(20, timeout_ms=100)
    up = {3: (), 9: (300,), 11: (15,)}
    through(trace, lambda n: up.get(n, (1,)), lambda n: {5: (), 4: (1, 2)}.get(n, (1,)))
    trace.stamps = Stamps.KERNEL
    return trace


def test_the_schema_is_one() -> None:
    """It is valid itself, and lets no unknown member pass."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    whole = made(eventful())
    whole["summary"]["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.Draft202012Validator(SCHEMA).validate(whole)


def test_the_fate_of_each_probe() -> None:
    """One entry for each, by number, with what became of it."""
    probes = made(eventful())["probes"]
    assert [p["seq"] for p in probes] == list(range(1, 21))
    fates = {p["seq"]: p["fate"] for p in probes if p["fate"] != "ok"}
    assert fates == {3: "lost", 7: "lost", 9: "late"}
    assert [probes[n - 1]["lost_direction"] for n in (2, 3, 7)] == [None, "up", "down"]
    assert [p["seq"] for p in probes if p["duplicates"]] == [6]
    assert [p["seq"] for p in probes if p["reordered"]] == [9, 11]
    assert (probes[0]["sent_ns"], probes[1]["sent_ns"]) == (0, 10_000_000)
    assert (probes[2]["rtt_ns"], probes[8]["rtt_ns"]) == (None, 301_000_000)


def test_the_summary() -> None:
    """The counts agree with the list of probes; shares are in percent."""
    whole = made(eventful())
    summary = whole["summary"]
    counts = {name: summary[name] for name in ("sent", "received", "lost", "late", "open")}
    assert counts == {"sent": 20, "received": 17, "lost": 2, "late": 1, "open": 0}
    assert (summary["duplicates"], summary["reordered"], summary["loss_percent"]) == (1, 2, 10.0)
    assert [round(edge, 1) for edge in summary["loss_interval_percent"]] == [2.8, 30.1]
    assert summary["rtt_ns"]["min"] == 2_000_000
    assert (summary["directions"]["lost_up"], summary["directions"]["lost_down"]) == (1, 1)
    assert whole["config"] == CONFIG


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_run_without_replies(count: int) -> None:
    """It is a valid document whose unknown figures are null."""
    summary = made(sent(count))["summary"]
    assert (summary["rtt_ns"], summary["one_way"], summary["directions"]) == (None, None, None)
    assert summary["loss_percent"] == (100.0 if count else None)


def test_a_run_of_late_replies_only() -> None:
    """All too late: no loss, no round trip in time, and the late ones told apart."""
    trace = sent(3, timeout_ms=10)
    through(trace, once(20), once())
    whole = made(trace)
    assert [p["fate"] for p in whole["probes"]] == ["late"] * 3
    summary = whole["summary"]
    assert (summary["late"], summary["lost"], summary["loss_percent"]) == (3, 0, 0.0)
    assert (summary["rtt_ns"], summary["ipdv_ns"], summary["rtp_jitter_ns"]) == (None, None, None)
    assert summary["late_rtt_ns"]["min"] == 21_000_000
    assert summary["one_way"] is None


def test_a_run_of_copies_only() -> None:
    """Every reply three times: as many copies, and not one probe more or less."""
    trace = sent(4)
    through(trace, once(), lambda _: (1, 2, 3))
    summary = made(trace)["summary"]
    assert (summary["received"], summary["duplicates"], summary["lost"]) == (4, 8, 0)
    assert summary["directions"]["down"]["duplicates"] == 8
    assert summary["rtt_ns"]["count"] == 4


def test_a_run_that_was_cut_short() -> None:
    """A probe that still had time is open."""
    trace = sent(3)
    through(trace, lambda n: (1,) if n == 1 else (), once())
    trace.ended_ns = trace.probes[2].sent_ns + 1
    assert [p["fate"] for p in made(trace)["probes"]] == ["ok", "open", "open"]


def test_every_figure_of_the_summary_is_explained() -> None:
    """The words of its members occur in the text of --explain."""
    said = TEXT.lower()
    words = {
        word
        for name in SCHEMA["$defs"]["times"]["properties"] | made(eventful())["summary"]
        for word in name.replace("_ns", "").replace("_percent", "").split("_")
    }
    ours = {"says", "why", "no", "impossible", "count", "matching", "notes", "size", "strays"}
    assert [word for word in sorted(words - ours) if word not in said] == []
