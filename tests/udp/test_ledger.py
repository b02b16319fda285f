"""Which reply belongs to which probe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netlabsvc.udp.ledger import Ledger, Replied, TimedOut
from netlabsvc.udp.probe import Answer
from netlabsvc.udp.trace import Matching, Stamps, Trace


def ledger(*sent_ns: int) -> Ledger:
    """One of a run with a timeout of 100 ns, and probes that have left."""
    book = Ledger(Trace(100, "text", stamps=Stamps.KERNEL))
    for at_ns in sent_ns:
        book.send(at_ns, at_ns, at_ns)
    return book


def came(book: Ledger, seq: int | None, at_ns: int) -> tuple[int, int, bool, bool, bool] | None:
    """Write down a reply: number, round trip, late, duplicate, reordered."""
    event = book.receive(Answer(seq), at_ns, at_ns, 8)
    return None if event is None else (event.reply.seq, *event.flags)


def test_late_and_duplicate_replies_stay_with_their_own_number() -> None:
    """The late reply to 1 is never that to 2, and a second one is told to be a duplicate."""
    book = ledger(0, 50)
    assert book.expire(99) == []
    assert book.expire(100) == [TimedOut(1)]
    assert book.expire(100) == []
    assert came(book, 1, 120) == (1, 120, True, False, False)
    assert came(book, 2, 130) == (2, 80, False, False, False)
    assert came(book, 2, 140) == (2, 90, False, True, False)
    assert book.next_deadline_ns() is None
    assert [reply.seq for reply in book.trace.replies] == [1, 2, 2]


def test_a_reply_at_its_deadline_is_late() -> None:
    """One nanosecond before the deadline is in time, the deadline itself is not."""
    book = ledger(0, 0)
    assert came(book, 1, 99) == (1, 99, False, False, False)
    assert came(book, 2, 100) == (2, 100, True, False, False)


def test_a_reply_after_one_to_a_later_probe_is_reordered() -> None:
    """By the highest number that came, not by the one before; its copy is none."""
    book = ledger(0, 0, 0)
    assert [came(book, seq, 9) for seq in (3, 1, 2, 2)] == [
        *((3, 9, False, False, False), (1, 9, False, False, True)),
        *((2, 9, False, False, True), (2, 9, False, True, False)),
    ]


def test_without_numbers_the_oldest_open_probe_gets_the_reply() -> None:
    """One that was given up is not open any more; where none is open, a reply is a stray."""
    book = ledger(0, 50, 60)
    assert book.expire(100) == [TimedOut(1)]
    assert came(book, None, 110) == (2, 60, False, False, False)
    assert came(book, None, 111) == (3, 51, False, False, False)
    assert came(book, None, 112) is None
    assert book.trace.matching is Matching.ORDER
    assert book.trace.strays == 1


def test_where_numbers_come_a_reply_without_is_nobodys() -> None:
    """The first reply had a number: the run goes by numbers."""
    book = ledger(0, 0)
    assert came(book, 2, 10) == (2, 10, False, False, False)
    assert came(book, None, 20) is None
    assert book.receive(None, 20, 20, 8) is None
    assert book.trace.matching is Matching.NUMBER
    assert book.trace.strays == 2


def test_a_number_takes_back_what_was_given_by_order() -> None:
    """A greeting was taken for the reply to 1; then a number shows that it was not."""
    book = ledger(0, 0)
    assert came(book, None, 10) == (1, 10, False, False, False)
    assert came(book, 1, 20) == (1, 20, False, False, False)
    assert book.trace.matching is Matching.NUMBER
    assert [reply.arrived_ns for reply in book.trace.replies] == [20]
    assert book.trace.strays == 1
    assert book.expire(100) == [TimedOut(2)]
    assert "taken back" in book.trace.notes[0]


def test_what_was_taken_back_can_still_time_out() -> None:
    """The probe that had only the greeting is open again."""
    book = ledger(0, 0)
    came(book, None, 10)
    came(book, 2, 20)
    assert book.expire(100) == [TimedOut(1)]


def test_the_kernel_knows_when_a_probe_left() -> None:
    """Its time counts for round trip and deadline, until its clock is not to be trusted."""
    book = ledger(0)
    book.left(1, 7, 1007)
    assert book.next_deadline_ns() == 107
    event = book.receive(Answer(1), 50, 60, 8)
    assert isinstance(event, Replied)
    assert event.flags.rtt_ns == 43
    book.distrust_kernel("the clock was set")
    (probe,), (reply,) = book.trace.probes, book.trace.replies
    assert (probe.sent_ns, reply.arrived_ns, book.trace.stamps) == (0, 60, Stamps.USER)


@given(
    st.lists(st.tuples(st.integers(0, 60), st.sampled_from("srne"), st.integers(1, 9))),
)
def test_every_probe_is_answered_or_expires_once(steps: list[tuple[int, str, int]]) -> None:
    """Whatever the order of sending, replies and time: a reply never counts for a probe that has
    not left, nothing times out twice, and nothing stays open."""
    book, now_ns, expired = ledger(), 0, []
    for wait_ns, step, seq in [*steps, (1000, "e", 1)]:
        now_ns += wait_ns
        if step == "s":
            book.send(now_ns, now_ns, now_ns)
        elif step == "e":
            expired += [event.seq for event in book.expire(now_ns)]
        elif step == "n" or seq <= len(book.trace.probes):
            came(book, None if step == "n" else seq, now_ns)
    assert book.next_deadline_ns() is None
    answered = {reply.seq for reply in book.trace.replies}
    assert answered | set(expired) == set(range(1, len(book.trace.probes) + 1))
    if len(set(expired)) < len(expired):
        assert book.trace.notes  # only what was taken back may time out again
