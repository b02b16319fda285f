"""AUTH: which mechanism, in which order, and what must not be shown."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from traceback import TracebackException

import pytest

from netlabsvc.mail.credentials import BadChallenge, Credentials, Login, NotLoggedIn
from netlabsvc.mail.plan import Plan

ALL = ("LOGIN", "PLAIN", "CRAM-MD5", "XOAUTH2", "SCRAM-SHA-256")


def login(*offered: str, private: bool = True, **more: object) -> Login:
    credentials = Credentials("ada", "hunter22", **more)  # type: ignore[arg-type]
    return Login(credentials, offered, private=private, nonce="n0nce")


def test_mechanisms_in_turn_the_best_first() -> None:
    """After a 535 the next one; at the end all refusals are told."""
    attempt = login(*ALL)
    assert attempt.begin() == b"AUTH SCRAM-SHA-256 " + b64encode(b"n,,n=ada,r=n0nce")
    assert attempt.failed(535, "no") == b"AUTH CRAM-MD5"
    assert attempt.failed(535, "no") == b"AUTH PLAIN " + b64encode(b"\0ada\0hunter22")
    assert attempt.failed(535, "no") == b"AUTH LOGIN"
    assert attempt.challenged(b64encode(b"Username:")) == b64encode(b"ada")
    assert attempt.challenged(b64encode(b"Password:")) == b64encode(b"hunter22")
    assert attempt.failed(535, "no").startswith(b"AUTH XOAUTH2 ")
    with pytest.raises(NotLoggedIn, match=r"^SCRAM-SHA-256 refused: 535 no; CRAM-MD5 refused: "):
        attempt.failed(535, "no")


def test_where_others_can_listen_nothing_that_shows_the_password() -> None:
    """PLAIN, LOGIN and XOAUTH2 want TLS, the loopback, or the word that it does not matter."""
    assert login(*ALL, private=False).begin().startswith(b"AUTH SCRAM")
    with pytest.raises(NotLoggedIn, match="PLAIN LOGIN would show the password"):
        login("LOGIN", "PLAIN", private=False).begin()
    with pytest.raises(NotLoggedIn, match="XOAUTH2 would show"):
        login(*ALL, private=False, mechanism="XOAUTH2").begin()
    assert login("PLAIN", private=False, insecure=True).begin().startswith(b"AUTH PLAIN")


def test_what_is_not_offered_is_not_said() -> None:
    """The complaint names what is offered, and what was wanted."""
    with pytest.raises(NotLoggedIn, match="no AUTH at all"):
        login().begin()
    with pytest.raises(NotLoggedIn, match="offers GSSAPI, none of CRAM-MD5"):
        login("GSSAPI", mechanism="CRAM-MD5").begin()


def test_a_334_that_is_no_base64() -> None:
    """The attempt is given up with a star, and no other is made: this server speaks no SASL."""
    attempt = login("CRAM-MD5", "PLAIN")
    attempt.begin()
    assert attempt.challenged(b"hello there!") == b"*"
    with pytest.raises(BadChallenge, match="no Base64"):
        attempt.failed(501, "cancelled")


def test_no_repr_has_the_password() -> None:
    """Whatever is in a traceback, a log or a debugger's line: plans, logins, clients, failures."""
    secret = "correct-horse"
    credentials = Credentials("ada", secret)
    attempt = Login(credentials, ["PLAIN", "LOGIN"], private=True, nonce="x")
    attempt.begin()
    plan = Plan(credentials=credentials)
    for told in (credentials, plan, attempt, replace(plan, pipelining=True)):
        assert secret not in repr(told)
    attempt.failed(535, "no")
    with pytest.raises(NotLoggedIn) as caught:
        attempt.failed(535, "no")
    report = "".join(TracebackException.from_exception(caught.value).format())
    assert "PLAIN refused: 535 no" in report
    assert secret not in report


def test_what_was_said_in_confidence_is_known() -> None:
    """The password and each answer, so that a server which repeats them shows nothing."""
    attempt = login("PLAIN")
    said = attempt.begin().split()[-1].decode()
    assert {"hunter22", said} <= set(attempt.secrets)
    assert "ada" not in attempt.secrets
    assert "hunter22" not in repr(Credentials("ada", "hunter22"))
