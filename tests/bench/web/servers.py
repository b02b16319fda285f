"""The servers of static files that are measured: ours, and what this machine has beside it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from ..process import Process, free_port

_HERE = Path(__file__).parent
_TWISTD = str(Path(sys.executable).with_name("twistd"))
#: Two CPUs: one for the server, as one process, and one for the load.
SERVER_CPU, LOAD_CPU = ("0", "1")

_NGINX = """\
daemon off;
master_process off;
worker_processes 1;
pid {place}/pid;
error_log {place}/error;
events {{ worker_connections 2048; }}
http {{
  types {{ text/plain txt; }}
  access_log {log};
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path {place}/body;
  proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi;
  uwsgi_temp_path {place}/uwsgi;
  scgi_temp_path {place}/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


@dataclass(frozen=True)
class Server:
    """A program that serves a directory on a port of 127.0.0.1.

    :ivar line: its command line; {port}, {root} and {place} stand for the port, the directory that
        is served and one of its own.
    :ivar needs: a program or, with a dot before it, a package of Python.
    :ivar config: a file that is written to its place before it starts.
    """

    name: str
    line: tuple[str, ...]
    needs: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    log: str = "off"

    @property
    def missing(self) -> bool:
        if self.needs.startswith("."):
            return find_spec(self.needs[1:]) is None
        return bool(self.needs) and shutil.which(self.needs) is None

    def start(self, root: Path, directory: Path) -> tuple[Process, int]:
        """A running server and its port."""
        place, port = directory / self.name.replace(" ", "-"), free_port()
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        words = {"port": port, "root": root, "place": place}
        log = self.log.format(**words)
        (place / "config").write_text(self.config.format(log=log, **words), "utf-8")
        line = [word.format(**words) for word in self.line]
        environ = {name: value.format(**words) for name, value in self.environ.items()}
        process = Process(["taskset", "-c", SERVER_CPU, *line], place, environ)
        try:
            process.wait_until_it_listens(port)
        except BaseException:
            process.stop()
            raise
        return process, port


def netlab(name: str = "netlab", *options: str, **environ: str) -> Server:
    """The daemon of this environment, all its rules and deadlines on."""
    line = (_TWISTD, "-n", "--pidfile=", "netlab", "--services=web", "--http-port={port}")
    keys = {f"NETLAB_WEB_{key.upper()}": value for key, value in environ.items()}
    return Server(name, (*line, "--www={root}", "--state-dir={place}/state", *options), "", keys)


def nginx(name: str = "nginx", log: str = "off") -> Server:
    """One worker; as Debian configures it where that matters."""
    return Server(name, ("nginx", "-c", "{place}/config"), "nginx", {}, _NGINX, log)


def in_python() -> list[Server]:
    """What one finds for Python, as its own documentation says to start it."""
    twisted = (_TWISTD, "-n", "--pidfile=", "web", "--path={root}")
    stock = (sys.executable, "-m", "http.server", "--protocol=HTTP/1.1", "--bind=127.0.0.1")
    uvicorn = (sys.executable, "-m", "uvicorn", "--port={port}", "--no-access-log")
    return [
        Server("twistd web", (*twisted, "--listen=tcp:{port}:interface=127.0.0.1")),
        Server("http.server", (*stock, "--directory={root}", "{port}")),
        Server(
            "aiohttp", (sys.executable, f"{_HERE}/aiohttp_site.py", "{root}", "{port}"), ".aiohttp"
        ),
        Server(
            "starlette, uvicorn",
            (*uvicorn, "--log-level=warning", f"--app-dir={_HERE}", "starlette_site:site"),
            ".starlette",
            {"SITE_ROOT": "{root}"},
        ),
    ]
