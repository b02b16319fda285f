"""How a command runs a reactor, and how it reads HOST:PORT."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import click
from twisted.internet import task
from twisted.internet.defer import Deferred


def run(
    main: Callable[[Any], Coroutine[Deferred[Any], Any, int]], *, asyncio: bool = False
) -> None:
    """Run `main(reactor)` to its end; what it returns is the exit status of the process.

    A `click.ClickException` raised inside is shown as one line on stderr.

    :param asyncio: on the asyncio reactor, which prompt_toolkit needs.
    """
    if asyncio:
        from twisted.internet import asyncioreactor

        asyncioreactor.install()

    async def status(reactor: Any) -> None:
        try:
            code = await main(reactor)
        except click.ClickException as error:
            error.show()
            code = error.exit_code
        raise SystemExit(code)

    task.react(lambda reactor: Deferred.fromCoroutine(status(reactor)))


def host_and_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """Split ``HOST:PORT``, ``HOST`` (with a default port), ``[::1]:PORT`` or a bare IPv6 address.

    :raises click.BadParameter: says what is missing.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, ""
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise click.BadParameter(f"{text!r} names no host; write HOST:PORT")
    if not port:
        if default_port is None:
            raise click.BadParameter(f"{text!r} names no port; write {text.rstrip(':')}:PORT")
        return host, default_port
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise click.BadParameter(f"{port!r} is no port; ports are 1 to 65535")
    return host, int(port)
