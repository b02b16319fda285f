"""`netlab ctl`: what an operator can do to a running daemon, each thing a command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click

from netlabsvc.cli.ctl_options import as_json, ask, control_option, member, send, show, words
from netlabsvc.cli.ctl_tables import (
    changes,
    counted,
    event_line,
    impairments,
    mails,
    members,
    personalities,
    room,
    services,
    transcript,
)
from netlabsvc.control.client import Control, path_of
from netlabsvc.escape import escape, json_text

LEVELS = ("debug", "info", "warn", "error")
MODES = ("hub", "echo", "operator")


@click.group()
@control_option
def command() -> None:
    """Look at a running daemon, and tell it what to do.

    Exit status: 0 done, 1 the daemon refused, 2 wrong usage, 3 no daemon answers.

    \b
    Examples:
      netlab ctl status
      netlab ctl who --json
      netlab ctl say the bell rings in five minutes
      netlab ctl kick guest7 too loud
      netlab ctl impair set 30%
      netlab ctl events --kinds chat.said
    """


@command.command()
@as_json
def status() -> None:
    """What runs, where it listens, since when."""
    show(ask("GET", "/v1/status"), services)


@command.command()
@as_json
def who() -> None:
    """Who is in the chat, from where, and how they are connected."""
    show(ask("GET", "/v1/chat/members"), members)


@command.command()
@words("text")
@as_json
def say(text: str) -> None:
    """Say something to everyone in the chat."""
    answer = ask("POST", "/v1/chat/say", text=text)
    show(answer, lambda said: [f"said to {said['heard_by']}"])


@command.command()
@member("to")
@words("text")
@as_json
def tell(to: str, text: str) -> None:
    """Say something to one client, by name or number."""
    show(ask("POST", "/v1/chat/tell", to=to, text=text), _named("told {}"))


@command.command()
@member("who")
@words("reason", required=False)
@as_json
def kick(who: str, reason: str) -> None:
    """Remove a client; it and the room read why."""
    show(ask("POST", "/v1/chat/kick", who=who, reason=reason), _named("{} is gone"))


@command.command()
@click.argument("address")
@as_json
def ban(address: str) -> None:
    """Keep an address out of the chat; who is here from it goes."""
    answer = ask("POST", "/v1/chat/bans", address=address)
    show(answer, lambda a: [f"{a['address']} is kept out; {a['removed']} removed"])


def _banned(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:
    """The addresses that are kept out, for the shell."""
    return [a for a in send(ctx, "GET", "/v1/chat/bans") or [] if a.startswith(begun)]


@command.command()
@click.argument("address", shell_complete=_banned)
@as_json
def unban(address: str) -> None:
    """Take a ban back."""
    answer = ask("DELETE", path_of("chat", "bans", address))
    show(answer, lambda a: [f"{a['address']} may come in again"])


@command.command()
@as_json
def bans() -> None:
    """The addresses that are kept out."""
    show(ask("GET", "/v1/chat/bans"), lambda a: a or ["nobody is kept out"])


@command.command()
@member("who")
@click.option("--off", is_flag=True, help="Let the client be heard again.")
@as_json
def mute(who: str, off: bool) -> None:
    """Let nobody hear a client."""
    answer = ask("PUT", "/v1/chat/mute", who=who, muted=not off)
    show(answer, _named("{} is heard again" if off else "{} is muted"))


@command.command()
@click.argument("mode", required=False, type=click.Choice(MODES))
@as_json
def mode(mode: str | None) -> None:
    """Who hears whom in the chat; with MODE, change it."""
    show(ask("PUT", "/v1/chat/mode", mode=mode) if mode else ask("GET", "/v1/chat"), room)


@command.command()
@words("text", required=False)
@click.option("--none", is_flag=True, help="There is no topic any more.")
@as_json
def topic(text: str, none: bool) -> None:
    """What the room is about; with TEXT, change it."""
    change = text or none
    show(ask("PUT", "/v1/chat/topic", topic=text) if change else ask("GET", "/v1/chat"), room)


@command.command("transcript")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
def last_lines(limit: int) -> None:
    """The last lines that were said to all."""
    show(ask("GET", "/v1/chat/transcript", limit=limit), transcript)


REFLECTORS = ("classic", "stamp", "irtt")
_which = click.option("-r", "--reflector", type=click.Choice(REFLECTORS), help="This one only.")


@command.group()
def impair() -> None:
    """The faults of the UDP reflectors."""


@impair.command("get")
@_which
@as_json
def impair_get(reflector: str | None) -> None:
    """The faults that are in force."""
    show(ask("GET", "/v1/udp/impair", **_chosen(reflector)), impairments)


@impair.command("set")
@words("faults")
@_which
@as_json
def impair_set(faults: str, reflector: str | None) -> None:
    """Change the faults, from now on.

    \b
    Such as:
      netlab ctl impair set 30%
      netlab ctl impair set "up loss=30% delay=20ms~5ms; down dup=2%"
      netlab ctl impair set -r stamp "profile=lte"
    """
    answer = ask("PUT", "/v1/udp/impair", faults=faults, **_chosen(reflector))
    show(answer, impairments)


@impair.command("reset")
@_which
@as_json
def impair_reset(reflector: str | None) -> None:
    """Go back to the faults that the configuration names."""
    show(ask("DELETE", "/v1/udp/impair", **_chosen(reflector)), impairments)


@command.command()
@_which
@as_json
def counters(reflector: str | None) -> None:
    """What became of the UDP requests."""
    show(ask("GET", "/v1/udp/counters", **_chosen(reflector)), counted)


def _chosen(reflector: str | None) -> dict[str, str]:
    return {"reflector": reflector} if reflector else {}


@command.command("mails")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@as_json
def list_mails(limit: int) -> None:
    """The newest mails that the sandbox took."""
    show(ask("GET", "/v1/mail/messages", limit=limit), mails)


@command.group("mail")
def mail_group() -> None:
    """The mail sandbox."""


@mail_group.command("personality")
@click.argument("name", required=False)
@click.option("--reset", is_flag=True, help="Go back to the configured one.")
@as_json
def personality(name: str | None, reset: bool) -> None:
    """How the sandbox behaves, and how it could; with NAME, change it.

    \b
    Such as:
      netlab ctl mail personality greylist
    """
    path = "/v1/mail/personality"
    if reset:
        answer = ask("DELETE", path)
    else:
        answer = ask("PUT", path, personality=name) if name else ask("GET", path)
    show(answer, personalities)


@command.command()
@click.argument("level", required=False, type=click.Choice(LEVELS))
@as_json
def loglevel(level: str | None) -> None:
    """The least that the daemon's log shows; with LEVEL, change it."""
    path = "/v1/loglevel"
    answer = ask("PUT", path, level=level) if level else ask("GET", path)
    show(answer, lambda a: [a["level"] or "the log is syslog's, at every level"])


@command.command()
@as_json
def reload() -> None:
    """Read the configuration again; what cannot change is named."""
    show(ask("POST", "/v1/reload"), changes)


@command.command()
@words("reason", required=False)
@as_json
def shutdown(reason: str) -> None:
    """End the daemon; everyone in the chat reads why."""
    show(ask("POST", "/v1/shutdown", reason=reason), lambda _: ["the daemon is going down"])


@command.command()
@click.option("--kinds", default="", help="Only these: chat, mail, chat.said, ... (commas).")
@click.option("--recent", type=click.IntRange(0, 10_000), help="Begin so many events back.")
@click.option("--after", metavar="ID", default="", help="Go on behind the event of this id.")
@as_json
@click.pass_context
def events(ctx: click.Context, kinds: str, recent: int | None, after: str) -> None:
    """What happens, as it happens, until Ctrl-C or the daemon's end."""
    line: Callable[[str, str, dict[str, Any]], str] = event_line
    if ctx.meta.get("json"):
        line = _event_object

    def follow(control: Control) -> None:
        stream = control.events(after, kinds=kinds, recent=recent)
        for kind, data in stream:
            click.echo(line(stream.last_id, kind, data))
            sys.stdout.flush()

    try:
        ask(follow)
    except KeyboardInterrupt:
        raise SystemExit(0) from None


def _event_object(id: str, kind: str, data: dict[str, Any]) -> str:
    return json_text({"id": id, "kind": kind, **data})


def _named(text: str) -> Callable[[dict[str, Any]], list[str]]:
    """Tells what happened to a client."""
    return lambda one: [text.format(escape(f"{one['name']} ({one['peer']})"))]
