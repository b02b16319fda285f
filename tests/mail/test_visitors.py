"""netlabsvc.mail.visitors: which names and pages are ours."""

from __future__ import annotations

import pytest

from netlabsvc.mail.visitors import form_is_ours, host_is_ours, origin_is_ours


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        *(("localhost", True), ("LOCALHOST.:8080", True), ("lab.localhost", True)),
        *(("127.0.0.1:8080", True), ("127.9.9.9", True), ("[::1]:80", True)),
        *(("192.0.2.1:8080", True), ("192.0.2.2", False), ("[2001:db8::1]", False)),
        *(("teacher.lab:8080", True), ("TEACHER.lab.", True), ("evil.example", False)),
        *(("localhost.evil.example", False), ("127.0.0.1.evil.example", False), ("", False)),
        *(("evil.example:80:127.0.0.1", False), ("[::1].evil.example", False)),
    ],
)
def test_a_host_is_ours_by_loopback_own_address_or_configuration(host: str, ours: bool) -> None:
    """A stranger's name that points here (DNS rebinding) is none of them."""
    assert host_is_ours(host, "::ffff:192.0.2.1", ("teacher.lab",)) is ours


@pytest.mark.parametrize("name", ["Teacher.lab", "teacher.lab:8080", "teacher.lab."])
def test_a_configured_name_may_be_written_as_browsers_do(name: str) -> None:
    """With a port, in any case, with a last dot."""
    assert host_is_ours("teacher.lab:8080", "192.0.2.1", (name,))


def test_a_star_takes_every_name() -> None:
    """Who wants that can have it."""
    assert host_is_ours("anything.example", "192.0.2.1", ("*",))


@pytest.mark.parametrize(
    ("origin", "site", "ours"),
    [
        *((None, None, True), (None, "same-origin", True), (None, "none", True)),
        *((None, "cross-site", False), (None, "same-site", False)),
        *(("http://lab:80", None, True), ("http://lab:80", "cross-site", True)),
        *(
            ("https://lab:80", None, False),
            ("http://lab", None, False),
            ("http://evil", None, False),
        ),
        *(("null", None, False), ("null", "same-origin", True), ("null", "cross-site", False)),
    ],
)
def test_a_listener_is_a_page_of_ours(origin: str | None, site: str | None, ours: bool) -> None:
    """By Origin where there is one, else by Sec-Fetch-Site; who is no browser has neither."""
    assert origin_is_ours(origin, site, "lab:80", secure=False) is ours


@pytest.mark.parametrize(
    ("origin", "token", "ours"),
    [
        *(("http://lab:80", "", True), ("http://evil", "secret", False)),
        *(("null", "secret", True), ("null", "wrong", False), (None, "secret", True)),
        *((None, "", False), (None, "密", False)),
    ],
)
def test_a_form_is_ours_by_origin_or_token(origin: str | None, token: str, ours: bool) -> None:
    """A stranger's Origin is refused even with the token; without one the token decides."""
    assert form_is_ours(origin, "lab:80", token, "secret", secure=False) is ours
