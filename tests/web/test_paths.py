"""Nothing outside the root, ever: whole requests, with links made on the fly."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from netlabsvc.web import site
from netlabsvc.web.settings import Settings

PIECES = st.sampled_from(
    [
        *("/", "//", "\\", "%2f", "%2F", "%5c", "%252f", ";", "?", "*", "~", "%", "%zz", "%00"),
        *(".", "..", "...", "%2e", "%2e%2e", ".%2e", "%252e", "%c0%ae", "%e0%80%ae", "%uff0e"),
        *("a", "b", "file", "secret", "up", "etc", "passwd", ".hid", ".git", "%ff", "proc/self"),
        *("http://lab", "http://lab/..", "//lab/..", "file://", "\xc0\xae", "\x80", "\x01"),
    ]
)
LINKS = st.lists(
    st.tuples(
        st.sampled_from(["a", "up", "b/x", "b/a", "index.html", "404.html", "file.gz"]),
        st.sampled_from(["..", "../secret", "../..", "/", "../secret/", "b", "b/..", "a", "/etc"]),
    ),
    max_size=4,
)


@given(
    st.lists(PIECES, max_size=8).map("".join),
    LINKS,
    st.sampled_from(["refuse", "inside"]),
    st.booleans(),
)
@example("/a/secret", [("a", "..")], "inside", True)
@example("/", [("index.html", "../secret")], "inside", False)
@example("/none", [("404.html", "../secret")], "inside", False)
@example("/file", [("file.gz", "../secret")], "inside", False)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_request_gets_a_secret(
    visit: Any, path: str, links: list[tuple[str, str]], follow: str, hidden: bool
) -> None:
    """Whatever is asked for, however it is spelt, over whatever links: nothing from outside."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as top:
        root = Path(top, "www")
        (root / "b").mkdir(parents=True)
        Path(top, "secret").write_bytes(b"SECRET")
        (root / "file").write_bytes(b"file")
        for where, leads_to in links:
            if not os.path.lexists(root / where):
                (root / where).symlink_to(leads_to)
        keys = Settings(symlinks=follow, hidden=hidden, access_log="off")
        visitor = visit(site.build(root, keys, {}, clock))
        ask = f"GET {path or '/'} HTTP/1.1\r\nHost: lab\r\nAccept-Encoding: gzip\r\n\r\n"
        response = visitor.ask(ask.encode("latin-1"))
        assert response.status in (200, 301, 400, 403, 404)
        for leak in (b"SECRET", b"root:x:", b"vmlinuz", b"www/"):
            assert leak not in response.body
        location = response.getheader("Location", "/x")
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
