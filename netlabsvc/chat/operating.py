"""What an operator can do in the chat: its routes of the control API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from netlabsvc.chat import commands
from netlabsvc.chat.hub import HISTORY_LINES, MODES, Hub
from netlabsvc.chat.member import Member
from netlabsvc.chat.message import Said
from netlabsvc.chat.text import clean
from netlabsvc.routes import Json, Route, Rule
from netlabsvc.times import rfc3339

_ENDS = {"\n": "LF", "\r\n": "CR LF", "": "length"}


def _line(raw: object) -> str:
    """A text as it may be shown to clients.

    :raises ValueError: when it is none, or empty.
    """
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("takes a text of at least one character")
    return clean(raw)


def _line_or_nothing(raw: object) -> str:
    return _line(raw) if raw != "" else ""


Line = Annotated[str, Rule(read=_line)]
MaybeLine = Annotated[str, Rule(read=_line_or_nothing)]
Number = Annotated[int, Rule(bounds=(1, 2**53))]
MaybeNumber = Annotated[int | None, Rule(bounds=(1, 2**53))]


class Operating:
    """The operator's side of one room."""

    def __init__(self, hub: Hub, transcript: Callable[[int], list[Said]] | None) -> None:
        """:param transcript: the last lines of the file, where one is kept."""
        self._hub = hub
        self._transcript = transcript

    def routes(self) -> Iterable[Route]:
        """In the order of the documentation."""
        return [
            Route("GET", "/v1/chat", self.room, "The room: mode, topic, how many are here."),
            Route("GET", "/v1/chat/members", self.members, "Who is here, and how."),
            Route("POST", "/v1/chat/say", self.say, "Say something to all."),
            Route("POST", "/v1/chat/tell", self.tell, "Say something to one."),
            Route("POST", "/v1/chat/kick", self.kick, "Remove a client."),
            Route("PUT", "/v1/chat/mute", self.mute, "Let nobody hear a client, or all again."),
            Route("GET", "/v1/chat/bans", self.bans, "The addresses that are kept out."),
            Route("POST", "/v1/chat/bans", self.ban, "Keep an address out."),
            Route("DELETE", "/v1/chat/bans/{address}", self.unban, "Take a ban back."),
            Route("PUT", "/v1/chat/mode", self.set_mode, "Change who hears whom."),
            Route("PUT", "/v1/chat/topic", self.set_topic, "Say what the room is about."),
            Route("GET", "/v1/chat/transcript", self.transcript, "The last lines said to all."),
            Route("GET", "/v1/chat/desk", self.desk, "The lines that wait for an operator."),
            Route("POST", "/v1/chat/desk/take", self.take, "Take lines that wait."),
            Route("POST", "/v1/chat/command", self.command, "Run a /command of an operator."),
        ]

    def attach(self) -> Callable[[], None]:
        """An operator is here; returns what says that it has gone."""
        self._hub.attach()
        return self._hub.detach

    def room(self) -> Json:
        hub = self._hub
        return {
            "mode": hub.mode,
            "mode_means": MODES[hub.mode],
            "topic": hub.topic,
            "clients": len(hub.seats),
            "operators": hub.desk.operators,
            "waiting_lines": sum(len(drawer.lines) for drawer in hub.desk.drawers.values()),
        }

    def members(self) -> Json:
        return [self._member(member) for member in self._hub.seats]

    def say(self, text: Line) -> Json:
        self._hub.speak(text)
        return {"heard_by": len(self._hub.seats)}

    def tell(self, to: str, text: Line) -> Json:
        member = self._hub.find(to)
        self._hub.answer(member, text)
        return self._who(member)

    def kick(self, who: str, reason: MaybeLine = "") -> Json:
        member = self._hub.find(who)
        gone = self._who(member)
        self._hub.kick(member, reason)
        return gone

    def mute(self, who: str, muted: bool = True) -> Json:
        member = self._hub.find(who)
        self._hub.mute(member, muted)
        return {**self._who(member), "muted": muted}

    def bans(self) -> Json:
        return list(self._hub.bans)

    def ban(self, address: str) -> Json:
        removed = self._hub.ban(address)
        return {"address": address, "removed": removed}

    def unban(self, address: str) -> Json:
        self._hub.unban(address)
        return {"address": address}

    def set_mode(self, mode: Annotated[str, Rule(one_of=tuple(MODES))]) -> Json:
        if mode != self._hub.mode:
            self._hub.set_mode(mode)
        return self.room()

    def set_topic(self, topic: MaybeLine) -> Json:
        self._hub.set_topic(topic)
        return self.room()

    def transcript(self, limit: Annotated[int, Rule(bounds=(1, 10_000))] = HISTORY_LINES) -> Json:
        if self._transcript is None:
            lines = list(self._hub.history)[-limit:]
        else:
            lines = self._transcript(limit)
        return [
            {
                "time": rfc3339(said.time_s),
                "name": said.name,
                "peer": said.peer,
                "event": "said" if said.verb else "did",
                "text": "\n".join(said.texts),
            }
            for said in lines
        ]

    def desk(self) -> Json:
        return [
            {
                "client": number,
                "name": drawer.name,
                "gone": drawer.gone,
                "lines": [_waiting(line) for line in drawer.lines],
            }
            for number, drawer in self._hub.desk.drawers.items()
            if drawer.lines
        ]

    def take(self, client: Number, through: MaybeNumber = None) -> Json:
        return [_waiting(line) for line in self._hub.take(client, through)]

    def command(self, line: Line) -> Json:
        if not line.startswith("/"):
            raise ValueError("line begins with a slash: /kick ada")
        return {"answer": commands.run_for_operator(self._hub, line)}

    def _who(self, member: Member) -> dict[str, Any]:
        seat = self._hub.seats[member]
        return {"number": seat.number, "name": seat.name, "peer": member.peer}

    def _member(self, member: Member) -> dict[str, Any]:
        seat = self._hub.seats[member]
        drawer = self._hub.desk.drawers.get(seat.number)
        return {
            **self._who(member),
            "idle_s": round(max(0.0, self._hub.now() - seat.heard_s), 3),
            "encoding": member.style.encoding,
            "line_end": _ENDS[member.style.end],
            "queued_bytes": member.queued(),
            "muted": seat.muted,
            "waiting_lines": len(drawer.lines) if drawer else 0,
        }


def _waiting(line: Any) -> dict[str, Any]:
    return {"number": line.number, "time": rfc3339(line.time_s), "text": line.text}
