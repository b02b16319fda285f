"""netlabsvc.health: all figures of a lab, and whether it is ready."""

from __future__ import annotations

import re
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred

from netlabsvc import config, service
from netlabsvc.lab import Lab

TABLE = Path(__file__).parents[2] / "docs" / "metrics.md"
PORTS = {f"{name}-port": "0" for name in ("chat", "udp", "stamp", "irtt", "http", "smtp")}


@asynccontextmanager
async def lab(tmp_path: Path, **flags: str) -> AsyncIterator[Lab]:
    """A whole lab on free ports, in this process."""
    options: dict[str, str] = {"state-dir": str(tmp_path), **PORTS, **flags}
    built = service.build(config.load(None, {}, options), reactor, {})
    try:
        yield built
    finally:
        await built.stopService()


@pytest_twisted.ensureDeferred
async def test_docs_metrics_md_lists_every_figure(tmp_path: Path) -> None:
    """Each with its kind, its labels and its help, in order; and none that does not exist."""
    async with lab(tmp_path) as running:
        # Two figures have no labels before something happened.
        site: Any = running.listeners["web.port"][0].port
        site.factory.tally.answered(b"GET", 200, 0)
        sandbox: Any = running.listeners["mail.sandbox.port"][0].port
        sandbox.factory.tally.count("MAIL", 500)
        rows = []
        for metric in running.health.metrics():
            labels = ", ".join(name for name, _ in metric.samples[0].labels)
            between = f" {labels} " if labels else " "
            rows.append(f"| `{metric.name}` | {metric.kind} |{between}| {metric.help} |")
    documented = re.findall(r"^\| `.*$", TABLE.read_text("utf-8"), re.MULTILINE)
    assert documented == rows


@pytest_twisted.ensureDeferred
async def test_no_figure_is_there_twice(tmp_path: Path) -> None:
    """Nor twice when a counter's name is taken without its _total, as OpenMetrics takes it."""
    async with lab(tmp_path) as running:
        names = [metric.name.removesuffix("_total") for metric in running.health.metrics()]
    assert len(names) == len(set(names))


@pytest_twisted.ensureDeferred
async def test_what_is_off_has_no_figures(tmp_path: Path) -> None:
    """A service that does not run, and one whose port is off."""
    async with lab(
        tmp_path,
        services="chat,udp",
        **{f"{name}-port": "off" for name in ("udp", "stamp", "irtt")},
    ) as running:
        names = {metric.name.split("_")[1] for metric in running.health.metrics()}
    assert names - {"cpu", "resident", "open", "max"} == {"start", "build", "reactor", "chat"}


@pytest_twisted.ensureDeferred
async def test_ready_is_who_listens_everywhere_and_does_not_stop(tmp_path: Path) -> None:
    """A listener that is closed is named by its key; the end is told before any of it."""
    async with lab(tmp_path) as running:
        assert running.health.unready() is None
        for key in ("udp.port", "mail.sandbox.port"):
            await maybeDeferred(running.listeners[key][0].port.stopListening)
        why = "not ready: udp.port, mail.sandbox.port does not listen any more"
        assert running.health.unready() == why
    assert running.health.unready() == "not ready: stopping"


@pytest_twisted.ensureDeferred
async def test_figures_are_there_when_descriptors_run_out(tmp_path: Path) -> None:
    """That is when they are wanted most: only what takes a descriptor to read is missing."""
    async with lab(tmp_path, services="chat") as running:
        before = {metric.name for metric in running.health.metrics()}
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            after = {metric.name for metric in running.health.metrics()}
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert before - after == {"process_resident_memory_bytes", "process_open_fds"}
