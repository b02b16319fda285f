"""The reflectors together: what they share, and what each has for itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.task import Clock

from netlabsvc.udp.ntp import parse_error_estimate
from netlabsvc.udp.operating import Operating
from netlabsvc.udp.room import NAMES, Room, Wanted
from netlabsvc.udp.settings import Irtt, Settings, Stamp
from netlabsvc.udp.stamp import Stamp as StampTongue
from support.reflecting import replies


def room(udp: Settings | None = None, stamp: Stamp | None = None, path: Path = Path()) -> Room:
    """A room with all reflectors, on no sockets."""
    made = Room(Wanted(udp or Settings(), stamp or Stamp(), Irtt(), path), 1, Clock())
    for name in NAMES:
        made.make(name)
    return made


def test_the_loss_goes_over_the_other_faults() -> None:
    """--udp-loss replaces the loss of impair, and nothing else; a reflector's own go over both."""
    one = room(Settings(loss=0.3, impair="up loss=1% delay=5ms; down dup=1%"), Stamp(impair="off"))
    told = [str(reflector.faults) for reflector in one.reflectors.values()]
    both = "up loss=30% delay=5ms; down dup=1%"
    assert told == [both, "off", both]


def test_what_an_operator_set_stays_unless_the_file_changes_in_it() -> None:
    """A reload that changes another key keeps it; one that changes the faults does not."""
    one = room()
    for route in Operating(one).routes():
        if route.method == "PUT":
            route.call({"faults": "up loss=50%", "reflector": "stamp"})
    one.prepare("udp", Settings(rate=5.0))()
    assert str(one.reflectors["stamp"].faults) == "up loss=50%"
    one.prepare("udp", Settings(impair="up loss=1%"))()
    told = [str(reflector.faults) for reflector in one.reflectors.values()]
    assert told == ["up loss=1%"] * 3


def test_a_reload_with_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    """The script is asked for before anything is applied."""
    one = room(path=tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        one.prepare("udp", Settings(loss=1.0, fate="missing"))
    assert str(one.reflectors["classic"].faults) == "off"
    (tmp_path / "fate").write_text("1: drop")
    one.prepare("udp", Settings(fate="fate"))()
    got = [len(replies(one.reflectors["classic"], b"x")) for _ in range(2)]
    assert got == [0, 1]


def test_rates_and_ports_are_shared() -> None:
    """A source has one bucket for all reflectors, and no port of ours is answered by any."""
    one = room(Settings(rate=1.0, burst=2, reply="echo"))
    classic, stamp = one.reflectors["classic"], one.reflectors["stamp"]
    classic.opened(12345)
    assert replies(stamp, bytes(44), "192.0.2.1", 12345) == []
    assert replies(classic, b"x", "192.0.2.1") == [b"x"]
    assert len(replies(stamp, bytes(44), "192.0.2.1")) == 1
    assert replies(classic, b"x", "192.0.2.1") == []


def test_the_error_estimate_is_the_kernels() -> None:
    """From the first packet on, and with a Multiplier, which 0 is not."""
    tongue = room().reflectors["stamp"].tongue
    assert isinstance(tongue, StampTongue)
    assert parse_error_estimate(tongue.error_estimate).error_s


def test_every_counter_is_a_figure_with_its_reflector() -> None:
    """The sum of the reasons is what was dropped; the labels are names of ours."""
    one = room()
    replies(one.reflectors["classic"], b"x", port=7)
    figures = {metric.name: metric.samples for metric in one.metrics()}
    assert [s.value for s in figures["netlab_udp_received_total"]] == [1, 0, 0]
    dropped = {s.labels: s.value for s in figures["netlab_udp_dropped_total"] if s.value}
    assert dropped == {(("reflector", "classic"), ("reason", "refused_port")): 1}
