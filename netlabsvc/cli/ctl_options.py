"""What every command of `netlab ctl` has: --control, --json, and how it asks the daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

import click

from netlabsvc.control.client import Control, Refused, Unreachable
from netlabsvc.escape import escape, json_text
from netlabsvc.state import control_sockets

F = TypeVar("F", bound=Callable[..., Any])
UNREACHABLE = 3


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Keep an option's value where every command finds it."""

    def remember(ctx: click.Context, _param: click.Parameter, value: Any) -> Any:
        if value:
            ctx.meta[name] = value
        return value

    return remember


control_option = click.option(
    "--control",
    metavar="PATH",
    expose_value=False,
    callback=_remember("control"),
    help="The daemon's control socket; else $NETLAB_CONTROL, or where daemons have it.",
)
as_json = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_remember("json"),
    help="What the daemon answers, as JSON.",
)


def words(name: str, *, required: bool = True) -> Callable[[F], F]:
    """The last argument: one text, quoted or not."""

    def join(_ctx: click.Context, _param: click.Parameter, parts: tuple[str, ...]) -> str:
        return " ".join(parts)

    return click.argument(
        name, nargs=-1, required=required, callback=join, metavar=f"{name.upper()}..."
    )


def member(name: str) -> Callable[[F], F]:
    """An argument that names a client of the chat."""
    return click.argument(name, metavar="CLIENT", shell_complete=_members)


def _members(ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    """The names in the room, for the shell."""
    names = [one["name"] for one in send(ctx, "GET", "/v1/chat/members") or []]
    return [name for name in names if name.startswith(begun)]


def send(ctx: click.Context, method: str, path: str) -> Any:
    """An answer for the completion of a shell, which must neither fail nor wait."""
    with suppress(Refused, Unreachable):
        return Control(control_paths(ctx), timeout_s=1.0).ask(method, path)
    return None


def ask(what: str | Callable[[Control], Any], path: str = "", **arguments: object) -> Any:
    """Ask the daemon; a refusal, or no daemon, ends the command with one line on stderr.

    :param what: a method, for a path and its arguments; or what is done with the connection.
    """
    ctx = click.get_current_context()
    try:
        control = Control(control_paths(ctx))
        return what(control) if callable(what) else control.ask(what, path, arguments)
    except Unreachable as error:
        fail(str(error), UNREACHABLE)
    except Refused as error:
        if ctx.meta.get("json"):
            click.echo(json_text(error.document, indent=2))
        fail(str(error), 1)


def show(answer: Any, lines: Callable[[Any], Iterable[str]]) -> None:
    """Print an answer, for people or as JSON."""
    if click.get_current_context().meta.get("json"):
        click.echo(json_text(answer, indent=2))
    else:
        for line in lines(answer):
            click.echo(line)


def control_paths(ctx: click.Context) -> list[str]:
    """Where to look for the daemon's socket: as --control says, else where daemons have it."""
    given = ctx.meta.get("control")
    return [given] if given else control_sockets(os.environ)


def fail(text: str, status: int) -> NoReturn:
    """End the command with one line on stderr."""
    click.echo(f"Error: {escape(text)}", err=True)
    raise SystemExit(status)
