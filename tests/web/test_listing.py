"""What a directory without index.html shows: links, orders, and JSON for who asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlabsvc.web.listing import Entry, Order, arranged, order


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: lab", *headers, "", ""]).encode("ascii")


@pytest.fixture
def shelf(root: Path) -> Path:
    """A directory of three files and one directory, all different."""
    shelf = root / "shelf"
    (shelf / "zoo").mkdir(parents=True)
    for name, size in (("b.txt", 10), ("A.txt", 3000), ("c.txt", 200)):
        (shelf / name).write_bytes(bytes(size))
    return shelf


def test_a_listing_names_what_can_be_fetched(visit: Callable[[], Any]) -> None:
    """The listing links files and directories byte for byte, and nothing hidden or special."""
    page = visit().ask(get("/")).body.decode("utf-8")
    for link in ("./digits.txt", "./sub/", "./a%20b%25.txt", "./%FF.txt", "./x%3Ay/"):
        assert f'href="{link}"' in page
    for name in (".git", "fifo", "link-out", "link-in", "dir-out"):
        assert name not in page


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["zoo/", "A.txt", "b.txt", "c.txt"]),
        ("?sort=name&order=desc", ["zoo/", "c.txt", "b.txt", "A.txt"]),
        ("?sort=size", ["zoo/", "A.txt", "c.txt", "b.txt"]),
        ("?sort=size&order=asc", ["zoo/", "b.txt", "c.txt", "A.txt"]),
        ("?sort=colour", ["zoo/", "A.txt", "b.txt", "c.txt"]),
        ("?%ff&sort=&=&&", ["zoo/", "A.txt", "b.txt", "c.txt"]),
    ],
)
def test_an_order_is_a_link_away(
    visit: Callable[[], Any], shelf: Path, query: str, names: list[str]
) -> None:
    """Each order can be asked for; directories stand first; what is no order is the usual one."""
    page = visit().ask(get(f"/shelf/{query}")).body.decode("utf-8")
    assert re.findall(r'href="\./([^"]+)"', page) == names


def test_the_heading_of_a_column_turns_it_round(visit: Callable[[], Any], shelf: Path) -> None:
    """A click sorts by a column, a second one the other way; the page says which holds."""
    visitor = visit()
    page = visitor.ask(get("/shelf/")).body.decode("utf-8")
    assert 'href="?sort=name&amp;order=desc"' in page
    assert 'href="?sort=size&amp;order=desc"' in page
    page = visitor.ask(get("/shelf/?sort=size&order=desc")).body.decode("utf-8")
    assert 'aria-sort="descending"><a href="?sort=size&amp;order=asc"' in page


def test_json_for_who_asks_for_it(visit: Callable[[], Any], shelf: Path) -> None:
    """Accept decides between a page and JSON, and Vary says so to caches."""
    visitor = visit()
    response = visitor.ask(get("/shelf/?sort=size", "Accept: application/json"))
    assert response.getheader("Content-Type") == "application/json"
    assert response.getheader("Vary") == "Accept"
    told = json.loads(response.body)
    assert told["more"] is False
    assert [e["name"] for e in told["entries"]] == ["zoo", "A.txt", "c.txt", "b.txt"]
    assert {"href": "./A.txt", "directory": False, "size": 3000}.items() <= told["entries"][
        1
    ].items()
    for accept in ("text/html,*/*;q=0.8", "*/*", "application/json;q=0.1,text/html", "a;q=b,"):
        response = visitor.ask(get("/shelf/", f"Accept: {accept}"))
        assert response.getheader("Content-Type") == "text/html; charset=utf-8"
        assert response.getheader("Vary") == "Accept"


def test_equal_entries_stand_by_name() -> None:
    """What is equal in the column that counts is in the order of names, whichever way."""
    entries = [Entry(name, False, 5, 7.0) for name in (b"c", b"a", b"b")]
    for by in (Order("size", True), Order("size", False), Order("time", True)):
        assert [e.name for e in arranged(entries, by)] == [b"a", b"b", b"c"]
    assert order(b"?sort=time") == Order("time", True)
