"""`netlab get` against servers of others, and against the lab itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.answering import get
from support.daemon import NETLAB, PATIENCE_S, Daemon
from support.outside import need

BIG = os.urandom(1 << 20) * 8

NGINX = """
daemon off; worker_processes 1; pid {place}/pid; error_log stderr;
events {{}}
http {{
    access_log off; gzip on; gzip_types text/plain; gzip_min_length 1; types {{ text/plain txt; }}
    client_body_temp_path {place}/a; proxy_temp_path {place}/b; fastcgi_temp_path {place}/c;
    uwsgi_temp_path {place}/d; scgi_temp_path {place}/e;
    server {{
        listen 127.0.0.1:{port}; root {root};
        location /cut {{ alias {root}/big; limit_rate 4m; }}
        location /moved {{ return 301 /big; }}
    }}
}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "www"
    root.mkdir()
    (root / "big").write_bytes(BIG)
    (root / "page.txt").write_text("你好\n" * 500, "utf-8")
    tmp_path.chmod(0o755)
    return root


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_until_it_listens(port: int) -> None:
    """Without a connection to try it: nc takes only one."""
    until_s = time.monotonic() + PATIENCE_S
    while f":{port:04X} 00000000:0000 0A " not in Path("/proc/net/tcp").read_text("ascii"):
        assert time.monotonic() < until_s, f"nobody listens on port {port}"
        time.sleep(0.02)


@contextmanager
def running(command: list[str], port: int, directory: Path) -> Iterator[str]:
    """A server that listens; gives its host and port."""
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_it_listens(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture
def nginx(tmp_path: Path, root: Path) -> Iterator[str]:
    """nginx as an ordinary program: its Debian package would start a server on all addresses."""
    program = need("nginx")
    place, port = tmp_path / "nginx", free_port()
    place.mkdir()
    (place / "conf").write_text(NGINX.format(place=place, port=port, root=root))
    # Without its user directive it would leave root, and might not reach the files.
    command = [program, "-p", str(place), "-e", "stderr", "-c", str(place / "conf")]
    command += ["-g", "user root;"] if os.geteuid() == 0 else []
    with running(command, port, place) as where:
        yield where


def test_nginx_resumes(nginx: str, root: Path, tmp_path: Path) -> None:
    """Broken off by -m, twice, and gone on with; a file that changed is fetched anew."""
    file, url = tmp_path / "file", f"http://{nginx}/cut"
    status, _, error = get("-m", "0.5", "-o", str(file), url)
    assert (status, "-C - fetches the rest" in error) == (28, True)
    first = file.stat().st_size
    assert 0 < first < len(BIG)
    assert get("-m", "0.5", "-C", "-", "-o", str(file), url)[0] == 28
    assert file.stat().st_size > first
    assert BIG.startswith(file.read_bytes())
    (root / "big").write_bytes(BIG[::-1])
    status, _, error = get("-C", "-", "-o", str(file), url)
    assert (status, "it has changed" in error) == (0, True)
    assert file.read_bytes() == BIG[::-1]


def test_nginx_packs_and_sends_on(nginx: str, root: Path) -> None:
    """Its gzip in chunks is unpacked, its redirect followed, its HEAD and its 404 are right."""
    text = (root / "page.txt").read_bytes()
    status, out, error = get("-v", "--compressed", f"{nginx}/page.txt")
    assert (status, out) == (0, text)
    assert "< Content-Encoding: gzip\n" in error
    assert get("-L", f"{nginx}/moved")[:2] == (0, BIG)
    status, out, _ = get("-I", f"{nginx}/big")
    assert (status, f"Content-Length: {len(BIG)}".encode() in out) == (0, True)
    assert get("-f", f"{nginx}/none")[:2] == (22, b"")


def test_http_server_of_python(root: Path) -> None:
    """HTTP/1.0, a close, a redirect to a directory's slash."""
    (root / "sub").mkdir()
    (root / "sub" / "index.html").write_bytes(b"sub\n")
    port = free_port()
    command = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", str(port)]
    with running(command, port, root) as where:
        assert get(f"{where}/big") == (0, BIG, "")
        assert get("-L", f"{where}/sub") == (0, b"sub\n", "")
        assert get("-f", f"{where}/none")[0] == 22


def test_nc_with_a_file() -> None:
    """A web server made of nc and a file of bytes, as one makes it in a first lesson."""
    port = free_port()
    command = [need("nc"), "-l", "-N", "127.0.0.1", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as nc:
        assert nc.stdin is not None
        nc.stdin.write(b"HTTP/1.1 200 OK\n\nhello\n")
        nc.stdin.close()
        wait_until_it_listens(port)
        status, out, error = get(f"127.0.0.1:{port}")
        assert nc.stdout is not None
        request = nc.stdout.read()
    assert (status, out, "LF alone" in error) == (0, b"hello\n", True)
    assert request.startswith(b"GET / HTTP/1.1\r\n")


def test_the_lab_resumes(root: Path, tmp_path: Path) -> None:
    """The daemon's own site takes the condition that was noted."""
    file = tmp_path / "file"
    with Daemon(tmp_path, "--www", str(root)) as lab:
        url = f"http://127.0.0.1:{lab.ports['web']}/big"
        head = get("-I", url)[1].decode("ascii")
        etag = next(x[6:] for x in head.split("\r\n") if x.lower().startswith("etag: "))
        file.write_bytes(BIG[:1000])
        note = f'{{"url": "{url}", "validator": "{etag.replace(chr(34), chr(92) + chr(34))}"}}'
        file.with_name("file.resume").write_text(note)
        status, _, error = get("-v", "-C", "-", "-o", str(file), url)
    assert (status, file.read_bytes() == BIG) == (0, True)
    assert "< HTTP/1.1 206 " in error


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_download_that_is_killed_can_be_gone_on_with(
    nginx: str, tmp_path: Path, number: signal.Signals
) -> None:
    """Neither Ctrl-C nor SIGKILL leaves a file of which nobody knows what it is a part of."""
    file, url = tmp_path / "file", f"http://{nginx}/cut"
    with subprocess.Popen([NETLAB, "get", "-o", str(file), url]) as process:
        while not (file.exists() and file.stat().st_size):
            assert process.poll() is None
        process.send_signal(number)
    assert process.returncode == -number  # a shell makes 130 of Ctrl-C's
    assert 0 < file.stat().st_size < len(BIG)
    status, _, error = get("-v", "-C", "-", "-o", str(file), url)
    assert (status, "< HTTP/1.1 206 " in error) == (0, True)
    assert file.read_bytes() == BIG


def test_memory_is_flat(root: Path, tmp_path: Path) -> None:
    """A body of 300 MB, whole to a file, costs no memory of its size."""
    with (root / "sparse").open("wb") as sparse:
        sparse.truncate(300_000_000)
    program = (
        "import resource, subprocess, sys; status = subprocess.run(sys.argv[1:]).returncode;"
        "print(status, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    with Daemon(tmp_path, "--www", str(root)) as lab:
        command = [NETLAB, "get", "-o", "/dev/null", f"127.0.0.1:{lab.ports['web']}/sparse"]
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, command)], capture_output=True, check=True
        )
    status, peak_kb = map(int, done.stdout.split())
    assert status == 0
    assert peak_kb < 150_000
