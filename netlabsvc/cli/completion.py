"""`netlab completion`: the script that lets a shell complete the commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_NETLAB_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets a shell complete commands, options and clients' names.

    \b
    Examples:
      eval "$(netlab completion bash)"                     (in ~/.bashrc)
      eval "$(netlab completion zsh)"                      (in ~/.zshrc)
      netlab completion fish > ~/.config/fish/completions/netlab.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "netlab", VARIABLE).source())
