"""What holds for every tongue: nothing raises, and no reply is longer than it may be."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import classic, irtt, stamp
from netlabsvc.udp.classic import Classic, Form
from netlabsvc.udp.irtt import Irtt
from netlabsvc.udp.parameters import Limits, Parameters
from netlabsvc.udp.stamp import Stamp
from netlabsvc.udp.tongue import Refusal, Tongue
from support.tongues import T1_NS, Clock, ask, chance

KEY = b"0123456789abcdef"
TOKEN = b"irtt-tkn"
IRTT_OPEN = irtt.MAGIC + b"\1" + Parameters(1, 10**9, 10**9, 40, 3, 3, 3).encode()
IRTT_ECHO = irtt.MAGIC + b"\0" + TOKEN + bytes(48)
#: Beginnings that lead past the first checks of each tongue.
BEGINNINGS = [
    b"",
    b"1700000000123 1700000000123 ",
    stamp.request(1, T1_NS, 0x1384, 7),
    stamp.request(1, T1_NS, 0x1384, 7, KEY),
    stamp.request(1, T1_NS, 0x1384, 7) + b"\x80\5\0\x0c" + bytes(12),
    IRTT_OPEN,
    IRTT_ECHO,
    IRTT_ECHO[:3] + b"\4" + TOKEN,
]


def irtt_server() -> Irtt:
    """One with a session of ours."""
    tongue = Irtt(Clock(), chance(TOKEN), Limits())
    ask(tongue, IRTT_OPEN)
    return tongue


MAKERS: dict[str, Callable[[], Tongue]] = {
    **{form: partial(Classic, form, classic.MAX_IPV6_BYTES) for form in Form},
    "stamp": lambda: Stamp(Clock()),
    "stamp stateless": lambda: Stamp(Clock(), stateful=False),
    "stamp without extensions": lambda: Stamp(Clock(), extensions=False),
    "stamp authenticated": lambda: Stamp(Clock(), KEY),
    "irtt": irtt_server,
    "irtt with a key": lambda: Irtt(Clock(), chance(TOKEN), Limits(), KEY),
}


def longest(tongue: Tongue, data: bytes) -> int:
    """The longest reply that a datagram may have where replies may grow."""
    if isinstance(tongue, Classic):
        return len(data) + (classic.GROWTH_BYTES if "timestamp" in tongue.form else 0)
    if isinstance(tongue, Stamp):
        return max(len(data), stamp.BASE_BYTES if len(data) >= stamp.SHORTEST_BYTES else 0)
    return len(data) + (irtt.GROWTH_BYTES if data[3:4] in (b"\1", b"\5") else 0)


def check(name: str, data: bytes) -> None:
    """Ask a fresh tongue, with and without the right to a longer reply."""
    for may_grow in (False, True):
        tongue = MAKERS[name]()
        answer = ask(tongue, data, may_grow=may_grow)
        if isinstance(answer, bytes):
            assert len(answer) <= (longest(tongue, data) if may_grow else len(data))
        else:
            assert answer is None or isinstance(answer, Refusal)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("beginning", BEGINNINGS, ids=range(len(BEGINNINGS)))
def test_every_length(name: str, beginning: bytes) -> None:
    """Each beginning cut or filled to 0 to 200 bytes, with zeros and with ones."""
    for length in range(201):
        for fill in (b"\0", b"\xff"):
            check(name, beginning.ljust(200, fill)[:length])


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=120), st.integers(0, 100))
def test_anything(beginning: bytes, rest: bytes, kept: int) -> None:
    """Whatever a datagram holds, however well it begins."""
    for name in MAKERS:
        check(name, beginning[:kept] + rest)


@pytest.mark.parametrize("name", MAKERS)
def test_the_largest_datagram(name: str) -> None:
    """No length of a datagram makes a reply that does not fit into one."""
    for beginning in BEGINNINGS:
        answer = ask(MAKERS[name](), beginning.ljust(classic.MAX_IPV6_BYTES, b"\x80"))
        assert not isinstance(answer, bytes) or len(answer) <= classic.MAX_IPV6_BYTES
