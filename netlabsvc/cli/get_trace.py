"""What `netlab get` says on stderr: the exchange with -v, and warnings."""

from __future__ import annotations

import click

from netlabsvc.escape import escape


def fact(text: str) -> None:
    """``* connected to ...``: what happened to the connection."""
    for line in text.split("\n"):
        click.echo(f"* {escape(line)}", err=True)


def wire(mark: str, data: bytes) -> None:
    r"""Lines as they went over the wire, behind ``>`` or ``<``; a strange byte is ``\xNN``."""
    lines = data.decode("utf-8", "backslashreplace").split("\n")
    for line in lines[:-1] if not lines[-1] else lines:
        click.echo(f"{mark} {escape(line.removesuffix(chr(13)))}".rstrip(" "), err=True)


def warning(text: str) -> None:
    """What somebody should know, and maybe mend."""
    click.echo(f"Warning: {escape(text)}", err=True)


def error(text: str) -> None:
    """Why it ended."""
    click.echo(f"Error: {escape(text)}", err=True)
