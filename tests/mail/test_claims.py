"""netlabsvc.mail.claims: who claims what, side by side."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mail.keeping import RECORD
from netlabsvc.mail.claims import Claim, claims
from netlabsvc.mail.parts import Parts
from netlabsvc.mail.record import Record


def table(record: Record, *headers: tuple[str, str]) -> dict[str, Claim]:
    """The claims by their layer."""
    return {one.layer: one for one in claims(record, Parts(headers))}


def test_each_layer_says_its_own() -> None:
    """The connection, the login, the envelope and four headers, in this order."""
    found = table(RECORD, ("From", "Eve <eve@lab>"), ("Reply-To", "x@y"), ("From", "z@y"))
    assert list(found) == [
        *("TCP", "TLS", "EHLO", "AUTH", "MAIL FROM", "From", "Sender", "Reply-To", "Return-Path"),
    ]
    assert found["TCP"].value == "127.0.0.1:4000"
    assert found["TLS"].value == "TLSv1.3 AES"
    assert found["From"].value == "Eve <eve@lab>, z@y"
    assert not found["Sender"].given


def test_who_names_another_mailbox_than_the_envelope_is_marked() -> None:
    """A forged From and Reply-To are; the same address under a name, in any case, is not."""
    found = table(RECORD, ("From", '"Ada, L." <ADA@lab>'), ("Reply-To", "eve@lab"))
    assert {layer for layer, one in found.items() if one.differs} == {"Reply-To"}
    found = table(RECORD, ("From", "ada@lab, eve@lab"))
    assert found["From"].differs


def test_a_login_is_compared_with_the_sender() -> None:
    """With its domain or without; another user's mailbox is marked."""
    for user, differs in (("ada", False), ("ada@lab", False), ("bob", True)):
        facts = replace(RECORD.facts, auth_user=user)
        assert table(replace(RECORD, facts=facts))["AUTH"].differs is differs


def test_a_header_past_reading_is_marked_and_no_more() -> None:
    """Thousands of comments in comments do not make it raise; such a From names nobody."""
    record = replace(RECORD, mail_from="ada@lab")
    assert table(record, ("From", "(" * 5000))["From"].differs


def test_nothing_is_compared_with_nobody() -> None:
    """The null path, and a session without MAIL, mark nothing; the two are told apart."""
    null = table(replace(RECORD, mail_from=""), ("From", "ada@lab"))
    assert (null["MAIL FROM"].value, null["MAIL FROM"].given) == ("<>", True)
    none = table(replace(RECORD, mail_from=None), ("From", "ada@lab"))
    assert not none["MAIL FROM"].given
    assert not any(one.differs for one in (*null.values(), *none.values()))


@given(st.text(), st.text())
def test_any_header_can_be_compared(value: str, envelope: str) -> None:
    """No header makes it raise."""
    assert claims(replace(RECORD, mail_from=envelope), Parts((("From", value),)))
