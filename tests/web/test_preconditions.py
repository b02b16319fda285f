"""HTTP dates, and the conditions of a request in their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.preconditions import (
    Outcome,
    Validators,
    evaluate,
    from_http_date,
    http_date,
    range_applies,
)

NOW = Validators(b'"now"', 784111777)
THEN, SAME = b"Sat, 05 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "text", [SAME, b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_of_a_date(text: bytes) -> None:
    """The examples of RFC 9110 section 5.6.7 are the same second."""
    assert from_http_date(text) == NOW.modified_s


@given(st.integers(0, 253_402_300_799))
def test_a_written_date_is_read_back(seconds: int) -> None:
    """Any second up to the year 9999 survives being written and read."""
    assert from_http_date(http_date(seconds)) == seconds


@given(st.binary() | st.from_regex(rb"\w+, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fullmatch=True))
def test_what_is_no_date(text: bytes) -> None:
    """Anything else is None or a number, and never an error."""
    assert from_http_date(text) is None or isinstance(from_http_date(text), int)


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, Outcome.PROCEED),
        ({b"If-Match": b'"now"'}, Outcome.PROCEED),
        ({b"If-Match": b'"a", "now"', b"If-Unmodified-Since": THEN}, Outcome.PROCEED),
        ({b"If-Match": b'"then"'}, Outcome.FAILED),
        ({b"If-Match": b"now"}, Outcome.FAILED),
        ({b"If-Match": b"*", b"If-None-Match": b"*"}, Outcome.NOT_MODIFIED),
        ({b"If-Match": b'"then"', b"If-None-Match": b'"now"'}, Outcome.FAILED),
        ({b"If-Unmodified-Since": SAME, b"If-Modified-Since": SAME}, Outcome.NOT_MODIFIED),
        ({b"If-Unmodified-Since": THEN}, Outcome.FAILED),
        ({b"If-Unmodified-Since": b"nonsense"}, Outcome.PROCEED),
        ({b"If-None-Match": b'W/"now"'}, Outcome.NOT_MODIFIED),
        ({b"If-None-Match": b'"then"', b"If-Modified-Since": SAME}, Outcome.PROCEED),
        ({b"If-None-Match": b'"a,b", "now"'}, Outcome.NOT_MODIFIED),
        ({b"If-Modified-Since": THEN}, Outcome.PROCEED),
    ],
)
def test_the_order_of_conditions(headers: dict[bytes, bytes], outcome: Outcome) -> None:
    """RFC 9110 section 13.2.2, step by step."""
    assert evaluate(headers.get, NOW) is outcome


@pytest.mark.parametrize(
    ("if_range", "applies"),
    [
        (None, True),
        (b'"now"', True),
        (b'W/"now"', False),
        (b'"then"', False),
        (SAME, True),
        (THEN, False),
        (b"nonsense", False),
    ],
)
def test_if_range(if_range: bytes | None, applies: bool) -> None:
    """Only the very same state may be continued."""
    assert range_applies(if_range, NOW, NOW.modified_s + 1) is applies


def test_a_date_is_weak_in_its_own_second() -> None:
    """A file that may change again in the second of its date is not continued by that date."""
    assert not range_applies(SAME, NOW, NOW.modified_s)
    assert range_applies(NOW.etag, NOW, NOW.modified_s)
