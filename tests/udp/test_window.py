"""Which sequence numbers have arrived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.window import MEMORY, Window


def noted(numbers: list[int]) -> Window:
    """A window that has seen these, in this order."""
    window = Window()
    for number in numbers:
        window.note(number)
    return window


def test_each_bit_is_a_number() -> None:
    """Bit 0 is the number asked for, bit i the one that is less by i, whatever came later."""
    window = noted([0, 1, 3, 4, 3])
    assert window.count == 4
    assert [window.before(n) for n in (4, 3, 2, 1)] == [0b11011, 0b1101, 0b110, 0b11]


@given(st.lists(st.integers(0, 200), max_size=80), st.sampled_from([0, 2**31 - 100, 2**32 - 100]))
def test_copies_and_order_do_not_count(numbers: list[int], base: int) -> None:
    """In any order, with copies and over the end of 32 bits: the set of what came, of 64 each."""
    base %= 2**32
    window = noted([(base + n) % 2**32 for n in numbers])
    assert window.count == len(set(numbers))
    for n in numbers:
        bits = sum(1 << i for i in range(64) if n - i in numbers)
        assert window.before((base + n) % 2**32) == bits


@given(st.lists(st.integers(0, 2**32 - 1), max_size=30), st.integers(0, 2**32 - 1))
def test_hostile_numbers_cost_nothing(numbers: list[int], asked: int) -> None:
    """Jumps over half the range neither raise nor fill the memory."""
    window = noted(numbers)
    assert 0 <= window.before(asked) < 2**64
    assert window.count <= len(set(numbers))


def test_what_is_too_old_is_not_counted() -> None:
    """A number at the edge of the memory is new, one beyond it cannot be told from a copy."""
    window = noted([MEMORY, 1, 0])
    assert window.count == 2
