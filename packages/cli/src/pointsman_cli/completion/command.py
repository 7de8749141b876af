"""`pointsman completion`: the script by which a shell completes verbs, options and names."""

from __future__ import annotations

import click

from ..context import debug_option

INSTALL = {
    "bash": """echo 'eval "$(pointsman completion bash)"' >> ~/.bashrc""",
    "zsh": """echo 'eval "$(pointsman completion zsh)"' >> ~/.zshrc  (after compinit)""",
    "fish": "pointsman completion fish > ~/.config/fish/completions/pointsman.fish",
}


@click.command()
@click.argument("shell", type=click.Choice([*INSTALL]))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
@click.pass_context
def completion(ctx: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that makes SHELL complete verbs, options, providers, models and settings.

    The script asks pointsman itself, which reads what is installed and set up, and sends nothing.

    \b
    Examples:
      eval "$(pointsman completion bash)"
      echo 'eval "$(pointsman completion zsh)"' >> ~/.zshrc
      pointsman completion fish > ~/.config/fish/completions/pointsman.fish
    """  # noqa: D301  (click wants the backspace)
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    script = made(ctx.find_root().command, {}, "pointsman", "_POINTSMAN_COMPLETE").source()
    first, _, rest = script.strip().partition("\n")
    install = f"# To have it in every {shell}: {INSTALL[shell]}"
    script = f"{first}\n{install}\n{rest}\n" if first.startswith("#") else f"{install}\n{first}\n{rest}\n"
    if as_json:
        import json

        click.echo(json.dumps({"shell": shell, "script": script, "install": INSTALL[shell]}))
    else:
        click.echo(script, nl=False)
