"""What follows from how a dialogue ended, without sockets."""

from __future__ import annotations

import pytest

from netlabsvc.mail.address import AddressError
from netlabsvc.mail.delivery import Ending, Fate, Outgoing, Progress, Result, Stage
from netlabsvc.mail.message import MessageError


def after_rcpt(*codes: int) -> Progress:
    """A mail to as many recipients as codes, which are the replies to their RCPT."""
    outgoing = Outgoing("ada@lab", tuple(f"u{code}@lab" for code in codes), b"hi\r\n")
    progress = Progress(outgoing)
    progress.stage = Stage.RCPT
    for code in codes:
        assert progress.next_recipient == f"u{code}@lab"
        progress.answered_rcpt(code, "text")
    assert progress.next_recipient is None
    return progress


def fates(result: Result) -> list[str]:
    return [recipient.fate.value for recipient in result.recipients]


def test_all_or_some_are_delivered() -> None:
    """A 2xx after the dot decides for those whose RCPT was accepted, in their order."""
    assert after_rcpt(250, 251).replied(250, "ok").ending is Ending.DELIVERED
    some = after_rcpt(550, 250, 450).replied(250, "ok")
    assert some.ending is Ending.SOME_REFUSED
    assert fates(some) == ["refused", "delivered", "deferred"]
    assert some.cause == "u550@lab refused: 550 text, and 1 more"


def test_nobody_was_accepted() -> None:
    """For good when all said 5xx; one 4xx makes it worth another try."""
    assert after_rcpt(550, 553).none_accepted().ending is Ending.ALL_REFUSED
    assert after_rcpt(550, 450).none_accepted().ending is Ending.TRY_LATER
    assert not after_rcpt(550, 450).any_accepted
    assert after_rcpt(550, 250).any_accepted


@pytest.mark.parametrize(
    ("stage", "code", "ending", "fate"),
    [
        (Stage.MAIL, 553, Ending.UNAVAILABLE, Fate.REFUSED),
        (Stage.GREETING, 421, Ending.TRY_LATER, Fate.DEFERRED),
        (Stage.DOT, 552, Ending.UNAVAILABLE, Fate.REFUSED),
        (Stage.DOT, 451, Ending.TRY_LATER, Fate.DEFERRED),
    ],
)
def test_a_reply_ends_it(stage: Stage, code: int, ending: Ending, fate: Fate) -> None:
    """A refusal at any stage is that of every recipient, with its code."""
    progress = Progress(Outgoing("", ("bob@lab",), b""))
    progress.stage = stage
    result = progress.replied(code, "no")
    assert (result.ending, result.stage) == (ending, stage)
    assert (result.recipients[0].fate, result.recipients[0].code) == (fate, code)


def test_after_the_dot_the_outcome_is_unknown() -> None:
    """Before it nothing was delivered, and trying again is safe."""
    progress = after_rcpt(250, 550)
    assert fates(progress.cannot(Ending.TRY_LATER, "lost")) == ["deferred", "refused"]
    progress.stage = Stage.DOT
    for ending in (Ending.TRY_LATER, Ending.PROTOCOL):
        result = progress.cannot(ending, "lost")
        assert result.ending is Ending.UNKNOWN
        assert fates(result) == ["unknown", "refused"]


def test_what_cannot_be_sent_is_refused_before() -> None:
    """Addresses and lines are checked when the mail is made, and never mended."""
    with pytest.raises(AddressError, match="LF"):
        Outgoing("ada@lab\nRSET", ("bob@lab",), b"")
    with pytest.raises(AddressError, match="no @"):
        Outgoing("ada@lab", ("bob@lab", "eve"), b"")
    with pytest.raises(MessageError, match="line 1"):
        Outgoing("", ("bob@lab",), b"x" * 999)
