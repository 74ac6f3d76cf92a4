"""`rnninspect completion`: what makes a shell complete commands, options, rules, conventions and members of a dump."""

from __future__ import annotations

import click

from rnninspect.cli.param_types import one_of


@click.command("completion")
@click.argument("shell", type=one_of("bash", "zsh", "fish"))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script that makes SHELL complete rnninspect's commands, options, rules and members of dumps.

    \b
    rnninspect completion bash >> ~/.bashrc
    rnninspect completion zsh >> ~/.zshrc
    rnninspect completion fish > ~/.config/fish/completions/rnninspect.fish
    """
    from click.shell_completion import get_completion_class

    from rnninspect.cli.exit_codes import COMPLETION_VARIABLE

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(ctx.find_root().command, {}, "rnninspect", COMPLETION_VARIABLE).source())
    return 0
