"""`netlab get -o FILE`, broken off and gone on with."""

from __future__ import annotations

import json
import re
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from netlabsvc.cli.get_progress import clock, line, size
from support.answering import Server, get, heard, says, served
from support.daemon import NETLAB
from support.screen import Screen

DIGITS = b"0123456789"
ETAG = 'ETag: "v1"\r\n'


def whole(headers: str = ETAG, body: bytes = DIGITS, length: int = 10) -> Server:
    """A server that sends a file, or the beginning of it."""
    head = f"HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n"
    return says(head.encode() + body)


def part(start: int, headers: str = ETAG, status: int = 206) -> bytes:
    """The rest of the file, from a byte on."""
    range_ = f"Content-Range: bytes {start}-9/10\r\nContent-Length: {10 - start}\r\n"
    return f"HTTP/1.1 {status} P\r\n{headers}{range_}\r\n".encode() + DIGITS[start:]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def broken_off(file: Path, *next_ones: Server, headers: str = ETAG) -> tuple[int, str]:
    """Break a download off after four bytes, and go on; status and stderr of going on."""
    with served(whole(headers, DIGITS[:4]), *next_ones) as where:
        status, _, error = get("-o", str(file), f"http://{where}/x")
        assert (status, file.read_bytes()) == (18, DIGITS[:4])
        assert ("-C - fetches the rest" in error) == (headers == ETAG)
        status, _, error = get("-C", "-", "-o", str(file), f"http://{where}/x")
    return status, error


def test_the_rest_is_fetched(file: Path) -> None:
    """The rest is asked for under the condition that it is one of the same file."""
    requests: list[bytes] = []
    assert broken_off(file, says(part(4), heard_to=requests)) == (0, "")
    assert file.read_bytes() == DIGITS
    assert b'\r\nRange: bytes=4-\r\nIf-Range: "v1"\r\n' in requests[0]
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_file_that_changed_is_fetched_anew(file: Path) -> None:
    """A 200 replaces what was there: two versions are never mixed."""
    status, error = broken_off(file, whole('ETag: "v2"\r\n', b"abcdefghij"))
    assert (status, file.read_bytes()) == (0, b"abcdefghij")
    assert "from the start: it has changed" in error


def test_a_file_of_which_nobody_knows_the_version(file: Path) -> None:
    """Without a validator the whole is asked for, and the reason told."""
    requests: list[bytes] = []
    again = says(b"HTTP/1.1 200 OK\r\n\r\nabc", heard_to=requests)
    for headers in ("", 'ETag: W/"weak"\r\n'):
        status, error = broken_off(file, again, headers=headers)
        assert (status, file.read_bytes()) == (0, b"abc")
        assert "does not say which version" in error
    assert all(b"Range" not in request for request in requests)


@pytest.mark.parametrize(
    "answer",
    [
        part(5),
        part(4, 'ETag: "v2"\r\n'),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 416 No\r\nContent-Range: bytes */3\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges\r\n\r\nx",
    ],
)
def test_a_part_that_does_not_fit(file: Path, answer: bytes) -> None:
    """A part of elsewhere, of another version, or an error page leaves the file as it is: 33."""
    status, error = broken_off(file, says(answer), says(part(4)))
    assert (status, file.read_bytes()) == (33, DIGITS[:4])
    assert error.count("\n") == 1
    assert file.with_name("file.resume").exists()


def test_a_file_that_is_complete(file: Path) -> None:
    """All had come when it was killed: 416 with the file's own size is success."""
    answer = b"HTTP/1.1 416 No\r\nContent-Range: bytes */4\r\nContent-Length: 4\r\n\r\nnope"
    assert broken_off(file, says(answer)) == (0, "")
    assert [path.name for path in file.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("note", ["", "[1]", "{", '{"url": "x", "validator": "\\"v\\"\\r\\nA: b"}'])
def test_a_note_that_is_none(file: Path, note: str) -> None:
    """A note that was torn, or meddled with, is no note."""
    file.write_bytes(b"old")
    file.with_name("file.resume").write_text(note)
    with served(whole()) as where:
        assert get("-C", "-", "-o", str(file), where)[0] == 0
    assert file.read_bytes() == DIGITS


def test_a_note_on_another_url(file: Path) -> None:
    """The rest of one file is not put behind the beginning of another."""
    file.write_bytes(b"old")
    file.with_name("file.resume").write_text(json.dumps({"url": "http://x/", "validator": '"v1"'}))
    requests: list[bytes] = []
    with served(says(b"HTTP/1.1 200 OK\r\n\r\nnew", heard_to=requests)) as where:
        assert get("-C", "-", "-o", str(file), where)[0] == 0
    assert b"Range" not in requests[0]


def test_a_device_gets_no_note() -> None:
    """-o /dev/null leaves nothing in /dev."""
    with served(whole(body=DIGITS[:4])) as where:
        assert get("-o", "/dev/null", where)[0] == 18
    assert not Path("/dev/null.resume").exists()


def test_a_full_disk() -> None:
    """A write that fails is 23 and names the file and the cause."""
    with served(whole()) as where:
        status, _, error = get("-o", "/dev/full", where)
    assert (status, error) == (23, "Error: cannot write /dev/full: No space left on device\n")


@pytest.mark.parametrize("more", [(), ("-o", "-"), ("-o", "x", "-i"), ("-o", "x", "--compressed")])
def test_what_cannot_go_together(more: tuple[str, ...]) -> None:
    """-C needs a file, and nothing in it but the body's own bytes."""
    status, _, error = get("-C", "-", *more, "lab")
    assert (status, "-C - goes on with" in error) == (2, True)


def test_the_bar_on_a_terminal(file: Path) -> None:
    """A person sees how far it is while it goes, and what it was at the end."""
    seen = threading.Event()

    def slow(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + bytes(500_000))
        while not seen.wait(0.05):
            connection.sendall(bytes(1))
        with suppress(OSError):
            connection.sendall(bytes(1_600_000))

    with served(slow) as where, Screen(f"{NETLAB} get -o {file} {where}; sleep 60") as screen:
        screen.until(r"25% \[=+> +\] 500\.\d kB of 2\.0 MB")
        seen.set()
        screen.until(r"2\.0 MB +\S+ .B/s +in ")


def test_lines_of_the_bar() -> None:
    """Share, sizes, speed and time left fit in any width."""
    text = line(420_000_000, 1_000_000_000, 420_000_000, 3.5, 99)
    assert re.fullmatch(r" 42% \[=+> +\] 420.0 MB of 1.0 GB  120.0 MB/s  4.8 s left", text)
    for columns in (20, 40, 79, 200):
        assert len(line(10**9, 10**12, 10**9, 1000, columns)) <= columns
    assert line(5, 5, 5, 0.5, 79) == "5 B  10 B/s  in 0.5 s"
    assert line(5, None, 5, 0.5, 79) == "5 B  10 B/s  in 0.5 s"
    assert line(0, 10, 0, 0.0, 79).startswith("  0% [>")
    assert (size(999), size(1000), size(999_960), size(5e12)) == (
        "999 B",
        "1.0 kB",
        "1.0 MB",
        "5000.0 GB",
    )
    assert (clock(9.96), clock(75), clock(3723)) == ("10.0 s", "1:15", "1:02:03")
