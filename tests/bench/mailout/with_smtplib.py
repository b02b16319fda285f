"""``PORT COUNT``: mails per second of smtplib over one connection."""

from __future__ import annotations

import smtplib
import sys
import time

from .mail import MESSAGE, RECIPIENT, SENDER


def main(port: str, count: str) -> None:
    with smtplib.SMTP("127.0.0.1", int(port)) as client:
        client.ehlo()
        begun_s = time.perf_counter()
        for _ in range(int(count)):
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)
        print(int(count) / (time.perf_counter() - begun_s))


if __name__ == "__main__":
    main(*sys.argv[1:])
