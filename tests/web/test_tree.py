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
    st.sampled_from(["refuse", "inside"]),
    st.booleans(),
)
@example([], [b"/etc/passwd"], "refuse", False)
@example([], [b"a", b"/etc", b"passwd"], "refuse", False)
@example([], [b".."], "refuse", True)
@example([("a/b", "../..")], [b"a", b"b"], "inside", True)
@example([("a/b", "../../secret")], [b"a", b"b"], "inside", True)
@example([("a/b", "c"), ("a/c", "b")], [b"a", b"b"], "inside", True)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_no_names_and_no_links_lead_out(
    links: list[tuple[str, str]], names: list[bytes], follow: str, hidden: bool
) -> None:
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
            found = Tree(root, links=follow, hidden=hidden).open(names, [b".gz", b"/.."])
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


@pytest.mark.parametrize("links", ["refuse", "inside"])
def test_a_directory_swapped_for_a_link_all_the_time(tmp_path: Path, links: str) -> None:
    """While a directory is swapped for a link out of the root, no byte from outside is served."""
    for name in ("out", "www/here"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "out" / "page").write_bytes(b"SECRET")
    (tmp_path / "www" / "here" / "page").write_bytes(b"public")
    (tmp_path / "www" / "link").symlink_to("../out")
    here, link, aside = (tmp_path / "www" / name for name in ("here", "link", "aside"))
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            here.rename(aside)
            link.rename(here)
            here.rename(link)
            aside.rename(here)

    swapping = threading.Thread(target=swap)
    swapping.start()
    tree, served, met_links = Tree(tmp_path / "www", links=links), 0, 0
    try:
        while served < 100 or met_links < 100:
            try:
                with tree.open([b"here", b"page"]) as found:
                    assert os.pread(found.fd, 10, 0) == b"public"
                    served += 1
            except Refused as refused:
                met_links += "ymbolic link" in refused.why
    finally:
        done.set()
        swapping.join(20)


def test_links_inside_are_walked(tmp_path: Path) -> None:
    """Over directories and back up, one after the other; not for ever, not to the machine's root,
    and no dotfile is uncovered by one."""
    root = tmp_path / "www"
    (root / "a" / "b").mkdir(parents=True)
    (root / "file").write_bytes(b"file")
    (root / ".hid").write_bytes(b"hidden")
    for name, leads_to in (
        *(("a/b/up", "../../file"), ("way", "a/b"), ("top", "way/../.."), ("dot", "./file")),
        *(("loop", "loop"), ("abs", "/etc/passwd"), ("out", "a/../.."), ("uncover", ".hid")),
        ("gone", "nothing"),
    ):
        (root / name).symlink_to(leads_to)
    tree = Tree(root, links="inside")
    for names in ([b"a", b"b", b"up"], [b"way", b"up"], [b"top", b"file"], [b"dot"]):
        with tree.open(names) as found:
            assert os.pread(found.fd, 10, 0) == b"file"
    statuses = {}
    for refused_name in (b"loop", b"abs", b"out", b"uncover", b"gone"):
        with pytest.raises(Refused) as refused:
            tree.open([refused_name])
        statuses[refused_name] = int(refused.value.status)
    assert statuses == {b"loop": 403, b"abs": 403, b"out": 403, b"uncover": 404, b"gone": 404}


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
