"""The room: what is said in it, and who hears it. It knows nothing of sockets.

Everything said in one turn of the reactor is collected (see turn.py) and delivered by `flush`;
`wake` is called when there is something to flush.

    mode       who hears a line
    hub        everyone but its speaker
    echo       its speaker alone
    operator   the operator alone, and the speaker hears the operator's answers (see desk.py)
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import replace

from netlabsvc.chat.bans import Bans
from netlabsvc.chat.desk import Desk, Line
from netlabsvc.chat.member import Member
from netlabsvc.chat.message import Echo, Message, News, Notice, Said
from netlabsvc.chat.roster import Roster, Seat
from netlabsvc.chat.tally import Cut, Tally
from netlabsvc.chat.turn import Turn

HISTORY_LINES = 20
#: Above so many members, comings and goings are summed up instead of told one by one.
CROWD = 200
MODES = {
    "hub": "everyone hears everyone else",
    "echo": "what you say comes back to you alone",
    "operator": "you talk with the operator alone",
}
_NO_OPERATOR = "no operator is here yet; your lines are kept"
_MUTED = "the operator has muted you: nobody hears what you say"


class Hub:
    """One room, shared by all listeners."""

    def __init__(
        self, wake: Callable[[], None], now: Callable[[], float], mode: str = "hub"
    ) -> None:
        """:param wake: called once when `flush` has something to do.
        :param now: wall clock time in seconds since the epoch.
        """
        self.mode = mode
        self.topic = ""
        self.seats: Roster[Member] = Roster()
        self.history: deque[Said] = deque(maxlen=HISTORY_LINES)
        self.bans = Bans()
        self.desk = Desk()
        self.tally = Tally()
        self._crowd: Counter[str] = Counter()
        self._turn: Turn[Member] = Turn()
        self.leaving: list[Member] = []  # they get their last line at the end of the turn
        self._awake = False
        self._wake = wake
        self.now = now

    # Coming and going.

    def enter(self, member: Member, name: str | None = None, *, greeted: bool = True) -> Seat:
        """Give a member a seat, tell the others, and greet it with the last lines.

        :raises ValueError: when the name is not allowed or taken.
        """
        seat = self.seats.add(member, name, self.now())
        self._turn.enter(member)
        if greeted:
            self.tell(member, self._greeting(seat))
            self.replay(member)
        text = f"{seat.name} ({member.peer}) joined"
        self._move(News(text, "joined", seat.name, member.peer, seat.number), member)
        return seat

    def leave(self, member: Member, why: str) -> None:
        """Take a member's seat away, and tell the others why; nothing when it has none."""
        seat = self.seats.remove(member)
        if seat is not None:
            self.desk.close(seat.number)
            text = f"{seat.name} ({member.peer}) left: {why}"
            self._move(News(text, "left", seat.name, member.peer, seat.number), None)

    def dismiss(self, member: Member, farewell: str, why: str, cut: Cut | None = None) -> None:
        """Let a member go: it gets a last line, and everything said before it.

        :param cut: as what it is counted, where the member did not want to go.
        """
        if member in self.seats:
            if cut is not None:
                self.tally.cut[cut] += 1
            self.tell(member, farewell)
            self._turn.depart(member)
            self.leaving.append(member)
            self.leave(member, why)

    def shut(self, farewell: str) -> None:
        """Let everyone go, with one last line to all."""
        self._public(News(farewell, "shut", "server", ""))
        self.leaving += self.seats.clear()

    def sum_up(self) -> None:
        """Tell how many came and went, where that is not told one by one."""
        if self._crowd:
            parts = [f"{self._crowd[event]} {event}" for event in sorted(self._crowd)]
            self._crowd.clear()
            self._public(Notice(f"{', '.join(parts)}; {len(self.seats)} are here"))

    @property
    def crowded(self) -> bool:
        """Whether there is something to sum up."""
        return bool(self._crowd)

    # Talking.

    def say(self, member: Member, texts: tuple[str, ...], verb: str = ":") -> None:
        """Lines that one member says, to whom the mode says."""
        seat = self.seats[member]
        seat.heard_s = now = self.now()
        said = Said(now, seat.name, member.peer, texts, verb, client=seat.number)
        if seat.muted:
            self.tell(member, _MUTED)
        elif self.mode == "hub":
            self._public(said, member)
            for text in texts[-HISTORY_LINES:]:
                self.history.append(Said(now, seat.name, member.peer, (text,), verb))
        elif self.mode == "echo":
            self._turn.unheard(said)
            self._private(said, member)
        else:
            self._turn.unheard(replace(said, line=self.desk.next_number(seat.number)))
            self._to_the_desk(member, seat, texts)
            self._rouse()

    def echo(self, member: Member, data: bytes, text: str) -> None:
        """The very bytes of a member, back to it; `text` is what the log shows."""
        seat = self.seats[member]
        seat.heard_s = self.now()
        message = Echo(data, seat.name, member.peer, text, seat.number)
        self._turn.unheard(message)
        self._private(message, member)

    def reply(self, member: Member, text: str) -> None:
        """A line to whoever last whispered to a member, under whatever name by now.

        :raises ValueError: when nobody has, or the one who did has gone.
        """
        number = self.seats[member].correspondent
        if number is None:
            raise ValueError(
                "nobody has written to you alone yet; /msg NAME TEXT writes to somebody"
            )
        target = self.seats.at(number)
        if target is None:
            raise ValueError("whoever wrote to you alone has left")
        self.whisper(member, target, text)

    def whisper(self, member: Member, target: Member, text: str) -> None:
        """A line from one member to one other.

        :raises ValueError: when members do not hear each other, or this one not at all.
        """
        if self.mode != "hub":
            raise ValueError(f"not now: {MODES[self.mode]}")
        seat = self.seats[member]
        if seat.muted:
            raise ValueError(_MUTED)
        to = self.seats[target].name
        said = Said(self.now(), seat.name, member.peer, (text,), to=to, client=seat.number)
        self._turn.unheard(said)
        self._private(said, target)
        self.seats[target].correspondent = seat.number

    def tell(self, member: Member, text: str) -> None:
        """Lines of the server to one member."""
        self._private(Notice(text), member)

    def announce(self, text: str) -> None:
        """Lines of the server to all."""
        self._public(News(text, "announced", "server", ""))

    def replay(self, member: Member) -> None:
        """The last lines, to one member."""
        if self.mode == "hub":
            for said in self.history:
                self._private(said, member)

    # The room itself.

    def rename(self, member: Member, name: str) -> None:
        """Give a member another name.

        :raises ValueError: when the name is not allowed or taken, or the member is muted.
        """
        if self.seats[member].muted:
            raise ValueError(_MUTED)
        old = self.seats.rename(member, name)
        name = self.seats[member].name
        text = f"{old} ({member.peer}) is now {name}"
        news = News(text, "renamed", name, member.peer, self.seats[member].number)
        if self.mode == "hub":
            self._public(news)
        else:
            self._turn.unheard(news)
            self._private(news, member)

    def set_mode(self, mode: str) -> None:
        """Change who hears what, while it runs.

        :raises ValueError: when there is no such mode.
        """
        if mode not in MODES:
            raise ValueError(f"there is no mode {mode}; the modes are {', '.join(MODES)}")
        self.mode = mode
        self.announce(f"the mode is now {mode}: {MODES[mode]}")
        self._release_from_the_desk()

    def set_topic(self, topic: str) -> None:
        """What newcomers are told the room is about; empty: nothing."""
        self.topic = topic
        self.announce(f"the topic is now: {topic}" if topic else "there is no topic any more")

    def who(self) -> list[str]:
        """A line for each member: number, name, address, idle time, and how it is connected."""
        now = self.now()
        return [
            f"{seat.number} {seat.name} ({m.peer}) idle {now - seat.heard_s:.0f} s, {m.traits()}, "
            f"{m.queued()} bytes queued{', muted' if seat.muted else ''}"
            for m, seat in ((m, self.seats[m]) for m in self.seats)
        ]

    def ban(self, address: str) -> int:
        """Let nobody in from an address, and remove who is here from it; returns how many.

        :raises ValueError: when it is no address.
        """
        self.bans.add(address)
        self._note("banned", f"{address} is kept out")
        members = [m for m in self.seats if self.bans.cover(m.peer)]
        for member in members:
            self.dismiss(member, "your address is kept out", "banned", Cut.BANNED)
        return len(members)

    def unban(self, address: str) -> None:
        """Take a ban back.

        :raises ValueError: when it is no address; :raises LookupError: when it is not kept out.
        """
        self.bans.remove(address)
        self._note("unbanned", f"{address} may come in again")

    # The operator's side.

    def find(self, who: str) -> Member:
        """The member of that name or number. Digits are a number: anybody may be called 3, and
        must not get what is meant for number 3.

        :raises LookupError: when there is none.
        """
        if who.isascii() and who.isdigit():
            member = self.seats.at(int(who[:18]))
            if member is None:
                raise LookupError(f"nobody here has the number {who}; /who lists them")
            return member
        try:
            return self.seats.find(who)
        except ValueError as error:
            raise LookupError(str(error)) from None

    def kick(self, member: Member, reason: str = "") -> None:
        """Remove a member; it and the room are told why."""
        why = f": {reason}" if reason else ""
        farewell = f"the operator has removed you{why}"
        self.dismiss(member, farewell, f"removed by the operator{why}", Cut.KICKED)

    def mute(self, member: Member, muted: bool) -> None:
        """Let nobody hear a member, or all again."""
        seat = self.seats[member]
        seat.muted = muted
        state = "muted" if muted else "heard again"
        text = f"{seat.name} ({member.peer}) is {state}"
        self._turn.unheard(News(text, "muted", seat.name, member.peer, seat.number))
        self._rouse()

    def speak(self, text: str) -> None:
        """A line of the operator to all, in every mode."""
        said = Said(self.now(), "operator", "server", (text,))
        self._public(said)
        self.history.append(said)

    def attach(self) -> None:
        """An operator comes; clients that were kept waiting are told."""
        self.desk.operators += 1
        self._note("attached", f"an operator has come; here now: {self.desk.operators}")
        for member in self.seats:
            if self.seats[member].kept_waiting:
                self.seats[member].kept_waiting = False
                self.tell(member, "an operator is here")

    def detach(self) -> None:
        """An operator goes."""
        self.desk.operators -= 1
        self._note("detached", f"an operator has gone; here now: {self.desk.operators}")

    def take(self, number: int, through: int | None = None) -> list[Line]:
        """The lines of a client that wait for an operator, who has them now.

        :param through: the number of the last one to take; None: all. Two operators who were both
            shown a line may both take it: the second finds it gone.
        """
        taken = self.desk.take(number, through)
        self._release_from_the_desk()
        return taken

    def answer(self, member: Member, text: str) -> None:
        """A line of the operator to one client."""
        said = Said(self.now(), "operator", "server", (text,), to=self.seats[member].name)
        self._turn.unheard(said)
        self._private(said, member)

    def _release_from_the_desk(self) -> None:
        """Listen again to those for whose lines there is room, or who talk to others now."""
        for member in tuple(self.seats):  # what they have to say may end their stay
            if member in self.seats and (
                self.mode != "operator" or self.desk.has_room(self.seats[member].number)
            ):
                member.release("desk")

    def _to_the_desk(self, member: Member, seat: Seat, texts: Iterable[str]) -> None:
        for text in texts:
            self.desk.put(seat.number, seat.name, seat.heard_s, text)
        if not self.desk.has_room(seat.number):
            member.hold("desk")
        if not self.desk.operators and not seat.kept_waiting:
            seat.kept_waiting = True
            self.tell(member, _NO_OPERATOR)

    # One turn of the reactor.

    def flush(self) -> list[Message]:
        """Deliver what was said in this turn; returns what the log should show of it."""
        turn, self._turn, self._awake = self._turn, Turn(), False
        leaving, self.leaving = self.leaving, []
        self.tally.lines += sum(message.spoken() for message in turn.said)
        self.tally.copies += turn.deliver([*self.seats, *leaving])
        for member in leaving:
            member.close()
        return turn.said

    def _move(self, news: News, member: Member | None) -> None:
        """Somebody came or went."""
        if self.mode == "hub" and len(self.seats) <= CROWD:
            self._public(news, member)
        else:
            self._turn.unheard(news)
            self._rouse()
            if self.mode == "hub":
                self._crowd[news.event] += 1

    def _note(self, event: str, text: str) -> None:
        """Something that the operator did and only the log shows."""
        self._turn.unheard(News(text, event, "operator", "server"))
        self._rouse()

    def _public(self, message: Message, but: Member | None = None) -> None:
        self._turn.public(message, but)
        self._rouse()

    def _private(self, message: Message, to: Member) -> None:
        self._turn.private(message, to)
        self._rouse()

    def _rouse(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake()

    def _greeting(self, seat: Seat) -> str:
        others = len(self.seats) - 1
        company = {0: "nobody else is here yet", 1: "one other is here"}
        about = company.get(others, f"{others} others are here")
        if self.mode != "hub":
            about = MODES[self.mode]
        topic = f"the topic: {self.topic}\n" if self.topic else ""
        return (
            f"welcome, you are {seat.name}; {about}\n{topic}"
            "/nick NAME gives you a name, /help lists the commands, q leaves"
        )
