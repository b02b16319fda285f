"""`netlab chat`: talk in a chat room, from a terminal or from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver

from netlabsvc.chat.client import Conversation, connect
from netlabsvc.cli.run import host_and_port, run

DEFAULT_PORT = 12000
#: How long a pipe waits for answers after its input has ended and the last line has come.
PATIENCE_S = 1.0


@click.command("chat")
@click.argument("server", metavar="HOST[:PORT]")
@click.option("--name", help="The name to take; without it the server gives one.")
@click.option(
    "--encoding", default="utf-8", show_default=True, help="What to read and write: utf-8, gbk, ..."
)
def command(server: str, name: str | None, encoding: str) -> None:
    """Talk in a chat room: what you type goes to everyone, what they say is printed.

    On a terminal the line being typed stays whole while others talk; Ctrl-D leaves. In a pipe the
    input is sent line by line, and the command ends once the answers of the last second are there.

    \b
    Examples:
      netlab chat 127.0.0.1:12000 --name ada
      netlab chat lab.example --encoding gbk
      echo "good morning" | netlab chat 127.0.0.1
    """
    host, port = host_and_port(server, DEFAULT_PORT)
    try:
        "".encode(encoding)
    except LookupError:
        raise click.BadParameter(f"{encoding!r} is no encoding; try utf-8 or gbk") from None
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    talk = _at_a_terminal if terminal else _in_a_pipe

    async def main(reactor: Any) -> int:
        async def join(show: Callable[[str], object]) -> Conversation:
            endpoint = HostnameEndpoint(reactor, host, port)
            conversation = await connect(endpoint, show, encoding, reactor)
            if name is not None:
                conversation.say(f"/nick {name}")
            return conversation

        try:
            error = await talk(reactor, join)
        except DNSLookupError:
            raise click.ClickException(f"no host is called {host}") from None
        except ConnectError as failure:
            why = os.strerror(failure.osError) if failure.osError else str(failure)
            raise click.ClickException(f"cannot connect to {host} port {port}: {why}") from None
        if error is not None:
            raise click.ClickException(f"the connection was lost: {error}")
        return 0

    run(main, asyncio=terminal)


Join = Callable[[Callable[[str], object]], Awaitable[Conversation]]


async def _at_a_terminal(reactor: Any, join: Join) -> BaseException | None:
    """Talk with a line editor: what arrives is printed above the line being typed."""
    import asyncio

    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    conversation = await join(print)
    prompt: PromptSession[str] = PromptSession()

    async def type_lines() -> None:
        while True:
            try:
                conversation.say(await prompt.prompt_async("> "))
            except (EOFError, KeyboardInterrupt):
                conversation.leave()
                return

    with patch_stdout(raw=True):
        typing = asyncio.ensure_future(type_lines())
        error = await conversation.ended
        typing.cancel()
    return error


class _Input(LineReceiver):
    """Standard input, as lines to a conversation."""

    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, conversation: Conversation, ended: Callable[[], object]) -> None:
        self._conversation = conversation
        self._ended = ended

    def connectionMade(self) -> None:
        # Not faster than the server takes it: stdin waits, and whoever writes to it.
        self._conversation.transport.registerProducer(self.transport, True)

    def lineReceived(self, line: bytes) -> None:
        self._conversation.say(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))

    def connectionLost(self, reason: object = None) -> None:
        if rest := self.clearLineBuffer():
            self.lineReceived(rest)
        self._conversation.transport.unregisterProducer()
        self._ended()


async def _in_a_pipe(reactor: Any, join: Join) -> BaseException | None:
    """Send standard input, print what comes; ends when the server closes or has no more to say."""
    conversation = await join(lambda text: print(text, flush=True))

    async def wait_for_answers() -> None:
        conversation.finish()
        ended_s = reactor.seconds()
        while not conversation.ended.called:
            last_s = max(ended_s, conversation.heard_s)
            if (left_s := last_s + PATIENCE_S - reactor.seconds()) <= 0:
                conversation.leave()
                return
            await deferLater(reactor, left_s)

    StandardIO(_Input(conversation, lambda: Deferred.fromCoroutine(wait_for_answers())))
    return await conversation.ended
