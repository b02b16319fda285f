"""Time stamps and the Error Estimate."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp import ntp
from support.tongues import T1_NS, T2_NS, T3_NS

CENTURY_NS = 100 * 365 * 86_400 * 10**9
times = st.integers(-(10**18), CENTURY_NS * 3)


@pytest.mark.parametrize(
    ("unix_ns", "stamp"),
    [
        (T1_NS, 0xE8FE6F801F9ADD37),
        (T2_NS, 0xE8FE6F801FBE76C8),
        (T3_NS, 0xE8FE6F801FC1BDA5),
        (0, 2_208_988_800 << 32),
        (2_085_978_496 * 10**9, 0),  # 2036-02-07 06:28:16 UTC: the second era begins
    ],
)
def test_golden_ntp_stamps(unix_ns: int, stamp: int) -> None:
    """The vectors, the Unix epoch, and the moment at which the seconds wrap; both ways."""
    assert ntp.from_unix_ns(unix_ns) == stamp
    assert ntp.to_unix_ns(stamp, unix_ns) == unix_ns


def test_golden_ptp_stamp() -> None:
    """The vector, both ways."""
    assert ntp.ptp_from_unix_ns(T1_NS) == 0x6553F100075BCD15
    assert ntp.ptp_to_unix_ns(0x6553F100075BCD15, T2_NS) == T1_NS


@given(times, st.integers(-CENTURY_NS // 2, CENTURY_NS // 2))
def test_stamps_go_there_and_back_without_loss(unix_ns: int, off_ns: int) -> None:
    """Every nanosecond of three centuries is exact, when the era is known to half a century."""
    near_ns = unix_ns + off_ns
    assert ntp.to_unix_ns(ntp.from_unix_ns(unix_ns), near_ns) == unix_ns
    assert ntp.ptp_to_unix_ns(ntp.ptp_from_unix_ns(unix_ns), near_ns) == unix_ns


@given(st.integers(0, 2**64 - 1), times)
def test_whatever_a_peer_sends_is_some_time_near(stamp: int, near_ns: int) -> None:
    """Any 64 bits are a time within about 68 years of the given one."""
    for read in (ntp.to_unix_ns, ntp.ptp_to_unix_ns):
        assert abs(read(stamp, near_ns) - near_ns) <= 2**31 * 10**9


def test_golden_error_estimates() -> None:
    """The vectors, both ways, and what a clock says that knows nothing."""
    assert ntp.error_estimate(False, 16_000_000) == 0x1384
    assert ntp.error_estimate(True, 500_000) == 0x8E84
    assert ntp.error_estimate(True, 0, ptp=True) == 0xC001
    assert ntp.error_estimate(False, 10**30) == 0x3FFF
    assert ntp.parse_error_estimate(0x1384) == (False, False, 0.01611328125)
    assert ntp.parse_error_estimate(0x8E84) == (True, False, 0.0005035400390625)
    assert ntp.parse_error_estimate(0xC000) == (True, True, None)


@given(st.integers(0, 10**18))
def test_an_error_estimate_is_never_too_good(error_ns: int) -> None:
    """It claims no less than the error, and no more than a unit or one part in 128 above it."""
    claimed = ntp.parse_error_estimate(ntp.error_estimate(True, error_ns)).error_s
    assert claimed is not None
    error, claim = Fraction(error_ns, 10**9), Fraction(claimed)
    assert error <= claim <= error * Fraction(129, 128) + Fraction(1, 2**32)


@given(st.integers(0, 0xFFFF))
def test_any_error_estimate_can_be_read(bits: int) -> None:
    """All 16 bits have a meaning."""
    synchronised, ptp, error_s = ntp.parse_error_estimate(bits)
    assert (synchronised, ptp, error_s is None) == (bits >> 15, bits >> 14 & 1, not bits & 0xFF)
