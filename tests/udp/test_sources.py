"""Which sources are never answered."""

from __future__ import annotations

import pytest

from netlabsvc.udp.sources import ANSWERING_PORTS, is_unicast


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("192.0.2.7", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:192.0.2.7", True),
        ("224.0.0.251", False),
        ("239.255.255.250", False),
        ("255.255.255.255", False),
        ("0.0.0.0", False),
        ("::", False),
        ("ff02::1", False),
        ("ff02::1%eth0", False),
        ("::ffff:224.0.0.251", False),
        ("::ffff:255.255.255.255", False),
    ],
)
def test_only_one_host_is_unicast(host: str, expected: bool) -> None:
    """Groups, broadcast and no address at all are told from hosts, mapped into IPv6 as well."""
    assert is_unicast(host) is expected


def test_the_port_of_other_senders_is_no_answering_service() -> None:
    """862 is where STAMP senders send from; chargen and DNS are what a forger would choose."""
    assert 862 not in ANSWERING_PORTS
    assert {0, 7, 19, 53, 123, 1900, 11211} <= ANSWERING_PORTS
