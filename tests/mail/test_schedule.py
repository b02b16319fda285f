"""What the queue does with a recipient, and when."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.mail.delivery import Ending, Fate, Result, Stage
from netlabsvc.mail.delivery import Recipient as Told
from netlabsvc.mail.schedule import Attempt, Patience, Recipient, State, called_off, in_words

PATIENCE = Patience(60, 14400, 3 * 86400)
FATES = [Fate.DELIVERED, Fate.REFUSED, Fate.DEFERRED, Fate.UNKNOWN]


def told(fate: Fate, code: int = 0, stage: Stage = Stage.RCPT) -> Result:
    """A dialogue that ended so for one recipient."""
    ending = Ending.UNKNOWN if fate is Fate.UNKNOWN else Ending.TRY_LATER
    return Result(ending, stage, "why", (Told("bob@lab", fate, code, "why"),))


def after(one: Recipient, result: Result, now_s: float = 0.0) -> Recipient:
    """A recipient that was queued at 0, after an attempt."""
    (tried,) = Attempt(result).applied([one.begun()], 0.0, now_s, PATIENCE, Random(1))
    return tried


@pytest.mark.parametrize(
    ("fate", "code", "state"),
    [
        (Fate.DELIVERED, 250, State.DELIVERED),
        (Fate.REFUSED, 550, State.BOUNCED),
        (Fate.DEFERRED, 450, State.DEFERRED),
        (Fate.DEFERRED, 0, State.DEFERRED),
        (Fate.UNKNOWN, 0, State.UNKNOWN),
    ],
)
def test_what_an_attempt_makes_of_a_recipient(fate: Fate, code: int, state: State) -> None:
    """2xx is the end, 5xx too; 4xx and silence wait."""
    tried = after(Recipient("bob@lab"), told(fate, code))
    assert (tried.state, tried.attempts, tried.under_way) == (state, 1, False)
    assert tried.settled == (state in (State.DELIVERED, State.BOUNCED))


def test_who_was_unknown_stays_so_until_a_server_decides() -> None:
    """A 4xx does not make it forgotten that a copy may have arrived; a 2xx settles it."""
    unknown = after(Recipient("bob@lab"), told(Fate.UNKNOWN))
    again = after(unknown, told(Fate.DEFERRED, 450))
    assert (again.state, again.doubtful) == (State.UNKNOWN, 1)
    done = after(again, told(Fate.DELIVERED, 250))
    assert (done.state, done.doubtful) == (State.DELIVERED, 1)


def test_a_crash_under_way_is_unknown() -> None:
    """What had begun may have been delivered; what had not is as it was."""
    begun = Recipient("bob@lab").begun()
    assert (begun.recovered().state, begun.recovered().doubtful) == (State.UNKNOWN, 1)
    assert Recipient("bob@lab").recovered() == Recipient("bob@lab")


@pytest.mark.parametrize("stage", [Stage.GREETING, Stage.EHLO, Stage.AUTH, Stage.STARTTLS])
def test_a_server_that_wants_nobody_bounces_nothing(stage: Stage) -> None:
    """A 5xx before MAIL is about the server; what it cannot carry (code 0) is about the mail."""
    assert after(Recipient("bob@lab"), told(Fate.REFUSED, 554, stage)).state is State.DEFERRED
    assert Attempt(told(Fate.REFUSED, 554, stage)).host_is_down
    assert after(Recipient("bob@lab"), told(Fate.REFUSED, 0, stage)).state is State.BOUNCED
    assert not Attempt(told(Fate.REFUSED, 0, stage)).host_is_down


def test_what_was_cut_before_the_dot_is_put_back() -> None:
    """An attempt that was called off counts for nothing, unless somebody decided something."""
    assert called_off(told(Fate.DEFERRED))
    assert not any(called_off(told(fate)) for fate in FATES if fate is not Fate.DEFERRED)
    assert Recipient("bob@lab").begun().put_back() == Recipient("bob@lab")


@given(st.integers(0, 10_000), st.floats(0.05, 86400), st.floats(0.05, 7 * 86400), st.randoms())
def test_back_off(attempts: int, least_s: float, most_s: float, random: Random) -> None:
    """Never less than the least, never more than the most (or the least, where that is more)."""
    wait_s = Patience(least_s, most_s, 86400).wait_s(attempts, random)
    assert least_s <= wait_s <= max(least_s, most_s)


def test_back_off_grows_and_scatters() -> None:
    """About twice as long each time, from one minute to four hours, and never all at once."""
    spans = [[PATIENCE.wait_s(n, Random(seed)) for seed in range(50)] for n in range(1, 12)]
    assert [round(max(span) / 60) for span in spans[:4]] == [2, 4, 8, 16]
    assert [min(span) for span in spans] == sorted(min(span) for span in spans)
    assert 7200 <= min(spans[-1]) < max(spans[-1]) <= 14400
    assert all(len(set(span)) == 50 for span in spans)


@given(st.lists(st.sampled_from([Fate.DEFERRED, Fate.UNKNOWN]), min_size=1, max_size=200))
def test_patience_ends(fates: list[Fate]) -> None:
    """Without success the last attempt comes when three days are over, and then it bounces."""
    one, now_s = Recipient("bob@lab"), 0.0
    for fate in fates:
        one = after(one, told(fate, 0), now_s)
        if one.settled:
            break
        assert now_s < PATIENCE.expire_s
        assert now_s + 60 <= one.due_s <= now_s + 14400 + 60
        now_s = one.due_s
    if one.settled:
        assert (one.state, now_s >= PATIENCE.expire_s) == (State.BOUNCED, True)
        assert now_s <= PATIENCE.expire_s + 60
        assert one.text == "not delivered in 3 days; the last answer: why"
        assert one.doubtful == fates[: one.attempts].count(Fate.UNKNOWN)


def test_times_in_words() -> None:
    """As one says them."""
    times = [1, 90, 119, 120, 3600, 7200, 86400, 3 * 86400, 0.5]
    words = ["1 s", "90 s", "119 s", "2 min", "1 h", "2 h", "24 h", "3 days", "0.5 s"]
    assert [in_words(time) for time in times] == words
