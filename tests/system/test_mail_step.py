"""`netlab mail --step` on a terminal: nothing is said before Enter is pressed."""

from __future__ import annotations

import re

from support.daemon import NETLAB
from support.screen import Screen
from system.outgoing import PLAIN, aiosmtpd, netlab


def test_each_command_waits_for_enter() -> None:
    """EHLO, MAIL, RCPT, DATA and QUIT, each said when Enter is pressed and not before."""
    with aiosmtpd() as (port, kept):
        words = " ".join(("mail", "--server", f"127.0.0.1:{port}", *PLAIN, "--step"))
        with Screen(f"{NETLAB} {words}; echo ended $?; sleep 60") as screen:
            for pressed, verb in enumerate(("EHLO", "MAIL", "RCPT", "DATA", "QUIT"), 1):
                shown = screen.until(rf"(?s)(\[Enter\].*){{{pressed}}}")
                assert not re.search(rf"C: {verb}\b", shown), shown
                assert len(kept.envelopes) == (verb == "QUIT")
                screen.press("Enter")
                screen.until(rf"C: {verb}\b")
            screen.until("ended 0")


def test_no_terminal_no_steps() -> None:
    """Where nobody can press Enter the command says so, and nothing is sent."""
    with aiosmtpd() as (port, kept):
        ended = netlab("mail", "--server", f"127.0.0.1:{port}", *PLAIN, "--step")
    assert (ended.status, "wants a terminal" in ended.err) == (78, True), ended
    assert kept.envelopes == []
