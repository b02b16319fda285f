"""Nothing outside the root, ever; and nothing that could freeze the daemon."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from netlabsvc.web.tree import Refused, Tree

NAMES = st.sampled_from(
    [
        b"a",
        b"b",
        b"..",
        b".",
        b"",
        b"/",
        b"../secret",
        b"/etc/passwd",
        b".hid",
        b"\xc0\xae",
        b"a\\b",
    ]
) | st.binary(max_size=4)
TARGETS = st.sampled_from(
    ["..", "../..", "/", ".", "a", "b", "../secret", "/etc", "/proc/self/root"]
)


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "a/b", "a/c"]), TARGETS), max_size=3),
    st.lists(NAMES, max_size=4),
)
@example([], [b"/etc/passwd"])
@example([], [b"a", b"/etc", b"passwd"])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_names_and_no_links_lead_out(links: list[tuple[str, str]], names: list[bytes]) -> None:
    """What is opened lies below the root, whatever links stand there and whatever is asked."""
    with tempfile.TemporaryDirectory() as top:
        root = Path(top, "www")
        root.mkdir()
        Path(top, "secret").write_bytes(b"SECRET")
        (root / "a").mkdir()
        for where, leads_to in links:
            try:
                (root / where).symlink_to(leads_to)
            except OSError:
                continue
        (root / "file").write_bytes(b"file")
        try:
            found = Tree(root).open(names)
        except Refused:
            return
        with found:
            opened = Path(f"/proc/self/fd/{found.fd}").readlink()
        assert opened.is_relative_to(root.resolve())


def test_only_files_and_directories_are_opened(tmp_path: Path) -> None:
    """A FIFO, a socket and a device are refused without being opened."""
    os.mkfifo(tmp_path / "fifo")
    waiting = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=[b"for a reader"])
    waiting.start()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in (b"fifo", b"socket"):
            with pytest.raises(Refused) as refused:
                Tree(tmp_path).open([name])
            assert refused.value.status == 403
    with pytest.raises(Refused):
        Tree(Path("/dev")).open([b"zero"])
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    waiting.join(20)
    assert os.read(reader, 100) == b"for a reader"
    os.close(reader)


@pytest.mark.parametrize("becomes", ["link", "fifo"])
def test_a_swap_after_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    """What turns into a link or a FIFO between the look and the opening is refused all the same."""
    (tmp_path / "secret").write_bytes(b"SECRET")
    (tmp_path / "www").mkdir()
    page = tmp_path / "www" / "page"
    page.touch()
    tree, look = Tree(tmp_path / "www"), os.stat

    def look_and_swap(name: bytes, **rest: Any) -> os.stat_result:
        status = look(name, **rest)
        page.unlink()
        if becomes == "link":
            page.symlink_to("../secret")
        else:
            os.mkfifo(page)
        return status

    monkeypatch.setattr("os.stat", look_and_swap)
    with pytest.raises(Refused) as refused:
        tree.open([b"page"])
    assert refused.value.status == 403


def test_links_are_refused_by_name(tmp_path: Path) -> None:
    """A link is told from what is not there, so that the one who set it learns why."""
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "way").symlink_to(".")
    for names in ([b"link"], [b"way"], [b"way", b"file"]):
        with pytest.raises(Refused, match="Symbolic links"):
            Tree(tmp_path).open(names)


def test_a_root_that_is_replaced_is_seen(tmp_path: Path) -> None:
    """A new directory in the place of the old one is what is served from then on."""
    root = tmp_path / "www"
    root.mkdir()
    tree = Tree(root)
    root.rename(tmp_path / "old")
    with pytest.raises(Refused):
        tree.open([])
    root.mkdir()
    (root / "new").touch()
    with tree.open([b"new"]) as found:
        assert not found.directory


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """A missing root and one that is a file are told at once."""
    (tmp_path / "file").touch()
    for name in ("none", "file"):
        with pytest.raises(OSError, match=name):
            Tree(tmp_path / name)


def test_absurd_times_are_shown_as_dates(tmp_path: Path) -> None:
    """A file from before 1970 or from after the end of dates is within their range."""
    for name, seconds in ((b"old", -5), (b"late", 2**40)):
        path = tmp_path / os.fsdecode(name)
        path.touch()
        try:
            os.utime(path, (seconds, seconds))
        except OSError:
            continue
        with Tree(tmp_path).open([name]) as found:
            assert 0 <= found.modified_s <= 253_402_300_799


def test_a_huge_directory_is_listed_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing stops at its most names and says that there are more."""
    monkeypatch.setattr("netlabsvc.web.tree.MOST_NAMES", 3)
    for number in range(4):
        (tmp_path / str(number)).touch()
    with Tree(tmp_path).open([]) as found:
        names, more = Tree(tmp_path).entries(found, [])
    assert (len(names), more) == (3, True)
