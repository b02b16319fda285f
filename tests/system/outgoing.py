"""Servers that nobody here wrote, for `netlab mail` to talk to; and `netlab mail` as a process."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from support.daemon import NETLAB
from support.outside import need

PATIENCE_S = 20
USER, PASSWORD = "ada@lab.example", "correct-horse"
PLAIN = ("--from", "ada@lab.example", "--to", "bob@lab", "--body", "hello")


class Ended(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.out)
        return told


def netlab(command: str, *arguments: str, stdin: str = "", **environ: str) -> Ended:
    """Run a command of netlab to its end, without a terminal."""
    ran = subprocess.run(
        [str(NETLAB), command, *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE_S,
        env={**os.environ, **environ},
        start_new_session=True,
    )
    assert "Traceback" not in ran.stderr
    return Ended(ran.returncode, ran.stdout, ran.stderr)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until somebody listens."""
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError(f"nobody listens on {port}")


@contextmanager
def smtp_sink(*options: str) -> Iterator[int]:
    """Postfix's smtp-sink; gives its port."""
    port = free_port()
    command = [need("smtp-sink"), *options, f"127.0.0.1:{port}", "100"]
    if os.getuid() == 0:
        command[1:1] = ["-u", "nobody"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


class Kept:
    """An aiosmtpd handler: keeps what it takes, and knows CRAM-MD5 beside PLAIN and LOGIN."""

    def __init__(self) -> None:
        self.envelopes: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.envelopes.append(envelope)
        return "250 kept"

    async def auth_CRAM__MD5(self, server: Any, args: Any) -> AuthResult:
        import hashlib
        import hmac

        challenge = b"<1.2@aiosmtpd.example>"
        answer = await server.challenge_auth(challenge)
        digest = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
        right = answer == f"{USER} {digest}".encode()
        return AuthResult(success=right, handled=right, auth_data=USER)


def _authenticate(server: Any, session: Any, envelope: Any, name: str, data: Any) -> AuthResult:
    right = data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


class _Here(Controller):
    """A controller with a port of its own choice, whose readiness is a connection."""

    def _trigger_server(self) -> None:
        wait_for_port(self.port)


@contextmanager
def aiosmtpd(
    files: tuple[Path, Path] | None = None, *, implicit: bool = False, **options: Any
) -> Iterator[tuple[int, Kept]]:
    """aiosmtpd; gives its port and what it kept.

    :param files: key and certificate for TLS.
    """
    kept, port, context = Kept(), free_port(), None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files[1], files[0])
    tls: dict[str, Any] = {"ssl_context": context} if implicit else {"tls_context": context}
    controller = _Here(
        kept, hostname="127.0.0.1", port=port, authenticator=_authenticate, **tls, **options
    )
    controller.start()
    try:
        yield port, kept
    finally:
        controller.stop()
