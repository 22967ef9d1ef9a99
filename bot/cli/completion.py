"""`jit completion`: the script that has a shell complete commands and options; click makes it."""

from __future__ import annotations

import click

from bot import terminal

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL (bash from 4.4 on, zsh, fish).

    For bash, put this into ~/.bashrc: eval "$(jit completion bash)". For zsh the same with zsh into ~/.zshrc. For fish:
    jit completion fish > ~/.config/fish/completions/jit.fish
    """
    from click.shell_completion import get_completion_class

    from bot.cli.main import main

    known = get_completion_class(shell)
    if known is None:
        raise terminal.Cannot(f"nothing completes in {shell} here")
    try:
        terminal.pipe().write(known(main, {}, "jit", "_JIT_COMPLETE").source() + "\n")
    except RuntimeError as error:
        raise terminal.Cannot(str(error)) from error
