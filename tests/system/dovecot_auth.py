"""Who may log in, asked by Postfix in the words of Dovecot's authentication protocol, version 1.

S: VERSION 1 1, MECH name ..., SPID, CUID, COOKIE, DONE      fields are parted by tabs
C: VERSION 1 1, CPID
C: AUTH id mechanism ... [resp=base64]
S: CONT id base64        C: CONT id base64
S: OK id user=name   or  FAIL id
"""

from __future__ import annotations

import hashlib
import hmac
import socketserver
import threading
from base64 import b64decode, b64encode
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from scramp import ScramException, ScramMechanism

_HELLO = """\
VERSION\t1\t1
MECH\tPLAIN\tplaintext
MECH\tLOGIN\tplaintext
MECH\tSCRAM-SHA-256\tmutual-auth
MECH\tCRAM-MD5\tdictionary\tactive
SPID\t1
CUID\t1
COOKIE\t0123456789abcdef0123456789abcdef
DONE
"""
_CHALLENGE = b"<1896.697170952@postoffice.example>"

#: Is sent what the client says, gives challenges, and in the end user and whether that is true.
Exchange = Generator[bytes, bytes, tuple[bytes, bool]]


def _exchange(mechanism: str, response: bytes, user: bytes, password: bytes) -> Exchange:
    if mechanism == "PLAIN":
        _, name, secret = (response or (yield b"")).split(b"\0")
        return name, (name, secret) == (user, password)
    if mechanism == "SCRAM-SHA-256":
        return (yield from _scram(response, user, password))
    if mechanism == "LOGIN":
        name = yield b"Username:"
        secret = yield b"Password:"
        return name, (name, secret) == (user, password)
    name, _, digest = (yield _CHALLENGE).rpartition(b" ")
    right = hmac.new(password, _CHALLENGE, hashlib.md5).hexdigest().encode()
    return name, (name, digest) == (user, right)


def _scram(response: bytes, user: bytes, password: bytes) -> Exchange:
    """The server's side of RFC 7677, by scramp."""
    scram = ScramMechanism("SCRAM-SHA-256")
    known = scram.make_auth_info(password.decode(), iteration_count=4096)
    server = scram.make_server({user.decode(): known}.__getitem__)
    server.set_client_first((response or (yield b"")).decode())
    final = yield server.get_server_first().encode()
    try:
        server.set_client_final(final.decode())
    except ScramException:
        return user, False
    yield server.get_server_final().encode()
    return user, True


@contextmanager
def authentication(user: str, password: str) -> Iterator[int]:
    """Answer for one user on a free port of the loopback; gives the port."""

    class Asked(socketserver.StreamRequestHandler):
        def say(self, *fields: str) -> None:
            self.wfile.write("\t".join(fields).encode() + b"\n")

        def handle(self) -> None:
            self.wfile.write(_HELLO.encode())
            exchanges: dict[str, Exchange] = {}
            for line in self.rfile:
                verb, *fields = line.decode().rstrip("\n").split("\t")
                if verb == "AUTH":
                    response = fields[-1].removeprefix("resp=") if "resp=" in line.decode() else ""
                    known = user.encode(), password.encode()
                    exchange = _exchange(fields[1], b64decode(response), *known)
                    exchanges[fields[0]] = exchange
                    self.go_on(fields[0], exchange, None)
                elif verb == "CONT":
                    self.go_on(fields[0], exchanges[fields[0]], b64decode(fields[1]))

        def go_on(self, number: str, exchange: Exchange, said: bytes | None) -> None:
            try:
                challenge = next(exchange) if said is None else exchange.send(said)
                self.say("CONT", number, b64encode(challenge).decode())
            except StopIteration as end:
                name, right = end.value
                self.say("OK" if right else "FAIL", number, f"user={name.decode()}")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Asked) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
