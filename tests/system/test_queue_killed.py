"""The queue under fire: the daemon is killed with SIGKILL at random moments."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from netlabsvc.control.client import Control, Refused, Unreachable
from support.daemon import PATIENCE_S, Daemon
from system.counting import Counted, counting

#: How long the sink waits at most between dot and reply: about as long as a round lasts, so that
#: many kills fall in between.
SLOWEST_S = 0.06
ROUND_S = 0.25
PER_ROUND = 20


class Sender(threading.Thread):
    """Queues mails, one after the other, until nobody answers or there are as many as a round can
    deliver: most kills are to find something under way, and no backlog is to build up.

    :ivar acknowledged: the subjects of those that the daemon said it has.
    """

    def __init__(self, control: Path, name: str) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._control = Control([str(control)])
        self._name = name

    def run(self) -> None:
        for number in range(PER_ROUND):
            subject = f"{self._name}-{number}"
            message = f"From: ada@lab\r\nSubject: {subject}\r\n\r\nhello\r\n"
            mail = {"mail_from": "ada@lab", "rcpt_to": ["bob@lab"]}
            mail["message"] = b64encode(message.encode()).decode()
            try:
                self._control.ask("POST", "/v1/mail/queue", mail)
            except (Unreachable, Refused):
                return
            self.acknowledged.append(subject)


def configuration(directory: Path, port: int, more: str = "") -> str:
    """A file for a daemon whose smarthost is on a port of this machine."""
    file = directory / "netlab.toml"
    queue = f'smarthost = "127.0.0.1:{port}"\nretry_min_s = 0.1\nretry_max_s = 0.2\n{more}'
    file.write_text(f"[mail.queue]\n{queue}", "utf-8")
    return f"--config={file}"


def delivered(state_dir: Path) -> set[str]:
    """The Message-IDs of mails that are, on disk, delivered to everyone."""
    with closing(sqlite3.connect(state_dir / "queue.sqlite3")) as db:
        return {name for (name,) in db.execute("SELECT message_id FROM mail WHERE done_s NOT NULL")}


def wait_until_empty(daemon: Daemon) -> None:
    """As long as there is progress, nobody is impatient."""
    control, left, until_s = Control([str(daemon.control)]), 1 << 30, 0.0
    while waiting := len(control.ask("GET", "/v1/mail/queue", {"limit": 10_000})):
        if waiting < left:
            left, until_s = waiting, time.monotonic() + PATIENCE_S
        assert time.monotonic() < until_s, f"{waiting} mails wait in vain"
        time.sleep(0.05)


def settled(counted: Counted) -> dict[str, int]:
    """How many copies of each Message-ID have come."""
    with counted.lock:
        names = [name for copies in counted.copies.values() for name in copies]
        return {name: names.count(name) for name in set(names)}


@pytest.mark.parametrize(("rounds", "seed"), [(6, 1), pytest.param(200, 2, marks=pytest.mark.soak)])
def test_nothing_acknowledged_is_lost(tmp_path: Path, rounds: int, seed: int) -> None:
    """What was acknowledged arrives; twice only when its outcome was not on disk at the kill, and
    then under one Message-ID."""
    random, acknowledged = Random(seed), list[str]()
    with counting(Random(seed), SLOWEST_S) as counted:
        options = (configuration(tmp_path, counted.port), "--services=mail")
        final: dict[str, int] = {}
        for number in range(rounds):
            daemon = Daemon(tmp_path, *options)
            sender = Sender(daemon.control, f"round{number}")
            sender.start()
            time.sleep(random.uniform(0, ROUND_S))
            daemon.stop(signal.SIGKILL)
            sender.join()
            acknowledged += sender.acknowledged
            time.sleep(SLOWEST_S)
            copies = settled(counted)
            assert all(copies[name] == final[name] for name in final), "one more copy of the done"
            final |= {name: copies[name] for name in delivered(daemon.state_dir)}
        with Daemon(tmp_path, *options) as daemon:
            wait_until_empty(daemon)
    assert acknowledged
    assert set(acknowledged) <= set(counted.copies)
    assert all(len(set(names)) == 1 for names in counted.copies.values())
    doubled = [subject for subject, names in counted.copies.items() if len(names) > 1]
    print(f"{rounds} rounds, {len(acknowledged)} acknowledged, {len(doubled)} doubled")
    assert len(doubled) <= 4 * rounds  # the connections that a kill cuts
