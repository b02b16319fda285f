"""The parameters of an irtt session."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import parameters
from netlabsvc.udp.parameters import Limits, Parameters

# Of irtt 0.9.0: client -i 200ms -d 500ms --hmac=secret -l 80 --sfill=rand
GOLDEN = bytes.fromhex("0102028094ebdc03038088debe0104a001050606060706090472616e64")
ASKED = Parameters(
    version=1,
    duration_ns=500_000_000,
    interval_ns=200_000_000,
    length_bytes=80,
    stats=3,
    stamps=3,
    clocks=3,
    fill=b"rand",
)
int64 = st.integers(-(2**63), 2**63 - 1)


def test_golden_parameters() -> None:
    """What the real client asks for, both ways."""
    assert parameters.parse(GOLDEN) == ASKED
    assert ASKED.encode() == GOLDEN


def test_unknown_parameters_and_any_order() -> None:
    """A newer client may ask for more, in another order."""
    more = parameters.uvarint(77) + parameters.varint(-5)
    assert parameters.parse(more + GOLDEN[2:] + more + GOLDEN[:2]) == ASKED


def test_another_version_is_told_from_nonsense() -> None:
    """Of another version nothing but the number is read."""
    assert parameters.parse(b"\x01\x04\x02\x00") == Parameters(version=2)
    assert parameters.parse(b"") == Parameters()


@pytest.mark.parametrize(
    "wire",
    [
        "01",
        "018080",
        "01ffffffffffffffffff02",  # 65 bits
        "0102",  # no duration, no interval
        "010202010302",  # a negative duration
        "010202020302" + "0401",  # a negative length
        "010202020302" + "0508",  # stats 4
        "010202020302" + "060a0702",  # stamps 5
        "010202020302" + "0606",  # stamps without a clock
        "010202020302" + "0708",  # clocks 4
        "010202020302" + "0921" + "61" * 33,  # a fill of 33 bytes
        "010202020302" + "090461",  # a fill that is cut off
        "010202020302" * 22,  # longer than any
    ],
)
def test_nonsense_is_refused(wire: str) -> None:
    """What is cut off, too large or contradicts itself is an error of one kind."""
    with pytest.raises(ValueError, match=r"."):
        parameters.parse(bytes.fromhex(wire))


def test_limits_reduce() -> None:
    """Duration and length sink, the interval rises or sinks, DSCP and an unknown fill go."""
    asked = Parameters(1, 10**10, 10**6, 5000, 3, 4, 1, 32, b"zeros")
    granted = asked.granted(Limits(duration_ns=10**9, length_bytes=1472))
    assert granted == Parameters(1, 10**9, 10**7, 1472, 3, 4, 1)
    slow = Parameters(1, 10**15, 10**12)
    assert slow.granted(Limits()) == Parameters(1, 10**15, 75 * 10**9)
    assert ASKED.granted(Limits()) == ASKED


@given(int64)
def test_varints_go_there_and_back(value: int) -> None:
    """Every 64-bit integer, of either sign."""
    wire = parameters.varint(value)
    number, end = parameters.read_uvarint(b"x" + wire + b"y", 1)
    assert (number >> 1 ^ -(number & 1), end) == (value, 1 + len(wire))


positive = st.integers(1, 2**63 - 1)


@given(
    st.builds(
        Parameters,
        version=st.just(1),
        duration_ns=positive,
        interval_ns=positive,
        length_bytes=st.integers(0, 2**63 - 1),
        stats=st.integers(0, 3),
        stamps=st.integers(0, 4),
        clocks=st.integers(1, 3),
        dscp=int64,
        fill=st.binary(max_size=32),
    )
)
def test_parameters_go_there_and_back(asked: Parameters) -> None:
    """All that make sense are read as they were written."""
    assert parameters.parse(asked.encode()) == asked


@given(st.binary(max_size=200))
def test_any_bytes_are_parameters_or_an_error(data: bytes) -> None:
    """Nothing raises anything else than ValueError, and what is read can be written."""
    try:
        read = parameters.parse(data)
    except ValueError:
        return
    assert parameters.parse(read.encode()) == read
