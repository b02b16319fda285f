"""netlabsvc.notify: what a service manager hears, and when it would lose patience."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.task import Clock, deferLater

from netlabsvc.notify import Notifier, watchdog_s
from support.manager import NotifySocket

WATCHDOG_S = 0.4


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[NotifySocket]:
    with NotifySocket(str(tmp_path / "notify")) as listening:
        yield listening


def environ(manager: NotifySocket) -> dict[str, str]:
    """What systemd would put into the environment."""
    return {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}


def test_a_life_is_told_in_order(manager: NotifySocket) -> None:
    """Ready, reloading, ready again, stopping: each with what sd_notify(3) asks for."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.name}, Clock())
    before = time.monotonic_ns() // 1000
    notifier.ready("chat on\n12000")
    notifier.reloading()
    notifier.ready("two")
    notifier.stopping("bye")
    manager.wait_for("STOPPING")
    ready, reloading, again, stopping = (text.split("\n") for _, text in manager.heard)
    assert ready == ["READY=1", "STATUS=chat on 12000"]
    assert reloading[0] == "RELOADING=1"
    assert before <= int(reloading[1].removeprefix("MONOTONIC_USEC="))
    assert again == ["READY=1", "STATUS=two"]
    assert stopping == ["STOPPING=1", "STATUS=bye"]


def test_pings_come_at_half_the_watchdogs_time(manager: NotifySocket) -> None:
    """From the first READY on, once per turn of the clock, and not faster after a second READY."""
    clock = Clock()
    notifier = Notifier(environ(manager), clock)
    clock.advance(10)
    for status in ("first", "second"):
        notifier.ready(status)
    clock.pump([WATCHDOG_S / 2] * 5)
    notifier.close()
    clock.advance(10)
    notifier.stopping("")
    manager.wait_for("STOPPING")
    assert len(manager.pings()) == 6


@pytest_twisted.ensureDeferred
async def test_a_blocked_reactor_starves_the_watchdog(manager: NotifySocket) -> None:
    """While a callback blocks no ping comes for longer than the watchdog waits; then they do."""
    from twisted.internet import reactor

    notifier = Notifier(environ(manager), reactor)
    notifier.ready("")
    await deferLater(reactor, WATCHDOG_S, lambda: None)
    calm = len(manager.pings())
    await deferLater(reactor, 0, time.sleep, 2 * WATCHDOG_S)
    await deferLater(reactor, WATCHDOG_S, lambda: None)
    notifier.close()
    pings = manager.pings()
    gaps = [after - before for before, after in pairwise(pings)]
    assert max(gaps[: calm - 1]) < WATCHDOG_S < max(gaps)
    assert gaps[-1] < WATCHDOG_S


def test_a_manager_that_is_gone_hurts_nobody(tmp_path: Path) -> None:
    """No socket there, an impossible name, another kind of socket: the pings go on."""
    for name in (str(tmp_path / "gone"), "/" + "x" * 200, "/a\0b", "relative", "vsock:2:1", ""):
        clock = Clock()
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}, clock)
        notifier.ready("")
        clock.advance(0.5)
        assert clock.getDelayedCalls(), name
        notifier.stopping("")
        notifier.close()


def test_a_manager_that_does_not_read_holds_up_no_ping(tmp_path: Path) -> None:
    """A ping that finds the manager's queue full is left out, at once."""
    name = str(tmp_path / "deaf")
    clock = Clock()
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "2000"}, clock)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.bind(name)
        notifier.ready("")
        began = time.monotonic()
        clock.pump([0.001] * 20)
        assert time.monotonic() - began < 5
    notifier.close()


def test_pings_outlive_a_manager_that_comes_back(tmp_path: Path) -> None:
    """One that could not be told is told again as soon as it listens."""
    clock = Clock()
    name = str(tmp_path / "later")
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1000000"}, clock)
    notifier.ready("")
    clock.advance(0.5)
    with NotifySocket(name) as manager:
        clock.advance(0.5)
        manager.wait_for("WATCHDOG=1")
    notifier.close()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "77"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
        ({}, None),
    ],
)
def test_whose_watchdog_it_is(variables: dict[str, str], expected: float | None) -> None:
    """Variables of another process, or that are no number, ask for nothing."""
    assert watchdog_s(variables, 77) == expected
