"""What was said in one turn of the reactor, joined once and shared by all who receive it.

Most members receive the same bytes: they are joined once per style, and every member gets the same
object. Who said something, came in the middle, or was told something alone, gets those bytes with
a piece cut out or put in. This is what makes a hub in Python fast.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import accumulate
from typing import Generic, Protocol, TypeVar

from netlabsvc.chat.message import Message, Style


class Receiver(Protocol):
    """Someone to whom bytes can be delivered."""

    style: Style

    def deliver(self, data: bytes | memoryview) -> None:
        """Send, or queue; never raises."""


#: What is longer is not joined for one member alone: a hundred who speak at once would get a
#: hundred copies of all that was said.
JOIN_BYTES = 32 * 1024

R = TypeVar("R", bound=Receiver)


class Turn(Generic[R]):
    """An ordered list of messages, each for everyone but its speaker, or for one member alone."""

    def __init__(self) -> None:
        self.said: list[Message] = []  # everything that the log shows, in order
        self._public: list[Message] = []
        # Per member, in order: at which place of the public list something is left out (None)
        # or put in (a message).
        self._cuts: dict[R, list[tuple[int, Message | None]]] = {}
        self._since: dict[R, int] = {}
        self._until: dict[R, int] = {}

    def public(self, message: Message, but: R | None = None) -> None:
        """Say something to everyone, but for its speaker."""
        if but is not None:
            self._cuts.setdefault(but, []).append((len(self._public), None))
        self._public.append(message)
        self.said.append(message)

    def private(self, message: Message, to: R) -> None:
        """Say something to one member, after all that was said to everyone before."""
        self._cuts.setdefault(to, []).append((len(self._public), message))

    def unheard(self, message: Message) -> None:
        """Something that only the log shows."""
        self.said.append(message)

    def enter(self, member: R) -> None:
        """A member came: it receives nothing of what was said before."""
        self._since[member] = len(self._public)
        self._cuts.setdefault(member, [])

    def depart(self, member: R) -> None:
        """A member goes: it receives nothing of what is said from now on."""
        self._until[member] = len(self._public)
        self._cuts.setdefault(member, [])

    def deliver(self, members: Collection[R]) -> int:
        """Hand every member what it is to receive, in the one order of the room.

        :returns: how many copies of lines these are, each line counted once for each member.
        """
        joined: dict[Style, _Joined] = {}
        cuts = self._cuts
        spoken = [0, *accumulate(message.spoken() for message in self._public)]
        copies, apart = 0, 0
        style: Style | None = None
        for member in members:
            # Members share their style objects: to look each up would cost a third of a copy.
            if member.style is not style:
                style = member.style
                if style not in joined:
                    joined[style] = _Joined(self._public, style)
                common = joined[style]
            if member in cuts:
                first = self._since.get(member, 0)
                last = self._until.get(member, len(self._public))
                copies += _copies(spoken, first, last, cuts[member])
                apart += 1
                pieces = common.cut(first, last, cuts[member])
                if len(common.whole) <= JOIN_BYTES:
                    pieces = iter((b"".join(pieces),))
                for piece in pieces:
                    if piece:
                        member.deliver(piece)
            elif common.whole:
                member.deliver(common.whole)
        return copies + (len(members) - apart) * spoken[-1]


class _Joined:
    """The public messages in one style, as one piece, and where each begins."""

    def __init__(self, messages: list[Message], style: Style) -> None:
        parts = [message.encode(style) for message in messages]
        self.whole = b"".join(parts)
        self._style = style
        self._begins = [0, *accumulate(map(len, parts))]

    def cut(
        self, first: int, last: int, cuts: list[tuple[int, Message | None]]
    ) -> Iterator[bytes | memoryview]:
        """The pieces for a member that was here from message `first` to before `last`."""
        whole = memoryview(self.whole)
        at = self._begins[first]
        for place, message in cuts:
            yield whole[at : self._begins[place]]
            if message is None:
                at = self._begins[place + 1]
            else:
                at = self._begins[place]
                yield message.encode(self._style)
        yield whole[at : self._begins[last]]


def _copies(
    spoken: list[int], first: int, last: int, cuts: list[tuple[int, Message | None]]
) -> int:
    """How many lines a member gets that was here from message `first` to before `last`.

    :param spoken: how many lines there are before each public message, and in all.
    """
    copies = spoken[last] - spoken[first]
    for place, message in cuts:
        if message is None:
            copies -= spoken[place + 1] - spoken[place]
        else:
            copies += message.spoken()
    return copies
