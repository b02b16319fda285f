"""SASL mechanisms by the examples of their RFCs, and servers that cheat."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scramp import ScramMechanism

from netlabsvc.mail.mechanisms import MECHANISMS, AuthError, CramMd5, ScramSha256, saslprep

NONCE = "rOprNGfwEbeRWgbNEkqO"
FIRST = f"r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_scram_by_rfc_7677() -> None:
    """The example of section 3, both directions."""
    scram = ScramSha256("user", "pencil", NONCE)
    assert scram.initial == f"n,,n=user,r={NONCE}".encode()
    assert (
        scram.answer(FIRST)
        == (
            f"c=biws,r={NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        ).encode()
    )
    assert scram.answer(FINAL) == b""
    scram.finish()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"", "no SCRAM"),
        (b"r=other,s=W22Z,i=4096", "does not begin with ours"),
        (f"r={NONCE},s=W22Z,i=4096".encode(), "does not begin with ours"),
        (FIRST.replace(b"4096", b"1"), "1 iterations"),
        (FIRST.replace(b"4096", b"99999999"), "99999999 iterations"),
        (FIRST.replace(b"4096", b"many"), "is none"),
        (FIRST.replace(b"W22", b"???"), "no Base64"),
        (b"e=unknown-user", "says unknown-user"),
        (FIRST.replace(b"s=", b"x="), "sent no s="),
    ],
)
def test_scram_with_a_server_that_cheats(first: bytes, why: str) -> None:
    """A nonce of its own, work without end, or none: refused before the proof is made."""
    with pytest.raises(AuthError, match=why):
        ScramSha256("user", "pencil", NONCE).answer(first)


def test_scram_asks_the_server_for_its_proof() -> None:
    """A yes without it, or a wrong one, is no yes: whoever answers may not know the password."""
    scram = ScramSha256("user", "pencil", NONCE)
    scram.answer(FIRST)
    with pytest.raises(AuthError, match="without proving"):
        scram.finish()
    with pytest.raises(AuthError, match="does not know the password"):
        scram.answer(FINAL.replace(b"6", b"7"))


def test_cram_md5_by_rfc_2195() -> None:
    """The example of section 2."""
    cram = CramMd5("tim", "tanstaaftanstaaf", "")
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert cram.answer(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"
    cram.finish()
    with pytest.raises(AuthError, match="two"):
        cram.answer(challenge)


def test_what_is_said_in_clear() -> None:
    """PLAIN and XOAUTH2 with AUTH, LOGIN in two answers; nothing is said a second time."""
    plain, login, token = (MECHANISMS[m]("小", "p", "") for m in ("PLAIN", "LOGIN", "XOAUTH2"))
    assert plain.initial == b"\0\xe5\xb0\x8f\0p"
    assert login.initial is None
    assert [login.answer(b"Username:"), login.answer(b"")] == ["小".encode(), b"p"]
    assert token.initial == "user=小\1auth=Bearer p\1\1".encode()
    assert token.answer(b'{"status":"401"}') == b""
    for mechanism in (plain, login, token):
        with pytest.raises(AuthError, match="once more"):
            mechanism.answer(b"Password:")
    with pytest.raises(AuthError, match="NUL"):
        MECHANISMS["PLAIN"]("a", "b\0c", "")


@given(
    st.text(st.sampled_from("aZ09,=小é\u00aa"), min_size=1),
    st.text(st.sampled_from("a ,=密é\u2168\u00a0"), min_size=1),
)
@settings(max_examples=20)
def test_scram_with_the_server_of_others(user: str, password: str) -> None:
    """scramp takes any name and password that we can say, and we take its proof."""
    scram = ScramMechanism("SCRAM-SHA-256")
    known = scram.make_auth_info(password, iteration_count=4096)
    server, client = scram.make_server(lambda name: known), ScramSha256(user, password, NONCE)
    assert client.initial is not None
    server.set_client_first(client.initial.decode())
    server.set_client_final(client.answer(server.get_server_first().encode()).decode())
    assert client.answer(server.get_server_final().encode()) == b""
    client.finish()


def test_xoauth2_by_the_example_of_its_maker() -> None:
    """Google's own: the line that goes with AUTH, byte for byte."""
    token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
    initial = MECHANISMS["XOAUTH2"]("someuser@example.com", token, "").initial
    assert initial is not None
    assert b64encode(initial) == (
        b"dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNr"
        b"QmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    )


@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_saslprep_by_rfc_4013(text: str, prepared: str) -> None:
    """The examples of section 3; control characters are refused."""
    assert saslprep(text) == prepared
    with pytest.raises(AuthError):
        saslprep("\u0007")


@given(st.sampled_from([ScramSha256, CramMd5]), st.lists(st.binary(max_size=60), max_size=3))
def test_no_challenge_breaks_a_mechanism(
    mechanism: Callable[[str, str, str], ScramSha256 | CramMd5], challenges: list[bytes]
) -> None:
    """Whatever comes is answered, or refused in words; nothing else is raised."""
    attempt = mechanism("user", "pencil", NONCE)
    with suppress(AuthError):
        for challenge in challenges:
            attempt.answer(challenge)
