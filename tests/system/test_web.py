"""The site of a real daemon before outside judges: curl, REDbot, httplint, slowhttptest, wrk."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from support import redbot_notes
from support.certificates import self_signed
from support.daemon import NETLAB, PATIENCE_S, Daemon
from support.outside import need

#: What REDbot may warn of, and why it is so.
REDBOT_EXPLAINED = {
    "FRESHNESS_HEURISTIC": "how long a file stays fresh its owner knows alone: see cache_control",
    "RANGE_CL_FULL": "the range that REDbot asked for is all of a file that small",
}
#: What httplint may warn of, and why it is so.
HTTPLINT_EXPLAINED = {
    "This response allows caches to assign their own freshness lifetimes to it.": "as above",
    "This response is partial, but doesn't have a Content-Range header.": "several parts: each has "
    "one, and there must be none before them (RFC 9110 section 15.3.7.2)",
    "The server didn't understand the request.": "that is what a 400 says",
}


def curl(*arguments: str) -> str:
    """What a real curl prints; it must succeed."""
    command = [need("curl"), "-sS", "-m", str(PATIENCE_S), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with a page, a big file, a text with a gzip neighbour, and a directory."""
    root = tmp_path_factory.mktemp("www")
    (root / "shelf").mkdir()
    (root / "shelf" / "a.json").write_text("{}")
    (root / "index.html").write_text("<!DOCTYPE html><title>a page</title><p>" + "words " * 300)
    (root / "text.txt").write_text("line\n" * 2000)
    (root / "text.txt.gz").write_bytes(gzip.compress((root / "text.txt").read_bytes()))
    (root / "big").write_bytes(os.urandom(3_000_000))
    return root


@pytest.fixture(scope="module")
def lab(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that serves it."""
    directory = tmp_path_factory.mktemp("lab")
    with Daemon(directory, "--services=web", f"--www={root}") as daemon:
        yield daemon


@pytest.fixture
def url(lab: Daemon) -> str:
    return f"http://127.0.0.1:{lab.ports['web']}"


def test_curl_resumes_a_download(url: str, root: Path, tmp_path: Path) -> None:
    """A download that was cut is gone on with, in HTTP/1.1 and 1.0, and is the file then."""
    for version in ("--http1.1", "--http1.0"):
        copy = tmp_path / f"copy{version}"
        copy.write_bytes((root / "big").read_bytes()[:1_234_567])
        curl(version, "-C", "-", "-o", str(copy), f"{url}/big")
        assert copy.read_bytes() == (root / "big").read_bytes()


def test_curl_asks_for_parts_and_codings(url: str, root: Path) -> None:
    """Two ranges, the compressed neighbour, conditions of time and ETag."""
    several = curl("-i", "-r", "0-3,10-13", f"{url}/text.txt")
    assert "multipart/byteranges; boundary=" in several
    assert several.count("Content-Range: bytes ") == 2
    plain = curl(f"{url}/text.txt")
    assert curl("--compressed", f"{url}/text.txt") == plain
    head = curl("-I", "--compressed", f"{url}/text.txt")
    assert "Content-Encoding: gzip" in head
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert curl(*code, "-z", str(root / "text.txt"), f"{url}/text.txt") == "304"


def test_the_front_page_tells_what_runs(tmp_path: Path) -> None:
    """The packaged site names each listener of this very daemon, with commands that work."""
    with Daemon(tmp_path, "--services=chat,web", "--chat-raw-port=0") as daemon:
        port = daemon.ports["web"]
        page = curl(f"http://localhost:{port}/")
        for number in (daemon.ports["chat"], port):
            assert f"<b>127.0.0.1:{number}</b>" in page
        assert "Not running in this lab: Echo, Mail." in page
        command = [str(NETLAB), "get", "-i", f"127.0.0.1:{port}/helloWorld.html"]
        assert " ".join(command[1:]) in re.sub("</?span>", "", page)
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
        assert "Hello, world!" in done.stdout


def test_over_tls(tmp_path: Path, root: Path) -> None:
    """An endpoint string gives https with HTTP/1.1 alone, HSTS everywhere, and whole files."""
    key, certificate = self_signed(tmp_path)
    text = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    (tmp_path / "lab.toml").write_text(
        f'services = ["web"]\n[web]\nroot = "{root}"\nhsts = 600\nlisten = ["{text}"]\n'
    )
    with Daemon(tmp_path, f"--config={tmp_path / 'lab.toml'}", free_ports=False) as daemon:
        number = daemon.wait_for("web listens").split("/tcp")[0].rpartition(":")[2]
        url = f"https://localhost:{number}"
        for path in ("/", "/none"):
            answer = curl("-i", "--cacert", str(certificate), url + path)
            assert "\nStrict-Transport-Security: max-age=600\n" in answer
        big = tmp_path / "big"
        curl("-k", "-o", str(big), f"{url}/big")
        assert big.read_bytes() == (root / "big").read_bytes()
        curl("-k", "-r", "1000000-", "-o", str(big), f"{url}/big")
        assert big.read_bytes() == (root / "big").read_bytes()[1_000_000:]
        context = ssl.create_default_context(cafile=str(certificate))
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("localhost", int(number)), PATIENCE_S)
        with context.wrap_socket(plain, server_hostname="localhost") as secret:
            assert secret.selected_alpn_protocol() == "http/1.1"


def test_the_access_log_is_on_stdout(url: str, lab: Daemon) -> None:
    """A request's line stands there as log readers expect it, nothing before and behind it."""
    start = len(lab.lines)
    curl("-A", 'an "agent"', f"{url}/text.txt?q")
    line = lab.wait_for(r"text\.txt\?q", start)
    assert re.fullmatch(
        r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /text\.txt\?q HTTP/1\.1"'
        r' 200 10000 "-" "an \\"agent\\""',
        line,
    )


@pytest.mark.parametrize("path", ["/", "/text.txt", "/shelf/", "/shelf", "/none", "/big"])
def test_redbot_has_nothing_to_say(url: str, path: str) -> None:
    """REDbot asks with conditions, ranges and codings: no warning but those explained."""
    command = [sys.executable, redbot_notes.__file__, url + path]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    notes = json.loads(done.stdout)
    assert len(notes) > 3
    assert [n for n in notes if n[0] in ("WARN", "BAD") and n[1] not in REDBOT_EXPLAINED] == []


def test_httplint_has_nothing_to_say(url: str) -> None:
    """Answers of every kind, byte for byte as they were sent, have no fault that httplint knows."""
    for path, *options in (
        *(["/"], ["/", "-I"], ["/text.txt", "-r", "0-3"], ["/text.txt", "-r", "0-3,9-12"]),
        *(["/shelf/", "-H", "Accept: application/json"], ["/text.txt", "-r", "99999-"]),
        *(["/", "-X", "OPTIONS"], ["/", "-X", "DELETE"], ["/none"], ["/shelf"], ["/%zz"]),
        *(["/", "-H", "If-None-Match: *"], ["/", "-H", 'If-Match: "x"'], ["/", "-0"]),
    ):
        answer = subprocess.run(
            [need("curl"), "-sSi", *options, url + path], capture_output=True, check=True
        ).stdout
        said = subprocess.run(
            [str(Path(sys.executable).with_name("httplint")), "-n"],
            input=answer,
            capture_output=True,
            check=True,
        ).stdout.decode()
        warnings = re.findall(r"\[(?:WARN|BAD)\] (.*)", said)
        assert set(warnings) <= set(HTTPLINT_EXPLAINED), (path, options)


def latencies_s(port: int, until: subprocess.Popen[bytes]) -> list[float]:
    """How long requests take that are sent while a program runs, ten a second."""
    taken = []
    while until.poll() is None:
        start = time.monotonic()
        peer = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        peer.request("GET", "/text.txt")
        assert len(peer.getresponse().read()) == 10_000
        peer.close()
        taken.append(time.monotonic() - start)
        time.sleep(0.1)
    return sorted(taken)


SLOW = {
    "headers": ["-H", "-i", "1", "-l", "20"],
    "bodies": ["-B", "-i", "40", "-l", "60", "-s", "8192"],
    "readers": ["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "1", "-l", "60"],
}


@pytest.mark.parametrize(
    "kind",
    ["headers", *(pytest.param(kind, marks=pytest.mark.soak) for kind in ("bodies", "readers"))],
)
def test_slow_connections_are_cut(lab: Daemon, kind: str) -> None:
    """200 slow connections are all cut in time; meanwhile others are answered in under 100 ms."""
    port = lab.ports["web"]
    path = "/big" if kind == "readers" else "/text.txt"
    command = [need("slowhttptest"), *SLOW[kind], "-c", "200", "-r", "200", "-p", "3"]
    start = len(lab.lines)
    with subprocess.Popen(
        [*command, "-u", f"http://127.0.0.1:{port}{path}"], stdout=subprocess.PIPE
    ) as slow:
        taken = latencies_s(port, slow)
        assert slow.stdout is not None
        said = slow.stdout.read().decode()
    if kind == "readers":  # slowhttptest reads so slowly that it does not notice its end
        cut = re.findall(r"web (\S+) reads nothing: cut off", "\n".join(lab.lines[start:]))
        assert len(set(cut)) >= 200
    else:
        assert "No open connections left" in said, said
    assert taken[len(taken) * 95 // 100] < 0.1


def test_wrk_gets_an_answer_to_each_request(url: str) -> None:
    """32 connections that never pause: no error of a socket, no status but 200."""
    command = [need("wrk"), "-t1", "-c32", "-d2s", f"{url}/text.txt"]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert int(re.findall(r"(\d+) requests in", said)[0]) > 100
    assert "Socket errors" not in said
    assert "Non-2xx" not in said
