"""netlab operator at a daemon that is not ours."""

from __future__ import annotations

import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

from support.daemon import NETLAB, PATIENCE_S

EVENT = (
    b'id: a-1\nevent: chat.said\ndata: {"time": "2026-11-20T14:03:07Z", "client": 1,'
    b' "name": "a\\u001b[2J", "peer": "p", "text": "one\\ntwo\\u202e"}\n\n'
)


class Hostile(BaseHTTPRequestHandler):
    """A daemon that cleans nothing; all it knows is one event."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        stream = self.path.startswith("/v1/events")
        body = EVENT if stream else b'{"status": 404, "detail": "there is no /v1/\\u001b"}'
        self.send_response(200 if stream else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


def test_no_daemon_moves_the_cursor(tmp_path: Path) -> None:
    """Whatever comes is one line for each thing that happened, with escapes for what is unsafe."""
    path = tmp_path / "s"
    with Server(str(path), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ended = subprocess.run(
            [NETLAB, "operator", "--control", path],
            input="/\x1b\n",
            encoding="utf-8",
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        server.shutdown()
    assert ended.stderr == ""
    assert "1 a\\x1b[2J: one\\ntwo\\u202e\n" in ended.stdout
    assert "*** this daemon runs no chat\n" in ended.stdout
    assert "\x1b" not in ended.stdout
