"""The reflector of the textbooks, without its loss: ``python blocking_loop.py PORT``."""

from __future__ import annotations

import socket
import sys
import time


def main(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        while True:
            datagram, source = sock.recvfrom(2048)
            sock.sendto(b"%d %s" % (time.time_ns() // 1_000_000, datagram), source)


if __name__ == "__main__":
    main(int(sys.argv[1]))
