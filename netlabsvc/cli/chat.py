"""`netlab chat`: talk in a chat room, from a terminal or from a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from twisted.internet import ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineReceiver
from zope.interface import implementer

from netlabsvc.chat.client import Talk
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
@click.option("--reconnect", is_flag=True, help="When the connection is lost, try again.")
@click.option("--tls", is_flag=True, help="Speak TLS; the certificate must be the host's.")
@click.option(
    "--cacert",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust the certificates in this file (PEM) instead of the system's.",
)
@click.option("-k", "--insecure", is_flag=True, help="Speak TLS with anyone, unverified.")
def command(
    server: str,
    name: str | None,
    encoding: str,
    reconnect: bool,
    tls: bool,
    cacert: Path | None,
    insecure: bool,
) -> None:
    """Talk in a chat room: what you type goes to everyone, what they say is printed.

    On a terminal the line being typed stays whole while others talk; Ctrl-D leaves. In a pipe the
    input is sent line by line, and the command ends once the answers of the last second are there.

    \b
    Examples:
      netlab chat 127.0.0.1:12000 --name ada
      netlab chat lab.example --encoding gbk --reconnect
      netlab chat lab.example:12443 --tls --cacert lab.pem
      echo "good morning" | netlab chat 127.0.0.1
    """
    host, port = host_and_port(server, DEFAULT_PORT)
    try:
        "".encode(encoding)
    except LookupError:
        raise click.BadParameter(f"{encoding!r} is no encoding; try utf-8 or gbk") from None
    terminal = sys.stdin.isatty() and sys.stdout.isatty()

    async def main(reactor: Any) -> int:
        endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, host, port)
        if tls or cacert or insecure:
            endpoint = wrapClientTLS(_tls_options(host, cacert, insecure), endpoint)
        talk = Talk(reactor, endpoint, encoding, name, reconnect=reconnect)
        try:
            await (_at_a_terminal(talk) if terminal else _in_a_pipe(talk, reactor))
        except DNSLookupError:
            raise click.ClickException(f"no host is called {host}") from None
        except ConnectError as failure:
            why = os.strerror(failure.osError) if failure.osError else str(failure)
            raise click.ClickException(f"cannot connect to {host} port {port}: {why}") from None
        except Exception as failure:
            raise click.ClickException(f"the connection was lost: {_words(failure)}") from None
        return 0

    run(main, asyncio=terminal)


def _tls_options(host: str, cacert: Path | None, insecure: bool) -> Any:
    """Whom to trust."""
    if insecure:
        return ssl.CertificateOptions(verify=False)
    if cacert is None:
        return ssl.optionsForClientTLS(host)
    try:
        authority = ssl.Certificate.loadPEM(cacert.read_bytes())
    except Exception:
        raise click.BadParameter(f"{cacert} holds no certificate in PEM") from None
    return ssl.optionsForClientTLS(host, trustRoot=ssl.trustRootFromCertificates([authority]))


def _words(error: BaseException) -> str:
    """What an error says, where OpenSSL's is a list of triples."""
    reasons = [r for r in error.args if isinstance(r, list) and r]
    return str(reasons[0][0][-1]) if reasons else str(error)


async def _at_a_terminal(talk: Talk) -> None:
    """Talk with a line editor: what arrives is printed above the line being typed."""
    import asyncio

    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    prompt: PromptSession[str] = PromptSession()

    async def type_lines() -> None:
        while True:
            try:
                line = await prompt.prompt_async("> ")
            except (EOFError, KeyboardInterrupt):
                talk.leave()
                return
            if not talk.say(line):
                print("*** not connected; that was not sent")

    with patch_stdout(raw=True):
        typing = asyncio.ensure_future(type_lines())
        try:
            await talk.run(print)
        finally:
            typing.cancel()


@implementer(IPushProducer)
class _Input(LineReceiver):
    """Standard input, as lines to a talk; it is read only while there is a connection."""

    delimiter = b"\n"
    MAX_LENGTH = 1024 * 1024

    def __init__(self, talk: Talk, ended: Callable[[], object]) -> None:
        self._talk = talk
        self._ended = ended

    def connectionMade(self) -> None:
        # Not faster than the server takes it: stdin waits, and whoever writes to it.
        self._talk.feed_from(self)

    def lineReceived(self, line: bytes) -> None:
        self._talk.say(line.removesuffix(b"\r").decode("utf-8", "backslashreplace"))

    def stopProducing(self) -> None:
        """The connection is gone; there may be another."""

    def connectionLost(self, reason: object = None) -> None:
        if rest := self.clearLineBuffer():
            self.lineReceived(rest)
        self._talk.feed_from(None)
        self._ended()


async def _in_a_pipe(talk: Talk, reactor: Any) -> None:
    """Send standard input, print what comes; ends when the server closes or has no more to say."""

    async def wait_for_answers() -> None:
        talk.finish()
        ended_s = reactor.seconds()
        while (left_s := max(ended_s, talk.heard_s) + PATIENCE_S - reactor.seconds()) > 0:
            await deferLater(reactor, left_s)
        talk.leave()

    def begin() -> None:
        StandardIO(_Input(talk, lambda: Deferred.fromCoroutine(wait_for_answers())))

    await talk.run(lambda text: print(text, flush=True), begin)
