"""The bodies of small files: bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.memory import MOST_BODY_BYTES, Memory


@given(
    most=st.integers(0, 5000),
    sizes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3000)), max_size=60),
)
def test_the_bound_holds(most: int, sizes: list[tuple[int, int]]) -> None:
    """Whatever is kept, all of it together stays below the bound, and nothing is another's."""
    memory = Memory(most)
    for name, size in sizes:
        memory.keep((name, size), b"%d" % (name % 10) * size)
        body = memory.get((name, size))
        assert body in (None, b"%d" % (name % 10) * size)
        assert memory.held_bytes <= most


def test_the_least_used_goes_first() -> None:
    """What is asked for stays; a lower bound empties the rest."""
    memory = Memory(4000)
    for name in ("a", "b", "a", "c"):
        memory.keep(name, bytes(1000))
        assert memory.get("a") is not None
    assert (memory.get("b"), memory.get("c")) == (None, bytes(1000))
    memory.limit(0)
    assert (memory.get("a"), memory.held_bytes) == (None, 0)


def test_a_big_file_is_not_kept() -> None:
    """One file may not push out all others."""
    memory = Memory(64 << 20)
    assert memory.takes(MOST_BODY_BYTES)
    assert not memory.takes(MOST_BODY_BYTES + 1)
