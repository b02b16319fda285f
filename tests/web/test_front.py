"""The front page: what runs where, in commands that can be copied."""

from __future__ import annotations

import re

import pytest

from netlabsvc.config import KEYS
from netlabsvc.web.front import Listening, render

CHAT = Listening("chat.port", "127.0.0.1", 12000, "tcp")


def page(*listening: Listening, called: str = "lab") -> str:
    return render(listening, called).decode("utf-8")


def commands(text: str) -> list[str]:
    """The commands on a page, as a click copies them."""
    found = re.findall(r"<code>(.*?)</code>", text.partition("<footer>")[0])
    return [re.sub(r"</?span>", "", command) for command in found]


def test_what_listens_is_shown_with_its_address() -> None:
    """A listener with the address it has, and commands of netlab and of other programs."""
    text = page(CHAT)
    assert "<b>127.0.0.1:12000</b>" in text
    assert commands(text) == [
        "nc 127.0.0.1 12000",
        "telnet 127.0.0.1 12000",
        "netlab chat 127.0.0.1:12000 --name ada",
    ]
    assert "Not running in this lab: Echo, Web, Mail." in text
    assert "Only this machine can connect" in text


def test_the_inbox_is_named_where_there_is_one() -> None:
    """A link to it, unless it is off."""
    mail = Listening("mail.sandbox.port", "127.0.0.1", 2525, "tcp")
    assert b'href="inbox"' in render([mail], "lab", inbox=True)
    assert b'href="inbox"' not in render([mail], "lab")


#: Every port that the lab listens on; that of the queue is others'.
PORTS = [key for key in KEYS if key.endswith("port") and not key.startswith("mail.queue.")]


@pytest.mark.parametrize("key", PORTS)
@pytest.mark.parametrize("tls", [False, True])
def test_every_listener_can_be_shown(key: str, tls: bool) -> None:
    """There is no listener in the configuration that the page does not know."""
    assert "<b>192.0.2.1:5</b>" in page(Listening(key, "192.0.2.1", 5, "tcp", tls))


@pytest.mark.parametrize(
    ("host", "called", "shown"),
    [
        ("0.0.0.0", "lab.school.example", "lab.school.example:12000"),
        ("0.0.0.0", "192.0.2.7", "192.0.2.7:12000"),
        ("::", "2001:db8::7", "[2001:db8::7]:12000"),
        ("::1", "lab", "[::1]:12000"),
        ("0.0.0.0", "", "127.0.0.1:12000"),
        ("0.0.0.0", "a;reboot", "127.0.0.1:12000"),
        ("::", "$(reboot)", "[::1]:12000"),
        ("::", "-rf", "[::1]:12000"),
        ("0.0.0.0", "<script>", "127.0.0.1:12000"),
    ],
)
def test_a_wildcard_is_called_as_the_visitor_does(host: str, called: str, shown: str) -> None:
    """The name that led here leads there, too, unless a shell would not take it for a name."""
    text = page(Listening("chat.port", host, 12000, "tcp"), called=called)
    assert f"<b>{shown}</b>" in text
    assert "reboot" not in text
    assert "<script" not in text


def test_tls_has_commands_of_its_own() -> None:
    """What speaks TLS is not tried with nc."""
    text = page(Listening("web.port", "127.0.0.1", 8443, "tcp", tls=True))
    assert commands(text)[0] == "curl -kv https://127.0.0.1:8443/helloWorld.html"
    assert "over TLS" in text
