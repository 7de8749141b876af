"""`pointsman route`: where a prompt would go, and why, without asking anybody."""

from __future__ import annotations

from typing import Any

import click

from ..chat.prompt import alone, checked, read_prompt
from ..context import debug_option


@click.command()
@click.argument("prompt", required=False)
@click.argument("surplus", nargs=-1, metavar="")
@click.option(
    "-m",
    "--model",
    "models",
    multiple=True,
    metavar="PROVIDER/MODEL",
    help="Who would be asked; several are the order.",
)
@click.option("-s", "--system", help="An instruction that precedes the prompt.")
@click.option("--priority", type=click.Choice(["balanced", "speed", "quality", "cost"]), help="What matters most.")
@click.option(
    "--require",
    multiple=True,
    metavar="CAPABILITY",
    help="What the target must be able to do, such as tools or vision.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug_option
def route(prompt: str | None, surplus: tuple[str, ...], models: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show who would answer PROMPT, in which order and why, and who is left out.

    It decides as chat does, from the same prompt and the same options, but nobody is asked, nothing is opened, and no
    token is spent.

    \b
    Examples:
      pointsman route "Why is the sky blue?"
      pointsman route --priority cost --require tools "Book a table"
      pointsman route --json - < prompt.txt | jq .decision.order
    """  # noqa: D301  (click wants the backspace)
    alone(prompt, surplus)
    given = {name: value for name, value in options.items() if value}
    if "system" in given:
        checked(given["system"], "--system")
    text = read_prompt(prompt)
    if models:
        given["model"] = models[0] if len(models) == 1 else list(models)

    from .decision import show_decision

    show_decision(text, given, as_json=as_json)
