"""Any way to cut bytes into chunks."""

from __future__ import annotations

from hypothesis import strategies as st


def chunkings(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Lists of chunks that join to `data`."""
    places = st.lists(st.integers(0, len(data)), max_size=8).map(sorted)
    return places.map(
        lambda cuts: [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    )
