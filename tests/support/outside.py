"""The outside programs that tests talk to, and the Debian package of each.

Run as a program it prints the packages, for ``make outside``.
"""

from __future__ import annotations

import os
import shutil

#: Not ngircd, though the bench runs beside it where it is installed: its package starts a server
#: that listens on all addresses. So would nginx's, which ``make outside`` only unpacks.
PACKAGES = {
    "nc": "netcat-openbsd",
    "ncat": "ncat",
    "telnet": "telnet",
    "expect": "expect",
    "curl": "curl",
    "make": "make",
    "openssl": "openssl",
    "socat": "socat",
    "swaks": "swaks",
    "msmtp": "msmtp",
    "smtp-source": "postfix",
    "tmux": "tmux",
    "groff": "groff-base",
    "systemd-analyze": "systemd",
    "systemd-socket-activate": "systemd",
    "bash": "bash",
    "irtt": "irtt",
    "slowhttptest": "slowhttptest",
    "wrk": "wrk",
    "smtp-sink": "postfix",
    "postfix": "postfix",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
}

UNPACKED = {"nginx": "nginx"}


def need(program: str) -> str:
    """The path of an outside program; skips the test where it is missing.

    With OUTSIDE=require in the environment a missing program is a failure.
    """
    import pytest

    places = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin"
    path = shutil.which(program, path=places)
    if path is None:
        package = (PACKAGES | UNPACKED)[program]
        reason = f"needs {program}: apt-get install {package} (or: make outside)"
        if os.environ.get("OUTSIDE") == "require":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


if __name__ == "__main__":
    print(*sorted(set(PACKAGES.values())))
