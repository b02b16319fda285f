"""Small servers that answer one connection as they are told, and `netlab get` asking them."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from support.daemon import NETLAB

Server = Callable[[socket.socket], None]


def get(*arguments: str) -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of a run."""
    done = subprocess.run([NETLAB, "get", *arguments], capture_output=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr.decode("utf-8")


@contextmanager
def served(*serve: Server) -> Iterator[str]:
    """A server in a thread that treats each connection in turn as told; gives its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def all_of_them() -> None:
            for one in serve:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(20)
                    one(connection)

        thread = threading.Thread(target=all_of_them)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):  # for those who did not come
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)


def heard(connection: socket.socket) -> bytes:
    """One request, without a body."""
    request = b""
    while not request.endswith(b"\r\n\r\n") and (data := connection.recv(65536)):
        request += data
    return request


def says(*pieces: bytes, heard_to: list[bytes] | None = None) -> Server:
    """A server that reads one request, answers in pieces and closes.

    :param heard_to: gets the request.
    """

    def serve(connection: socket.socket) -> None:
        request = heard(connection)
        if heard_to is not None:
            heard_to.append(request)
        for piece in pieces:
            connection.sendall(piece)

    return serve
