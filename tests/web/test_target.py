"""Request targets and Host headers: what is read, and what is refused."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.web.target import BadTarget, Target, check_host, parse

PIECES = st.sampled_from(
    ["/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%5c", "\\", "%c0%ae", "a", "%ff", "?", "@", ":"]
)
NAMES = st.lists(
    st.binary(min_size=1, max_size=8).filter(lambda n: b"\0" not in n and n not in (b".", b"..")),
    max_size=5,
)


@pytest.mark.parametrize(
    ("raw", "target"),
    [
        (b"/", Target((), True, b"")),
        (b"/a/b", Target((b"a", b"b"), False, b"")),
        (b"/a//b/?x=/..", Target((b"a", b"b"), True, b"?x=/..")),
        (b"/a/b/..", Target((b"a",), True, b"")),
        (b"/a/./b", Target((b"a", b"b"), False, b"")),
        (b"/%41%2Fb", Target((b"A/b",), False, b"")),
        (b"HTTP://h:1", Target((), True, b"", b"h:1")),
        (b"http://h?q", Target((), True, b"?q", b"h")),
    ],
)
def test_targets(raw: bytes, target: Target) -> None:
    """A target is decoded once, its dot segments are resolved, its query is left alone."""
    assert parse(raw) == target


@given(st.lists(PIECES).map("".join))
def test_no_target_leads_up_or_away(text: str) -> None:
    """No name is empty or a dot segment, and a Location made of it stays on its host."""
    try:
        target = parse(b"/" + text.encode("ascii"))
    except BadTarget:
        return
    assert not {b"", b".", b".."} & set(target.segments)
    location = urljoin("http://lab/x", target.path.decode("ascii"))
    assert urlsplit(location).netloc == "lab"


@given(st.binary())
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Nothing but BadTarget is raised, whatever comes."""
    try:
        target = parse(raw)
    except BadTarget:
        return
    assert all(b"\0" not in name for name in target.segments)


@given(NAMES, st.booleans())
def test_a_path_made_of_names_gives_the_names(names: list[bytes], directory: bool) -> None:
    """`path` and `parse` undo each other for any bytes."""
    target = Target(tuple(names), directory or not names, b"")
    assert parse(target.path) == target


@pytest.mark.parametrize("host", [b"lab", b"lab:8080", b"[::1]:80", b"192.0.2.1", b"", b"a_b:"])
def test_good_hosts(host: bytes) -> None:
    """Names, addresses and an empty Host are accepted."""
    check_host([host], b"HTTP/1.1")


@pytest.mark.parametrize("hosts", [[], [b"a", b"a"], [b"a b"], [b"a/b"], [b"u@h"], [b"h:80x"]])
def test_bad_hosts(hosts: list[bytes]) -> None:
    """None, two, and what is no host and port are refused."""
    with pytest.raises(BadTarget):
        check_host(hosts, b"HTTP/1.1")
