"""``headrace completion``: scripts for shells."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from headrace.cli.base import Command, current_output

SHELLS = {
    "bash": 'eval "$(headrace completion bash)"        in ~/.bashrc',
    "zsh": 'eval "$(headrace completion zsh)"         in ~/.zshrc',
    "fish": "headrace completion fish | source         in ~/.config/fish/config.fish",
}


@click.command(cls=Command)
@click.argument("shell", type=click.Choice(list(SHELLS)))
def completion(shell: str) -> None:
    """Print the script that makes a shell complete commands, options and names of pipelines.

    \b
    eval "$(headrace completion bash)"        in ~/.bashrc
    eval "$(headrace completion zsh)"         in ~/.zshrc
    headrace completion fish | source         in ~/.config/fish/config.fish
    """
    from headrace.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None  # click has those of SHELLS
    script = kind(app, {}, "headrace", "_HEADRACE_COMPLETE").source()
    out = current_output()
    out.result({"shell": shell, "script": script}, lambda: out.text(script))
