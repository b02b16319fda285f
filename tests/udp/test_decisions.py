"""A decision as a line of JSON."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from netlabsvc.udp.decisions import Decision, line

T_NS = 1_700_000_000_123_456_789


def test_a_line_tells_all_of_a_decision() -> None:
    """Field by field, in this order, byte by byte."""
    decision = Decision(3, "up", "delay", "delayed", 1, 21_400_112, 25_000_000)
    assert line(decision, "udp", "127.0.0.1:41766", T_NS) == (
        '{"number":3,"reflector":"udp","client":"127.0.0.1:41766","direction":"up","copy":1,'
        '"stage":"delay","verdict":"delayed","drawn_ns":21400112,"applied_ns":25000000,'
        '"t_ns":1700000000123456789}'
    )


def test_what_there_is_not_is_null_and_bits_stand_where_some_were_turned() -> None:
    """A loss has no delay; only corruption has bits."""
    lost = json.loads(line(Decision(1, "down", "loss", "lost"), "udp", "c", T_NS))
    assert (lost["drawn_ns"], lost["applied_ns"], "bits" in lost) == (None, None, False)
    corrupted = Decision(1, "up", "corrupt", "corrupted", bits=(3, 17))
    assert json.loads(line(corrupted, "udp", "c", T_NS))["bits"] == [3, 17]


@settings(deadline=None)
@given(st.text())
def test_any_client_fits_into_one_line(client: str) -> None:
    """Nothing in an address ends the line or the string."""
    text = line(Decision(1, "up", "loss", "kept"), "udp", client, T_NS)
    assert text.isprintable()
    assert json.loads(text)["client"] == client
