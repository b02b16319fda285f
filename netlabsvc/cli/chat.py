"""`netlab chat`: talk in a chat room, from a terminal or from a pipe."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint

from netlabsvc.chat.client import Talk
from netlabsvc.cli.chat_pipe import talk_in_a_pipe
from netlabsvc.cli.run import host_and_port, run

DEFAULT_PORT = 12000

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def _server(_ctx: click.Context, _param: click.Parameter, text: str) -> tuple[str, int]:
    """Read HOST[:PORT]."""
    return host_and_port(text, DEFAULT_PORT)


def _encoding(_ctx: click.Context, _param: click.Parameter, name: str) -> str:
    """Check that it is an encoding in which a line ends with the byte LF."""
    try:
        ends_with_lf = "\n".encode(name, "replace") == b"\n"
    except (LookupError, UnicodeError):
        raise click.BadParameter(f"{name!r} is no encoding; try utf-8 or gbk") from None
    if not ends_with_lf:
        raise click.BadParameter(f"in {name} a line does not end with LF; try utf-8 or gbk")
    return name


@click.command("chat")
@click.argument("server", metavar="HOST[:PORT]", callback=_server)
@click.option("--name", help="The name to take; without it the server gives one.")
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    callback=_encoding,
    help="What the server reads and writes: utf-8, gbk, ...",
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
    server: tuple[str, int],
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
    host, port = server
    terminal = sys.stdin.isatty() and sys.stdout.isatty()

    async def main(reactor: Any) -> int:
        with _errors_in_words(host, port):
            endpoint: IStreamClientEndpoint = HostnameEndpoint(reactor, host, port)
            if tls or cacert or insecure:
                endpoint = wrapClientTLS(_tls_options(host, cacert, insecure), endpoint)
            talk = Talk(reactor, endpoint, encoding, name, reconnect=reconnect)
            await (_at_a_terminal(talk) if terminal else talk_in_a_pipe(talk, reactor))
        return 0

    run(main, asyncio=terminal)


async def _at_a_terminal(talk: Talk) -> None:
    # A pipe need not wait until the line editor is loaded.
    from netlabsvc.cli.chat_terminal import talk_at_a_terminal

    await talk_at_a_terminal(talk)


def _tls_options(host: str, cacert: Path | None, insecure: bool) -> Any:
    """Whom to trust."""
    if insecure:
        return ssl.CertificateOptions(verify=False)
    if cacert is None:
        return ssl.optionsForClientTLS(host)
    try:
        found = [ssl.Certificate.loadPEM(pem) for pem in _CERTIFICATE.findall(cacert.read_bytes())]
    except Exception:
        found = []
    if not found:
        raise click.BadParameter(f"{cacert} holds no certificate in PEM")
    return ssl.optionsForClientTLS(host, trustRoot=ssl.trustRootFromCertificates(found))


@contextmanager
def _errors_in_words(host: str, port: int) -> Iterator[None]:
    """Say why there is no connection, or no more."""
    try:
        yield
    except click.ClickException:
        raise
    except ValueError:
        raise click.ClickException(f"no address for {host!r}: that is no host name") from None
    except DNSLookupError:
        raise click.ClickException(f"no host is called {host}") from None
    except ConnectError as error:
        why = os.strerror(error.osError) if error.osError else str(error)
        raise click.ClickException(f"cannot connect to {host} port {port}: {why}") from None
    except Exception as error:
        raise click.ClickException(f"the connection was lost: {_words(error)}") from None


def _words(error: Exception) -> str:
    """What an error says, where OpenSSL's is a list of triples."""
    reasons = [r for r in error.args if isinstance(r, list) and r]
    return str(reasons[0][0][-1]) if reasons else str(error)
